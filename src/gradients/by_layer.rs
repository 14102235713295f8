//! Per-example gradients of a model whose layers are in memory one at a time.
//!
//! A chunk of examples goes up through all layers, their inputs kept; the loss on top gives the gradients δ of the last
//! layer's output; on the way down each layer leaves x and δ of its adapted matrices, which are contracted before the next
//! layer is read. The results are those of the whole model, to rounding.

use burn::tensor::Gradients;

use super::GradientError;
use super::work::{Work, contracted};
use crate::batching::{self, streaming};
use crate::models::{Layered, LoraLinear, Pass};

/// Losses of every piece, or why there are none.
type Losses = Vec<Result<Vec<f32>, GradientError>>;

/// Takes the gradients of all pieces.
pub(super) fn collect(work: &Work, layered: &dyn Layered) -> Losses {
    let model = work.model;
    let lowest = model.layers_below_adapters();
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
    let chunks = streaming::chunks(model, work.split, work.pieces, model.layers() - lowest);
    let of_chunk = |chunk: std::ops::Range<usize>| {
        let batches = chunk.clone().map(|piece| (work.batch(piece), Pass::Plain));
        let led = streaming::forward(layered, batches.collect(), lowest, model.layers());
        let (losses, deltas): (Vec<_>, Vec<_>) =
            batching::map_on(model.device(), led.len(), |index| {
                let led = &led[index];
                let top = led.output.clone().autodiff().require_grad();
                let batch = led.further(top.clone());
                let (losses, mut grads) = work.backward(&batch, &mut Pass::Probed(Vec::new()));
                let delta = top.grad_remove(&mut grads);
                (losses, delta.expect("the loss depends on the last layer"))
            })
            .into_iter()
            .unzip();
        let refusals: Vec<_> = led.iter().map(|_| std::sync::Mutex::new(Ok(()))).collect();
        streaming::backward(layered, led, deltas, |turn| -> Gradients {
            let piece = chunk.start + turn.piece;
            let first = first_tensors[turn.layer];
            let mut sums = work.sums.map(|sums| sums.piece_from(piece, first));
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
            if let Err(error) = work.write(piece, first, &tensors) {
                let mut refused = refusals[turn.piece]
                    .lock()
                    .expect("only this piece locks it");
                *refused = Err(error);
            }
            grads
        });
        let refusals = refusals.into_iter().map(|refused| {
            let refused = refused.into_inner();
            refused.expect("a panic in a piece ends the call")
        });
        let results = losses.into_iter().zip(refusals);
        results
            .map(|(losses, refused)| refused.map(|()| losses))
            .collect::<Losses>()
    };
    chunks.into_iter().flat_map(of_chunk).collect()
}
