//! Why a model cannot be built or loaded.

use thiserror::Error;

use super::checkpoint::CheckpointError;
use super::parameter::WeightError;
use crate::input::Problem;

/// Why a model cannot be built or loaded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ModelError {
    /// A setting that does not fit the others or the network.
    #[error("{at}: {}{}", problem.message, help(problem))]
    Setting {
        /// Its dotted path, e.g. `lora.targets.0`.
        at: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// A perceptron was given token ids.
    #[error("an mlp takes features, not tokens; use model transformer for this task")]
    TokensForMlp,
    /// A language model was given features.
    #[error("a llama takes tokens, not features; use model transformer for this task")]
    FeaturesForLlama,
    /// A checkpoint was given features.
    #[error("a checkpoint takes tokens, not features; use model transformer for this task")]
    FeaturesForCheckpoint,
    /// More token ids than a checkpoint has.
    #[error("the tokenizer has {found} ids; the checkpoint has embeddings for {most}")]
    Vocabulary {
        /// Ids of the tokenizer.
        found: usize,
        /// Rows of the checkpoint's table.
        most: usize,
    },
    /// Longer sequences than a checkpoint has positions for.
    #[error("max_length is {found}; the checkpoint has positions for {most} tokens")]
    TooLong {
        /// Length asked for.
        found: usize,
        /// Longest there is.
        most: usize,
    },
    /// A checkpoint cannot be loaded.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Weights that do not fit.
    #[error(transparent)]
    Weight(#[from] WeightError),
}

/// The suggestion of a problem, in parentheses.
fn help(problem: &Problem) -> String {
    let help = problem.help.as_ref();
    help.map_or_else(String::new, |help| format!(" ({help})"))
}
