//! Why a task cannot be built.

use std::path::PathBuf;

use thiserror::Error;

use super::glue::TextError;

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
    #[error("the task has texts, which only `model: {{name: checkpoint, path: …}}` can read")]
    NoTokenizer,
    /// Texts that cannot be read or turned into tokens.
    #[error(transparent)]
    Text(#[from] TextError),
    /// No data where it was looked for.
    #[error("{path} {problem}")]
    NoData {
        /// What was looked for.
        path: PathBuf,
        /// What was found, and what is allowed.
        problem: String,
    },
    /// A task that has files only.
    #[error("the task `instruction` needs `path`, a .jsonl file or a folder of them")]
    NoPath,
    /// An example that cannot be used.
    #[error("an example of the generator: {problem}")]
    Completion {
        /// Why.
        problem: String,
    },
    /// Every text was cut before the first token that is to be predicted.
    #[error(
        "{setting}: no text has a token to predict within task.max_length = {max_length}; raise it, or set task.truncate to left"
    )]
    NothingLeft {
        /// The split.
        setting: &'static str,
        /// Tokens that are kept of a text.
        max_length: usize,
    },
    /// Patches that do not tile an image.
    #[error("task.patch is {found}; 1, 2, 4 or 8 is needed, a divisor of the image's side 8")]
    Patch {
        /// Value found.
        found: usize,
    },
    /// The task has no examples by itself: its gradients are made without a model, or its images need a pipeline.
    #[error(
        "the task has no examples of its own: it consists of gradients, or of images that a diffusion pipeline reads"
    )]
    NoExamples,
}

/// `found` is at least `least`.
pub(super) fn require(setting: &'static str, found: usize, least: usize) -> Result<(), TaskError> {
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
