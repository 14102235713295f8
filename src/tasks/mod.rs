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

/// Inputs of a split, example by example.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// Token ids, one list an example, of any lengths ≤ `max_length`; ids are below `vocabulary`.
    /// Id 0 is the padding.
    Tokens {
        /// One list of ids an example.
        ids: Vec<Vec<u32>>,
        /// One list of token types (segments) an example, or no list at all when every type is 0.
        types: Vec<Vec<u32>>,
        /// Number of ids.
        vocabulary: usize,
        /// Longest list allowed.
        max_length: usize,
    },
    /// Real features, `tokens × features` an example (`tokens` = 1 for a flat point).
    Features {
        /// Row-major `[examples, tokens, features]`.
        values: Vec<f32>,
        /// Tokens (patches) an example.
        tokens: usize,
        /// Features a token.
        features: usize,
    },
    /// What the frozen lower layers of a model made of the examples, computed once.
    Activations {
        /// Row-major `[tokens, width]`, one an example.
        rows: Vec<Vec<f32>>,
        /// Width of the model.
        width: usize,
        /// The layer that takes them, from 0.
        layer: usize,
    },
}

/// Labelled examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// The inputs.
    pub inputs: Inputs,
    /// The label that a loss sees (after flips), one an example.
    pub labels: Vec<usize>,
}

impl Split {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// What is known about the truth of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// For every training example, whether its label was flipped; `None` when the task flips none.
    pub flipped: Option<Vec<bool>>,
    /// True class of every training example (before flips); `None` when there are no classes.
    pub train_classes: Option<Vec<usize>>,
    /// True class of every query example.
    pub query_classes: Option<Vec<usize>>,
}

/// A task with examples, for a model.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskData {
    /// Training examples.
    pub train: Split,
    /// Query (validation) examples; their labels are never flipped.
    pub query: Split,
    /// What the base is pretrained on, with its own number of classes; `None` when nothing is known.
    pub pretrain: Option<(Split, usize)>,
    /// Classes of `train` and `query`.
    pub classes: usize,
    /// Rows of the data files that were broken and passed over.
    pub passed_over: usize,
    /// What is known.
    pub truth: Truth,
}
