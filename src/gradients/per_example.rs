//! Per-example gradients from one forward and one backward pass a batch.
//!
//! A leaf hangs on the output of every adapted layer and of the head. The backward pass of the summed
//! losses leaves in it δ, the gradient of every example's own loss at that output; then, for
//! y = W x + s·B A x with x `[t, in]` and δ `[t, out]` of one example,
//!
//!   grad A = s·(δ B)ᵀ x,  grad B = s·δᵀ (x Aᵀ),  grad W_head = δᵀ x,
//!
//! each for all examples of the batch at once. Nothing is computed below the first adapted layer, and
//! no gradient of a frozen weight. Dropout is off. Kronecker factors are made of the same x and δ.
//!
//! Where an objective has several views of an example, its rows of the batch come one after another. Concatenated, so do
//! their gradients in the row of the example; averaged, they are those of one row with the positions of all views.

use std::sync::Mutex;

use super::by_layer;
use super::factors::{FactorSums, KroneckerFactors};
use super::work::{Asked, Work};
use super::{GradientError, GradientSink};
use crate::batching;
use crate::data::{Split, Targets};
use crate::models::Model;

/// Gradients of every example's loss into `sink`, row i for example i; returns the losses.
///
/// About `tokens` positions are taken at a time on every thread ([`batching::tokens_at_a_time`] is a good choice); it changes
/// memory and speed, and the result by rounding at most.
///
/// # Errors
/// When a loss is not finite, or the sink refuses.
pub fn collect(
    model: &Model,
    split: &Split,
    tokens: usize,
    sink: &mut dyn GradientSink,
) -> Result<Vec<f32>, GradientError> {
    run(model, split, None, Asked::Loss, tokens, sink, None)
}

/// [`collect`] or [`collect_measurements`].
pub type Collect =
    fn(&Model, &Split, usize, &mut dyn GradientSink) -> Result<Vec<f32>, GradientError>;

/// [`collect`] for queries: gradients of the objective's [measurement](crate::objectives::Objective::measurement).
///
/// # Errors
/// As [`collect`].
pub fn collect_measurements(
    model: &Model,
    split: &Split,
    tokens: usize,
    sink: &mut dyn GradientSink,
) -> Result<Vec<f32>, GradientError> {
    run(model, split, None, Asked::Measurement, tokens, sink, None)
}

/// What [`collect_with_factors`] leaves besides the gradients.
#[derive(Clone, Debug)]
pub struct WithFactors {
    /// Loss of every example at the targets given.
    pub losses: Vec<f32>,
    /// Kronecker factors over all examples.
    pub factors: KroneckerFactors,
    /// What the factors took of the wall time: the time that the threads spent on them, waiting included, over
    /// the number of threads.
    pub seconds: f64,
}

/// [`collect`] at `targets` (the split's own, or [sampled](crate::objectives::Objective::sample) ones), with the
/// Kronecker factors of every tensor. Costs another Σ (in² + out²) operations a token, about what the
/// backward pass does. The factors do not depend on the number of threads, and on `tokens` by rounding.
///
/// # Errors
/// As [`collect`].
///
/// # Panics
/// When there are not as many targets as examples.
pub fn collect_with_factors(
    model: &Model,
    split: &Split,
    targets: &Targets,
    tokens: usize,
    sink: &mut dyn GradientSink,
) -> Result<WithFactors, GradientError> {
    assert_eq!(targets.len(), split.len(), "targets of every example");
    let sums = FactorSums::new(&super::tensors(model, targets));
    let losses = run(
        model,
        split,
        Some(targets),
        Asked::Loss,
        tokens,
        sink,
        Some(&sums),
    )?;
    let (factors, seconds) = sums.finish(split.len());
    Ok(WithFactors {
        losses,
        factors,
        seconds: seconds / rayon::current_num_threads() as f64,
    })
}

fn run(
    model: &Model,
    split: &Split,
    targets: Option<&Targets>,
    asked: Asked,
    tokens: usize,
    sink: &mut dyn GradientSink,
    sums: Option<&FactorSums>,
) -> Result<Vec<f32>, GradientError> {
    let all: Vec<usize> = (0..split.len()).collect();
    let pieces = batching::pieces(split, &all, tokens);
    let mut model = model.clone();
    model.freeze();
    if batching::recomputes(&mut model, split, tokens) {
        model.recompute(true);
    }
    let sink = Mutex::new(sink);
    let work = Work {
        model: &model,
        split,
        targets,
        asked,
        pieces: &pieces,
        tokens,
        sums,
        sink,
    };
    let results = match model.layered() {
        Some(layered) => by_layer::collect(&work, layered),
        None => batching::map_on(model.device(), pieces.len(), |piece| work.of_piece(piece)),
    };
    let mut all = vec![0.0; split.len()];
    for (indices, result) in pieces.iter().zip(results) {
        for (&example, loss) in indices.iter().zip(result?) {
            if !loss.is_finite() {
                return Err(GradientError::NotFinite { example, loss });
            }
            all[example] = loss;
        }
    }
    Ok(all)
}
