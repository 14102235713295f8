//! Why a task cannot be built.

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
    #[error("task `glue` has texts, which only `model: {{name: checkpoint, path: …}}` can read")]
    NoTokenizer,
    /// Texts that cannot be read or turned into tokens.
    #[error(transparent)]
    Text(#[from] TextError),
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
