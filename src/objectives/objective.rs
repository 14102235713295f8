//! The trait of objectives, and what all of them need.

use burn::tensor::Tensor;
use thiserror::Error;

use crate::batching::{self, streaming};
use crate::data::{Split, Targets};
use crate::models::{Batch, Model, Pass};
use crate::random::Rng;

/// A loss of a network's output.
pub trait Objective: Sync {
    /// Losses of every example, not reduced, `[n, views]`, on the graph of the pass. Views are several losses of the
    /// same example, such as those at several timesteps.
    fn losses(&self, model: &Model, batch: &Batch, pass: &mut Pass) -> Tensor<2>;

    /// What a query asks, `[n, views]`, whose gradient influence is taken on; the loss unless an objective says
    /// otherwise.
    fn measurement(&self, model: &Model, batch: &Batch, pass: &mut Pass) -> Tensor<2> {
        self.losses(model, batch, pass)
    }

    /// The targets of a training step's examples; the split's own unless an objective draws others. `rng` is a generator
    /// for this step and the example at a place of the batch.
    fn at_a_step(&self, targets: Targets, _rng: &dyn Fn(usize) -> Rng) -> Targets {
        targets
    }

    /// Losses per example of a training step, whose targets [`Self::at_a_step`] gives.
    fn views_at_a_step(&self, targets: &Targets) -> usize {
        targets.views()
    }

    /// Targets of every example drawn from the model's own predictions, without dropout; the same for the same `rng`,
    /// whatever the number of threads.
    ///
    /// # Errors
    /// Predictions that are not finite, or that are no distribution to draw from.
    fn sample(&self, model: &Model, split: &Split, rng: &mut Rng) -> Result<Targets, SampleError>;

    /// What [`Evaluation::accuracy`] is a share of; empty where there is no accuracy.
    fn unit(&self) -> &'static str;

    /// Losses of a split, and accuracy where there is such a thing, without dropout.
    fn evaluate(&self, model: &Model, split: &Split) -> Evaluation;
}

/// Losses `[n, views]`, row-major, of n examples → the mean over the views of each.
pub fn mean_over_views(losses: &[f32], n: usize) -> Vec<f32> {
    let views = (losses.len() / n.max(1)).max(1);
    let examples = losses.chunks_exact(views);
    let mean = |views: &[f32]| views.iter().sum::<f32>() / views.len() as f32;
    examples.map(mean).collect()
}

/// Why no targets can be drawn from a model's predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SampleError {
    /// Predictions for an example are NaN or infinite.
    #[error("the predictions for example {example} are not finite")]
    NotFinite {
        /// Which, from 0.
        example: usize,
    },
    /// The loss is not that of a distribution.
    #[error(
        "{objective} has no distribution of targets to draw from, so the true Fisher is not defined for it"
    )]
    NoDistribution {
        /// The objective.
        objective: &'static str,
    },
}

/// Right predictions of a piece of a split.
#[derive(Clone, Copy, Debug)]
pub(super) struct Right {
    /// How many are right.
    pub count: usize,
    /// Of how many.
    pub of: usize,
}

/// How a model does on a split.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Loss of every example, the mean over its views.
    pub losses: Vec<f64>,
    /// Their mean.
    pub loss: f64,
    /// Share of the examples or target tokens ([`Objective::unit`]) that are predicted rightly; `None` where a
    /// prediction is neither right nor wrong.
    pub accuracy: Option<f64>,
}

impl Evaluation {
    /// Puts pieces together: indices, losses, and how many predictions are right.
    pub(super) fn new(
        n: usize,
        pieces: impl Iterator<Item = (Vec<usize>, Vec<f32>, Option<Right>)>,
    ) -> Self {
        let mut losses = vec![0.0; n];
        let (mut sum, mut right) = (0.0, Some(Right { count: 0, of: 0 }));
        for (indices, values, correct) in pieces {
            let values = mean_over_views(&values, indices.len());
            sum += values.iter().copied().map(f64::from).sum::<f64>();
            for (index, loss) in indices.into_iter().zip(values) {
                losses[index] = f64::from(loss);
            }
            right = right.zip(correct).map(|(right, more)| Right {
                count: right.count + more.count,
                of: right.of + more.of,
            });
        }
        Self {
            losses,
            loss: sum / n as f64,
            accuracy: right
                .filter(|right| right.of > 0)
                .map(|right| right.count as f64 / right.of as f64),
        }
    }
}

/// `work` on every piece of a split, on all threads, with a model that trains nothing; indices and results in the
/// order of the pieces.
pub(super) fn map_pieces<T: Send>(
    model: &Model,
    split: &Split,
    work: impl Fn(&Model, Batch, &[usize]) -> T + Sync,
) -> impl Iterator<Item = (Vec<usize>, T)> {
    let all: Vec<usize> = (0..split.len()).collect();
    let pieces = batching::pieces(split, &all, batching::tokens_at_a_time(model));
    let mut model = model.clone();
    model.freeze();
    let results = streaming::map_batches(&model, split, &pieces, model.layers(), |batch, piece| {
        work(&model, batch, piece)
    });
    pieces.into_iter().zip(results)
}
