//! What decides a fine-tune besides its data and settings, and how it tells of its progress.

use std::path::Path;

use crate::device::DeviceChoice;
use crate::models::ModelConfig;

/// What decides a fine-tune besides the data.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The architecture.
    pub model: &'a ModelConfig,
    /// Decides initialisation, order and dropout.
    pub seed: u64,
    /// Where it is computed.
    pub device: DeviceChoice,
    /// Folder for results, or none.
    pub cache: Option<&'a Path>,
    /// Most bytes of activations below the first adapted layer to keep (see [`reuse`](super::reuse)), training and query
    /// examples each.
    pub activations: u64,
}

/// What is being done, for a progress display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Training the base.
    Pretrain,
    /// Training the adapters.
    FineTune,
}

/// An epoch has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Of which stage.
    pub stage: Stage,
    /// Which, from 1.
    pub epoch: usize,
    /// Of how many.
    pub epochs: usize,
    /// Its mean training loss, nats.
    pub train_loss: f64,
    /// Loss and, where there is one, accuracy on the queries after it; `None` while pretraining.
    pub query: Option<(f64, Option<f64>)>,
}
