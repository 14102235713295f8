//! Gradients along the fine-tune, with the learning rate that each was taken at.

use super::store::GradientStore;

/// Gradients of all examples at one checkpoint of the fine-tune.
#[derive(Debug)]
pub struct Checkpoint {
    /// Learning rate η_c there.
    pub learning_rate: f64,
    /// Training gradients: the tensors of the fine-tuned model's own.
    pub train: GradientStore,
    /// Query gradients.
    pub query: GradientStore,
}
