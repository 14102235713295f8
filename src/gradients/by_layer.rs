//! Per-example gradients of a model whose layers are in memory one at a time.
//!
//! A chunk of examples goes up through all layers, their inputs kept; the loss on top gives the gradients δ of the last
//! layer's output; on the way down each layer leaves x and δ of its adapted matrices, which are contracted before the next
//! layer is read. The results are those of the whole model, to rounding.

use super::GradientError;
use super::work::{Work, contracted};
use crate::batching::streaming;
use crate::models::{Layered, LoraLinear, Pass};

/// Takes the gradients of all pieces; their losses, or why there are none.
pub(super) fn collect(work: &Work, layered: &dyn Layered) -> Vec<Result<Vec<f32>, GradientError>> {
    let model = work.model;
    // tensors before each layer's
    let mut first_tensors = vec![0; model.layers() + 1];
    for linear in model.probed() {
        if let Some(layer) = model.layer_of(linear.name()) {
            first_tensors[layer + 1] += if linear.adapter().is_some() { 2 } else { 1 };
        }
    }
    for layer in 0..model.layers() {
        first_tensors[layer + 1] += first_tensors[layer];
    }
    streaming::gradients(
        (model, layered),
        work.split,
        work.pieces,
        |piece| (work.batch(piece), Pass::Plain),
        |batch, pass| {
            let (losses, grads) = work.backward(batch, pass);
            (Ok(losses), grads)
        },
        |turn, losses| {
            let first = first_tensors[turn.layer];
            let mut sums = work.sums.map(|sums| sums.piece_from(turn.piece, first));
            turn.pass = Pass::Probed(Vec::new());
            let mut grads = turn.gradients();
            let sites = std::mem::replace(&mut turn.pass, Pass::Plain).into_sites();
            let linears = turn.stage.linears().into_iter();
            let probed = linears.filter(|linear| linear.is_probed());
            let mut tensors = Vec::new();
            for (site, linear) in sites.into_iter().zip(probed) {
                let (x, delta) = site.take(&mut grads);
                let adapter = LoraLinear::adapter(linear);
                tensors.extend(contracted(x, delta, adapter, turn.batch(), sums.as_mut()));
            }
            if let Err(error) = work.write(turn.piece, first, &tensors) {
                *losses = Err(error);
            }
            grads
        },
    )
}
