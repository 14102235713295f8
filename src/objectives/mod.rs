//! What a loss is, and what a query asks: the seam between a network's output and everything that trains it or takes
//! its gradients. One file per objective, and one line in [`of`].
//!
//! Fine-tuning follows [`Objective::losses`], per-example gradients are those of [`Objective::losses`] for training
//! examples and of [`Objective::measurement`] for queries, the true Fisher is taken at targets from
//! [`Objective::sample`], and records hold what [`Objective::evaluate`] says.

pub mod classification;
mod objective;

pub use classification::Classification;
pub use objective::{Evaluation, NotFinite, Objective, mean_over_views};

use crate::data::{Split, Targets};
use crate::models::Model;
use crate::random;

/// The objective of targets of this kind.
pub fn of(targets: &Targets) -> &'static dyn Objective {
    match targets {
        Targets::Classes(_) => &Classification,
    }
}

/// Targets of every example drawn from the model's own predictions, from `seed`.
///
/// # Errors
/// Predictions that are not finite.
pub fn sampled(model: &Model, split: &Split, seed: u64) -> Result<Targets, NotFinite> {
    let mut rng = random::rng(seed, "gradients", "sampled labels");
    of(&split.targets).sample(model, split, &mut rng)
}
