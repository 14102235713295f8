//! What one run of the training loop is given.

use crate::data::Split;
use crate::models::{Dropout, Role};

/// One run of the loop.
pub struct Run<'a> {
    /// What is trained.
    pub roles: &'a [Role],
    /// On what.
    pub split: &'a Split,
    /// Passes over the split.
    pub epochs: usize,
    /// Examples in a batch.
    pub batch_size: usize,
    /// Batches that make a step.
    pub accumulate: usize,
    /// Longest gradient of a step; `None`: of any length.
    pub max_grad_norm: Option<f64>,
    /// Learning rate at a step (from 0) of a total.
    pub lr: &'a (dyn Fn(usize, usize) -> f64 + Sync),
    /// Dropout of every training pass.
    pub dropout: Dropout,
    /// Decides order and dropout, together with `scope`.
    pub seed: u64,
    /// What the draws belong to.
    pub scope: &'a str,
    /// Which examples of the split are trained on; `None`: all.
    ///
    /// The order of the examples, the batches, the steps and their learning rates are those of the whole
    /// split; the others are passed over where they would have come. A step follows the sum of the gradients
    /// of what is left of its batch over |batch| · |kept|/n, an unbiased estimate of the mean over the kept
    /// examples; one with nothing left is no step. Examples are counted by their [weight](crate::data::Targets::weight).
    pub kept: Option<&'a [bool]>,
}
