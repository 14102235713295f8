//! The gradients of one piece of a split: its passes, the contraction of x and δ, and the rows that are written.
//!
//! The formulas are those of [per-example gradients](super::per_example).

use std::sync::Mutex;

use burn::tensor::{Gradients, Tensor};

use super::factors::{FactorSums, PieceSums, Views};
use super::{GradientError, GradientSink};
use crate::data::{Split, Targets};
use crate::models::parameter::to_f32;
use crate::models::{Adapter, Batch, LoraLinear, Model, Pass, ops, repeated};
use crate::{batching, objectives};

/// What gradients are taken of.
#[derive(Clone, Copy)]
pub(super) enum Asked {
    Loss,
    Measurement,
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
    /// Positions at a time, of which an example alone may have more in its views.
    pub tokens: usize,
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
    fn losses(&self, batch: &Batch, pass: &mut Pass) -> Tensor<2> {
        let objective = objectives::of(self.targets.unwrap_or(&self.split.targets));
        match self.asked {
            Asked::Loss => objective.losses(self.model, batch, pass),
            Asked::Measurement => objective.measurement(self.model, batch, pass),
        }
    }

    /// Takes the gradients of a piece; returns its losses.
    pub(super) fn of_piece(&self, piece: usize) -> Result<Vec<f32>, GradientError> {
        // from here on, so that whoever waits for this piece hears of a panic in it
        let mut sums = self.sums.map(|sums| sums.piece(piece));
        let mut batch = self.batch(piece);
        let Views { all, stacked } = views(&batch);
        let parts = self.parts(piece, &batch.targets).into_iter();
        let mut parts = parts.map(|targets| {
            let share = targets.views() as f32 / all as f32;
            batch.targets = targets;
            (share, self.of_batch(&batch, sums.as_mut()))
        });
        let (mut share, (mut losses, mut tensors)) =
            parts.next().expect("every example has targets");
        for (other, (more, rows)) in parts {
            let weigh = |values: &mut Vec<f32>, more: Vec<f32>| {
                let pairs = values.iter_mut().zip(more);
                pairs.for_each(|(value, more)| *value = *value * share + more * other);
            };
            weigh(&mut losses, more);
            for (tensor, rows) in tensors.iter_mut().zip(rows) {
                if stacked > 1 {
                    tensor.extend(rows);
                } else {
                    weigh(tensor, rows);
                }
            }
            // the first part is weighed together with the second
            share = 1.0;
        }
        self.write(piece, 0, &tensors)?;
        Ok(losses)
    }

    /// The targets of a piece, timesteps of an example that alone has more than [`Self::tokens`] positions some at a time,
    /// unless they are summed up for factors.
    fn parts(&self, piece: usize, targets: &Targets) -> Vec<Targets> {
        match (&self.pieces[piece][..], self.sums) {
            (&[example], None) => {
                let length = batching::length(self.split, example).max(1);
                targets.clone().in_parts(self.tokens / length)
            }
            _ => vec![targets.clone()],
        }
    }

    /// Losses of a batch, and one `[n, d]` matrix for each gradient tensor.
    fn of_batch(
        &self,
        batch: &Batch,
        mut sums: Option<&mut PieceSums<'_>>,
    ) -> (Vec<f32>, Vec<Vec<f32>>) {
        let mut pass = Pass::Probed(Vec::new());
        let (losses, mut grads) = self.backward(batch, &mut pass);
        let adapters = self.model.probed().into_iter();
        // what is trained in full comes after them
        let adapters = adapters
            .map(LoraLinear::adapter)
            .chain(std::iter::repeat(None));
        let mut sites: Vec<_> = pass.into_sites().into_iter().zip(adapters).collect();
        // sums go from the first layer to the last; layers that are led through again are asked for from the last to the first
        let reversed = sums.is_none();
        if reversed {
            sites.reverse();
        }
        let tensors = sites.into_iter().map(|(site, adapter)| {
            let (x, delta) = site.take(&mut grads);
            contracted(x, delta, adapter, batch, sums.as_deref_mut())
        });
        let mut tensors: Vec<Vec<Vec<f32>>> = tensors.collect();
        if reversed {
            tensors.reverse();
        }
        (losses, tensors.into_iter().flatten().collect())
    }

    /// Losses of a batch, a number for every example, and the gradients of its backward pass.
    pub(super) fn backward(&self, batch: &Batch, pass: &mut Pass) -> (Vec<f32>, Gradients) {
        let Views { all, stacked } = views(batch);
        let losses = self.losses(batch, pass);
        let grads = (losses.clone().sum() / (all / stacked) as f64).backward();
        let losses = to_f32(losses.inner().into_data());
        (objectives::mean_over_views(&losses, batch.len()), grads)
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
