//! The settings of `infbench pretrain`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::conform;
use super::document::Document;
use super::error::ConfigError;
use crate::input::Problem;
use crate::pretraining::PipelineSettings;

/// A diffusion pipeline that `infbench pretrain` trains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PretrainingPlan {
    /// Name; the pipeline goes to `models/<name>` unless `--out` says otherwise. Letters (A to Z), digits, `-`, `_`, and `.`
    /// inside; at most 100 characters.
    #[schemars(regex(pattern = super::name::PATTERN))]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// The pipeline.
    pub pipeline: PipelineSettings,
}

/// Reads the text of a settings file; `file` is how errors name it.
///
/// # Errors
/// The first wrong setting, with its place.
pub fn parse(file: &str, text: &str) -> Result<PretrainingPlan, Box<ConfigError>> {
    let document = Document::parse(file, text)?;
    conform::check(&schema(), &document.value).map_err(|violation| {
        document.error(&violation.path, violation.at_key, violation.problem)
    })?;
    let plan: PretrainingPlan = serde_json::from_value(document.value.clone())
        .map_err(|e| document.error(&[], false, Problem::new(e.to_string())))?;
    match plan.pipeline.problem() {
        None => Ok(plan),
        Some((field, problem)) => {
            let path = ["pipeline"].into_iter().chain(field.split('.'));
            let path: Vec<String> = path.map(str::to_owned).collect();
            Err(document.error(&path, false, problem))
        }
    }
}

/// JSON schema (draft 2020-12) of a settings file, for editors.
pub fn schema() -> Value {
    serde_json::to_value(schemars::schema_for!(PretrainingPlan)).expect("a schema is plain JSON")
}
