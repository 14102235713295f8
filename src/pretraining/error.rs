//! Why a pipeline cannot be trained.

use std::path::PathBuf;

use thiserror::Error;

use crate::models::diffusion::PipelineError;
use crate::models::files::WeightFileError;
use crate::sampling::SamplingError;
use crate::tasks::glue::TextError;
use crate::tasks::text::TokenizerError;

/// Why a pipeline cannot be trained.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PretrainingError {
    /// A list of images, or an image.
    #[error(transparent)]
    Images(#[from] TextError),
    /// Too few images.
    #[error(
        "{path} lists {found} images; {held_out} are held out (`images.held_out`), and at least one must be left"
    )]
    TooFew {
        /// The list.
        path: PathBuf,
        /// Images in it.
        found: usize,
        /// Images held out.
        held_out: usize,
    },
    /// The tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The pipeline as it was written.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// Images of the new pipeline.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// Weights that cannot be written, or a state that cannot be read.
    #[error(transparent)]
    File(#[from] WeightFileError),
    /// Another file that cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// The folder holds something else.
    #[error("{path} holds {what}: give another --out, or remove it")]
    Other {
        /// The folder.
        path: PathBuf,
        /// What.
        what: &'static str,
    },
    /// Loss or gradients are not finite.
    #[error(
        "{stage}: the loss at step {step} is {loss}, or its gradient is not finite: a lower `lr` may help"
    )]
    NotFinite {
        /// What was trained.
        stage: &'static str,
        /// The step, from 1.
        step: usize,
        /// The loss.
        loss: f64,
    },
}
