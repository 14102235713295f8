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

use burn::tensor::Tensor;

use super::by_layer;
use super::factors::{FactorSums, KroneckerFactors, PieceSums, Views};
use super::{GradientError, GradientSink};
use crate::data::{Split, Targets};
use crate::models::parameter::to_f32;
use crate::models::{Adapter, Batch, Model, Pass, ops, repeated};
use crate::{batching, objectives};

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

/// What gradients are taken of.
#[derive(Clone, Copy)]
pub(super) enum Asked {
    Loss,
    Measurement,
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
    let sink = Mutex::new(sink);
    let work = Work {
        model: &model,
        split,
        targets,
        asked,
        pieces: &pieces,
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

/// Gradients to be taken.
pub(super) struct Work<'a, 's> {
    pub model: &'a Model,
    pub split: &'a Split,
    /// In place of the split's.
    pub targets: Option<&'a Targets>,
    pub asked: Asked,
    /// Examples that are led through the network together.
    pub pieces: &'a [Vec<usize>],
    pub sums: Option<&'a FactorSums>,
    pub sink: Mutex<&'s mut dyn GradientSink>,
}

impl Work<'_, '_> {
    /// The examples of a piece, with their targets.
    pub(super) fn batch(&self, piece: usize) -> Batch {
        let indices = &self.pieces[piece];
        let mut batch = batching::batch(self.split, indices, self.model.device());
        if let Some(targets) = self.targets {
            batch.targets = targets.select(indices);
        }
        batch
    }

    /// Losses of a batch, `[n, views]`, on the graph of the pass.
    pub(super) fn losses(&self, batch: &Batch, pass: &mut Pass) -> Tensor<2> {
        let objective = objectives::of(self.targets.unwrap_or(&self.split.targets));
        match self.asked {
            Asked::Loss => objective.losses(self.model, batch, pass),
            Asked::Measurement => objective.measurement(self.model, batch, pass),
        }
    }

    /// Takes the gradients of a piece; returns its losses.
    fn of_piece(&self, piece: usize) -> Result<Vec<f32>, GradientError> {
        // from here on, so that whoever waits for this piece hears of a panic in it
        let mut sums = self.sums.map(|sums| sums.piece(piece));
        let batch = self.batch(piece);
        let mut pass = Pass::Probed(Vec::new());
        let views = views(&batch);
        let losses = self.losses(&batch, &mut pass);
        let mut grads = (losses.clone().sum() / (views.all / views.stacked) as f64).backward();
        let mut adapters = self.model.probed().into_iter();
        let mut tensors = Vec::new();
        for site in pass.into_sites() {
            let (x, delta) = site.take(&mut grads);
            let adapter = adapters.next().and_then(|linear| linear.adapter());
            tensors.extend(contracted(x, delta, adapter, &batch, sums.as_mut()));
        }
        self.write(piece, 0, &tensors)?;
        let losses = to_f32(losses.inner().into_data());
        Ok(objectives::mean_over_views(
            &losses,
            self.pieces[piece].len(),
        ))
    }

    /// Writes the rows of a piece for consecutive tensors, runs of consecutive examples at once.
    pub(super) fn write(
        &self,
        piece: usize,
        first_tensor: usize,
        tensors: &[Vec<f32>],
    ) -> Result<(), GradientError> {
        let indices = &self.pieces[piece];
        let mut sink = self
            .sink
            .lock()
            .expect("a panic in another piece ends this call");
        for (tensor, rows) in tensors.iter().enumerate() {
            let tensor = first_tensor + tensor;
            let width = rows.len() / indices.len().max(1);
            let mut start = 0;
            for run in indices.chunk_by(|a, b| a + 1 == *b) {
                let rows = &rows[start * width..(start + run.len()) * width];
                let written = sink.write_rows(tensor, run[0], rows);
                written.map_err(|source| GradientError::Sink {
                    tensor,
                    first_row: run[0],
                    source,
                })?;
                start += run.len();
            }
        }
        Ok(())
    }
}

/// How many rows of a batch are of one example.
fn views(batch: &Batch) -> Views {
    Views {
        all: batch.targets.views(),
        stacked: batch.targets.stacked_views(),
    }
}

/// One `[n, d]` matrix for each gradient tensor of a layer, from its inputs x and the gradients δ of its outputs, which
/// are added to `sums`, too.
pub(super) fn contracted(
    x: Tensor<3>,
    delta: Tensor<3>,
    adapter: Option<&Adapter>,
    batch: &Batch,
    sums: Option<&mut PieceSums<'_>>,
) -> Vec<Vec<f32>> {
    let views = views(batch);
    if let Some(sums) = sums {
        let lengths = batch.lengths.as_ref();
        let lengths = lengths.map(|all| repeated(all, views.all));
        sums.add(&x, &delta, adapter, lengths.as_deref(), views);
    }
    let [x, delta] = [x, delta].map(|rows| joined(rows, views.all / views.stacked));
    match adapter {
        Some(Adapter { a, b, scale, .. }) => ops::adapter_gradients(x, delta, a, b, *scale).into(),
        None => vec![ops::weight_gradients(x, delta)],
    }
}

/// `[n·views, t, width]` → `[n, views·t, width]`.
fn joined(rows: Tensor<3>, views: usize) -> Tensor<3> {
    let [n, t, width] = rows.dims();
    match views {
        1 => rows,
        _ => rows.reshape([n / views, views * t, width]),
    }
}
