//! Prompts and answers of one's own, from JSON lines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::completion::{CompletionSettings, CompletionTask, Examples};
use super::error::TaskError;
use crate::input::Problem;

/// Settings of `instruction`: `task: {name: instruction, path: FOLDER}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct InstructionTask {
    /// Examples, tokens and targets.
    #[serde(flatten)]
    pub completion: CompletionSettings,
}

impl CompletionTask for InstructionTask {
    fn name(&self) -> &'static str {
        "instruction"
    }

    fn settings(&self) -> &CompletionSettings {
        &self.completion
    }

    fn generate(&self, _: u64) -> Result<Examples, TaskError> {
        Err(TaskError::NoPath)
    }

    fn contradiction(&self) -> Option<(&'static str, Problem)> {
        let missing = self.completion.path.is_none();
        missing.then(|| ("path", Problem::new(TaskError::NoPath.to_string())))
    }
}
