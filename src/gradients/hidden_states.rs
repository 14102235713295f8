//! Hidden states of a language model's last layer, for methods that compare examples by them.

use ndarray::{Array2, Axis};

use crate::batching::{self, streaming};
use crate::data::{HiddenStates, Split};
use crate::models::parameter::to_f32;
use crate::models::{Model, Pass};

/// The states after the final norm, without dropout, of every example of a split: at the last token that attention may
/// look at, and the mean over those tokens (summed in f64).
pub fn collect(model: &Model, split: &Split) -> HiddenStates {
    let all: Vec<usize> = (0..split.len()).collect();
    let pieces = batching::pieces(split, &all, batching::tokens_at_a_time(model));
    let attended = split.inputs.attended().cloned();
    let lengths = attended.unwrap_or_else(|| batching::lengths(split));
    let mut frozen = model.clone();
    frozen.freeze();
    let results =
        streaming::map_batches(&frozen, split, &pieces, model.layers(), |batch, piece| {
            let output = frozen.output(&batch, &mut Pass::Plain);
            let [_, t, width] = output.dims();
            let values = to_f32(output.inner().into_data());
            let examples = values.chunks_exact(t * width).zip(piece);
            let pooled = examples.map(|(values, &index)| {
                let seen = &values[..lengths[index] * width];
                let last = seen[seen.len() - width..].to_vec();
                let mut mean = vec![0.0f64; width];
                for token in seen.chunks_exact(width) {
                    mean.iter_mut()
                        .zip(token)
                        .for_each(|(sum, &value)| *sum += f64::from(value) / lengths[index] as f64);
                }
                (last, mean.into_iter().map(|x| x as f32).collect())
            });
            pooled.collect::<Vec<(Vec<f32>, Vec<f32>)>>()
        });
    let width = results
        .first()
        .and_then(|piece| piece.first())
        .map_or(0, |(last, _)| last.len());
    let [mut last, mut mean] = [(); 2].map(|()| Array2::zeros((split.len(), width)));
    for (indices, piece) in pieces.iter().zip(results) {
        for (&index, (at_last, over_all)) in indices.iter().zip(piece) {
            let row = |values: Vec<f32>| ndarray::Array1::from_vec(values);
            last.index_axis_mut(Axis(0), index).assign(&row(at_last));
            mean.index_axis_mut(Axis(0), index).assign(&row(over_all));
        }
    }
    HiddenStates { last, mean }
}
