//! Activations below the first adapted layer, computed once.
//!
//! Fine-tuning changes adapters and head alone. Without dropout what the layers below the first adapted one make of an
//! example is therefore the same whenever it is looked at: for every evaluation, for the gradients, and, when the base
//! has no dropout while fine-tuning ([`while_training`]), in every epoch.

use crate::batching::{self, streaming};
use crate::data::{Inputs, Split};
use crate::models::parameter::to_f32;
use crate::models::{Dropout, Model};

/// Whether activations below the adapters are the same in every training pass.
pub fn while_training(dropout: Dropout) -> bool {
    !dropout.base.in_encoder()
}

/// Whether [`below_adapters`] keeps the activations of a split.
pub fn keeps(model: &Model, split: &Split, most: u64) -> bool {
    let tokens: usize = batching::lengths(split).iter().sum();
    let bytes = (tokens * model.width() * size_of::<f32>()) as u64;
    model.layers_below_adapters() > 0 && bytes <= most
}

/// The examples of a split as the first adapted layer of `model` sees them; none when there is no layer
/// below it, or when the activations would take more than `most` bytes.
pub fn below_adapters(model: &Model, split: &Split, most: u64) -> Option<Split> {
    if !keeps(model, split, most) {
        return None;
    }
    let layer = model.layers_below_adapters();
    let width = model.width();
    let mut frozen = model.clone();
    frozen.freeze();
    let all: Vec<usize> = (0..split.len()).collect();
    let pieces = batching::pieces(split, &all, batching::tokens_at_a_time(model));
    let lengths = batching::lengths(split);
    let results = streaming::map_batches(&frozen, split, &pieces, layer, |batch, piece| {
        let x = frozen.activations(&batch, layer);
        let padded = x.dims()[1] * width;
        let values = to_f32(x.inner().into_data());
        let rows = values.chunks_exact(padded).zip(piece);
        rows.map(|(row, &index)| row[..lengths[index] * width].to_vec())
            .collect::<Vec<_>>()
    });
    let mut rows = vec![Vec::new(); split.len()];
    for (indices, made) in pieces.iter().zip(results) {
        for (&index, row) in indices.iter().zip(made) {
            rows[index] = row;
        }
    }
    Some(Split {
        inputs: Inputs::Activations {
            rows,
            attended: split.inputs.attended().cloned(),
            width,
            layer,
        },
        targets: split.targets.clone(),
    })
}
