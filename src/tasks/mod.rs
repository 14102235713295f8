//! Tasks: examples, labels, and what is known about the truth. One file per task.
//!
//! Nothing here knows a model, a method or a metric.

pub mod clusters;
pub mod digits;
pub mod flip;
pub mod glue;
pub mod gradients;
pub mod sentences;
pub mod text;

use thiserror::Error;

use crate::config::{ModelConfig, TaskConfig};
use crate::data::TaskData;

/// Why a task cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TaskError {
    /// A size below what is needed.
    #[error("{setting} is {found}; at least {least} is needed")]
    TooSmall {
        /// The setting.
        setting: &'static str,
        /// Value found.
        found: usize,
        /// Least value allowed.
        least: usize,
    },
    /// More examples asked for than the data has.
    #[error("task.train + task.query = {train} + {query} = {} examples; the data has {available}", .train + .query)]
    NotEnough {
        /// Training examples asked for.
        train: usize,
        /// Query examples asked for.
        query: usize,
        /// Examples that there are.
        available: usize,
    },
    /// More examples of a split asked for than it has.
    #[error("{setting} is {asked}; the data has {available}")]
    TooMany {
        /// The setting.
        setting: &'static str,
        /// Examples asked for.
        asked: usize,
        /// Examples that there are.
        available: usize,
    },
    /// Texts need a checkpoint's tokenizer.
    #[error("task `glue` has texts, which only `model: {{name: checkpoint, path: …}}` can read")]
    NoTokenizer,
    /// Texts that cannot be read or turned into tokens.
    #[error(transparent)]
    Text(#[from] glue::TextError),
    /// Patches that do not tile an image.
    #[error("task.patch is {found}; 1, 2, 4 or 8 is needed, a divisor of the image's side 8")]
    Patch {
        /// Value found.
        found: usize,
    },
    /// The task consists of gradients and has no examples for a model.
    #[error("task `gradients` has no examples: its gradients are made without a model")]
    NoExamples,
}

/// `found` is at least `least`.
fn require(setting: &'static str, found: usize, least: usize) -> Result<(), TaskError> {
    if found < least {
        Err(TaskError::TooSmall {
            setting,
            found,
            least,
        })
    } else {
        Ok(())
    }
}

/// The examples of a task for a model; the same for the same settings, files and seed. Texts become ids
/// by the tokenizer of the model's checkpoint.
///
/// # Errors
/// As [`build`], and when files cannot be read.
pub fn build_for(
    config: &TaskConfig,
    model: &ModelConfig,
    seed: u64,
) -> Result<TaskData, TaskError> {
    match (config, model) {
        (TaskConfig::Glue(config), ModelConfig::Checkpoint(model)) => {
            glue::build(config, model, seed)
        }
        _ => build(config, seed),
    }
}

/// The examples of a task that needs no tokenizer; the same for the same settings and seed.
///
/// # Errors
/// When the settings ask for what the data does not have, for `gradients`, which has no examples, and
/// for `glue`, which needs a tokenizer.
pub fn build(config: &TaskConfig, seed: u64) -> Result<TaskData, TaskError> {
    match config {
        TaskConfig::Glue(_) => Err(TaskError::NoTokenizer),
        TaskConfig::Gradients(_) => Err(TaskError::NoExamples),
        TaskConfig::Clusters(config) => clusters::build(config, seed),
        TaskConfig::Digits(config) => digits::build(config, seed),
        TaskConfig::Sentences(config) => sentences::build(config, seed),
    }
}
