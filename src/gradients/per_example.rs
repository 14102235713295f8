//! Per-example gradients from one forward and one backward pass a batch.
//!
//! A leaf hangs on the output of every adapted layer and of the head. The backward pass of the summed
//! losses leaves in it δ, the gradient of every example's own loss at that output; then, for
//! y = W x + s·B A x with x `[t, in]` and δ `[t, out]` of one example,
//!
//!   grad A = s·(δ B)ᵀ x,  grad B = s·δᵀ (x Aᵀ),  grad W_head = δᵀ x,
//!
//! each for all examples of the batch at once. Nothing is computed below the first adapted layer, and
//! no gradient of a frozen weight. Dropout is off.

use std::sync::Mutex;

use super::{GradientError, GradientSink};
use crate::models::parameter::to_f32;
use crate::models::{Adapter, Model, Pass, losses, ops};
use crate::tasks::Split;
use crate::{batching, workers};

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
    let all: Vec<usize> = (0..split.len()).collect();
    let pieces = batching::pieces(split, &all, tokens);
    let mut model = model.clone();
    model.freeze();
    let sink = Mutex::new(sink);
    let results = workers::map(pieces.len(), |index| {
        let indices = &pieces[index];
        let (losses, tensors) = of_batch(&model, split, indices);
        let mut sink = sink
            .lock()
            .expect("a panic in another piece ends this call");
        for (tensor, rows) in tensors.iter().enumerate() {
            write(&mut **sink, tensor, indices, rows)?;
        }
        Ok(losses)
    });
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

/// Writes one row an example, runs of consecutive examples at once.
fn write(
    sink: &mut dyn GradientSink,
    tensor: usize,
    indices: &[usize],
    rows: &[f32],
) -> Result<(), GradientError> {
    let width = rows.len() / indices.len().max(1);
    let mut start = 0;
    for run in indices.chunk_by(|a, b| a + 1 == *b) {
        let rows = &rows[start * width..(start + run.len()) * width];
        sink.write_rows(tensor, run[0], rows)
            .map_err(|source| GradientError::Sink {
                tensor,
                first_row: run[0],
                source,
            })?;
        start += run.len();
    }
    Ok(())
}

/// Losses, and one `[n, d]` matrix a gradient tensor.
fn of_batch(model: &Model, split: &Split, indices: &[usize]) -> (Vec<f32>, Vec<Vec<f32>>) {
    let batch = batching::batch(split, indices, model.device());
    let mut pass = Pass::Probed(Vec::new());
    let losses = losses(model.logits(&batch, &mut pass), batch.labels);
    let mut grads = losses.clone().sum().backward();
    let Pass::Probed(sites) = pass else {
        unreachable!("a pass keeps its kind")
    };
    let mut adapters = model.adapted().into_iter().map(|linear| linear.adapter());
    let mut tensors = Vec::new();
    for site in sites {
        let (x, delta) = site.take(&mut grads);
        match adapters.next().flatten() {
            Some(Adapter { a, b, scale }) => {
                tensors.extend(ops::adapter_gradients(x, delta, a, b, *scale));
            }
            None => tensors.push(ops::weight_gradients(x, delta)),
        }
    }
    (to_f32(losses.inner().into_data()), tensors)
}
