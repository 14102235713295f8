//! Word problems for a language model: the form of the paper's second data set, with problems of our own or the authors'
//! files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::completion::{CompletionSettings, CompletionTask, Examples};
use super::error::TaskError;
use super::problems;

/// Settings of `math`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct MathTask {
    /// Examples, tokens and targets.
    #[serde(flatten)]
    pub completion: CompletionSettings,
}

impl CompletionTask for MathTask {
    fn name(&self) -> &'static str {
        "math"
    }

    fn settings(&self) -> &CompletionSettings {
        &self.completion
    }

    fn generate(&self, seed: u64) -> Result<Examples, TaskError> {
        Ok(problems::generate(&self.completion, false, seed))
    }
}
