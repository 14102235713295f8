//! Why fine-tuning ended.

use std::path::PathBuf;

use thiserror::Error;

use crate::models::ModelError;
use crate::models::files::WeightFileError;

/// Why fine-tuning ended.
#[derive(Debug, Error)]
pub enum FinetuneError {
    /// The settings do not fit the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A loss or a gradient is NaN or infinite.
    #[error(
        "the loss {loss} or its gradient is not finite in epoch {epoch}, step {step}; a smaller learning rate may help"
    )]
    NotFinite {
        /// Mean loss of the batch.
        loss: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step, from 0.
        step: usize,
    },
    /// Pretraining is asked for, but the task has nothing to pretrain on.
    #[error(
        "model.pretrain is set, but the task leaves no examples to pretrain on; set it to null"
    )]
    NothingToPretrain,
    /// A file of weights.
    #[error(transparent)]
    File(#[from] WeightFileError),
    /// The history beside a file of weights.
    #[error("{path}: {source}")]
    Info {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}
