//! Why a model cannot be built or loaded.

use thiserror::Error;

use super::diffusion::PipelineError;
use super::parameter::WeightError;
use crate::checkpoints::HuggingFaceError;
use crate::checkpoints::shards::ShardsError;
use crate::input::Problem;

/// Why a checkpoint cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// Its settings.
    #[error(transparent)]
    Config(#[from] HuggingFaceError),
    /// Its weights.
    #[error(transparent)]
    Weights(#[from] ShardsError),
}

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
    /// Another model than a diffusion pipeline was given latents.
    #[error(
        "this task's images and captions need a diffusion pipeline: a folder with unet, vae, text_encoder, tokenizer and scheduler as `model.path`"
    )]
    LatentsElsewhere,
    /// A diffusion pipeline was given something else.
    #[error("a diffusion pipeline takes images and captions; use another model for this task")]
    NoLatents,
    /// Latents or text states of other sizes than a UNet takes.
    #[error(
        "the UNet takes latents of {} channels and text states of width {}; found {} and {}", expected[0], expected[1], found[0], found[1]
    )]
    Latents {
        /// Channels and width found.
        found: [usize; 2],
        /// Channels and width of the UNet.
        expected: [usize; 2],
    },
    /// A pipeline cannot be loaded.
    #[error(transparent)]
    Pipeline(Box<PipelineError>),
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

impl From<PipelineError> for ModelError {
    fn from(error: PipelineError) -> Self {
        Self::Pipeline(Box::new(error))
    }
}

/// The suggestion of a problem, in parentheses.
fn help(problem: &Problem) -> String {
    let help = problem.help.as_ref();
    help.map_or_else(String::new, |help| format!(" ({help})"))
}
