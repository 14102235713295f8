//! What a loss is, and what a query asks: the seam between a network's output and everything that trains it or takes
//! its gradients. One file per objective, and one line in [`of`].
//!
//! Fine-tuning follows [`Objective::losses`], per-example gradients are those of [`Objective::losses`] for training
//! examples and of [`Objective::measurement`] for queries, the true Fisher is taken at targets from
//! [`Objective::sample`], and records hold what [`Objective::evaluate`] says.

pub mod classification;
pub mod noise_prediction;
mod objective;
mod softmax;
pub mod token_loss;

pub use classification::Classification;
pub use noise_prediction::NoisePrediction;
pub use objective::{Evaluation, Objective, SampleError, mean_over_views};
pub use token_loss::TokenLoss;

use crate::data::{Split, Targets};
use crate::models::Model;
use crate::random;

/// The objective of targets of this kind.
pub fn of(targets: &Targets) -> &'static dyn Objective {
    match targets {
        Targets::Classes(_) => &Classification,
        Targets::Tokens(_) => &TokenLoss,
        Targets::Noise(_) => &NoisePrediction,
    }
}

/// Targets of every example drawn from the model's own predictions, from `seed`.
///
/// # Errors
/// Predictions that are not finite, or that are no distribution to draw from.
pub fn sampled(model: &Model, split: &Split, seed: u64) -> Result<Targets, SampleError> {
    let mut rng = random::rng(seed, "gradients", "sampled labels");
    of(&split.targets).sample(model, split, &mut rng)
}
