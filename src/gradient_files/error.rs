//! Why there are no gradients.

use std::path::PathBuf;

use thiserror::Error;

use super::noise::NoiseFileError;
use crate::checkpoints::hub::HubError;
use crate::gradients::store::StoreError;
use crate::gradients::{GradientError, MatrixFileError};
use crate::models::diffusion::PipelineError;
use crate::models::diffusion::adapter::UnetAdapterError;
use crate::models::peft::PeftError;
use crate::models::{CheckpointError, ModelError};
use crate::objectives;
use crate::tasks::TaskError;
use crate::tasks::glue::TextError;

/// Why there are no gradients.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GradientFilesError {
    /// A checkpoint that is not to be had.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The adapter.
    #[error(transparent)]
    Adapter(#[from] PeftError),
    /// The examples or the tokenizer.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Prompts and answers.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A checkpoint of another kind than the task needs.
    #[error("{model} is a `{family}`; the task `{task}` needs {needs}")]
    Family {
        /// The checkpoint.
        model: PathBuf,
        /// Its family.
        family: &'static str,
        /// The task.
        task: &'static str,
        /// What it needs.
        needs: &'static str,
    },
    /// A language model without an adapter.
    #[error(
        "{model} has no adapter, and a language model has nothing else that is trained: give --adapter"
    )]
    NothingAdapted {
        /// The checkpoint.
        model: PathBuf,
    },
    /// A diffusion pipeline.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The LoRA of a UNet.
    #[error(transparent)]
    Lora(#[from] UnetAdapterError),
    /// A file of noise.
    #[error(transparent)]
    NoiseFile(#[from] NoiseFileError),
    /// Timesteps or draws.
    #[error("{reason}")]
    Noise {
        /// What is wrong.
        reason: String,
    },
    /// A UNet without adapter.
    #[error("a diffusion pipeline needs --adapter: gradients are taken of the LoRA alone")]
    NoLora,
    /// Settings of images for another task.
    #[error(
        "--resolution, --fit, --posterior, --timesteps, --views, --draws and --noise are for --task images, not for {task}"
    )]
    ForImages {
        /// The task.
        task: &'static str,
    },
    /// Gradients by token of a task whose targets are no tokens.
    #[error("--per-token is for --task instruction, not for {task}")]
    NoTokens {
        /// The task.
        task: &'static str,
    },
    /// A file without examples.
    #[error("{path} has no examples")]
    NoExamples {
        /// The file.
        path: PathBuf,
    },
    /// Neither adapter nor checkpoint has a classifier for the task.
    #[error(
        "neither {model} nor an adapter has a classifier for {classes} classes; a random one would make the gradients meaningless. Give --adapter with a saved classifier"
    )]
    NoHead {
        /// The checkpoint.
        model: PathBuf,
        /// Classes of the task.
        classes: usize,
    },
    /// The classifier has other classes than the task.
    #[error("the adapter's classifier has {found} classes; the task has {expected}")]
    Classes {
        /// Classes of the classifier.
        found: usize,
        /// Classes of the task.
        expected: usize,
    },
    /// The output would stand in its own way.
    #[error("{path} ends in .json, where the losses go; give a name such as G.safetensors")]
    Name {
        /// The output.
        path: PathBuf,
    },
    /// Two outputs of one name.
    #[error("{path} is asked for twice: every output needs a name of its own")]
    SameOutput {
        /// The file.
        path: PathBuf,
    },
    /// The file of factors.
    #[error(transparent)]
    Factors(#[from] MatrixFileError),
    /// Drawing labels from the model.
    #[error(transparent)]
    Sampling(#[from] objectives::SampleError),
    /// Taking the gradients.
    #[error(transparent)]
    Gradient(#[from] GradientError),
    /// The gradients' file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file beside it.
    #[error("cannot write {path}: {source}")]
    Companion {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
