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

use burn::tensor::Tensor;

use super::{GradientError, GradientSink};
use crate::models::parameter::to_f32;
use crate::models::{Adapter, Model, Pass, Site, losses};
use crate::tasks::{Inputs, Split};
use crate::{batching, workers};

/// Tokens that one thread takes at a time.
const TOKENS: usize = 512;

/// Examples that one thread takes at a time, for a split: about 512 tokens, whose
/// activations stay in its cache.
pub fn piece_size(split: &Split) -> usize {
    let tokens = match &split.inputs {
        Inputs::Tokens { max_length, .. } => *max_length,
        Inputs::Features { tokens, .. } => *tokens,
    };
    (TOKENS / tokens.max(1)).clamp(1, 256)
}

/// Gradients of every example's loss into `sink`, row i for example i; returns the losses.
///
/// `piece` examples are taken at a time on every thread ([`piece_size`] is a good choice); it changes
/// memory and speed, and the result by rounding at most.
///
/// # Errors
/// When a loss is not finite, or the sink refuses.
pub fn collect(
    model: &Model,
    split: &Split,
    piece: usize,
    sink: &mut dyn GradientSink,
) -> Result<Vec<f32>, GradientError> {
    let all: Vec<usize> = (0..split.len()).collect();
    let pieces = batching::pieces(split, &all, piece);
    let sink = Mutex::new(sink);
    let results = workers::map(pieces.len(), |index| {
        let indices = &pieces[index];
        let (losses, tensors) = of_batch(model, split, indices);
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
    for Site { x, probe } in sites {
        let delta = probe
            .grad_remove(&mut grads)
            .expect("every loss depends on the output of every layer");
        match adapters.next().flatten() {
            Some(adapter) => tensors.extend(of_adapter(adapter, x, delta)),
            None => tensors.push(to_f32(delta.swap_dims(1, 2).matmul(x).into_data())),
        }
    }
    (to_f32(losses.inner().into_data()), tensors)
}

/// grad A `[n, r·in]` and grad B `[n, out·r]` from x `[n, t, in]` and δ `[n, t, out]`.
fn of_adapter(adapter: &Adapter, x: Tensor<3>, delta: Tensor<3>) -> [Vec<f32>; 2] {
    let Adapter { a, b, scale } = adapter;
    let [n, t, inputs] = x.dims();
    let [outputs, rank] = b.dims();
    let back = delta
        .clone()
        .reshape([n * t, outputs])
        .matmul(b.clone() * *scale)
        .reshape([n, t, rank]);
    let low = x
        .clone()
        .reshape([n * t, inputs])
        .matmul(a.clone().transpose() * *scale)
        .reshape([n, t, rank]);
    let grad_a = back.swap_dims(1, 2).matmul(x);
    let grad_b = delta.swap_dims(1, 2).matmul(low);
    [grad_a, grad_b].map(|grad| to_f32(grad.into_data()))
}
