//! Gradients of a batch for a model whose layers are in memory one at a time.
//!
//! Every layer is led through twice, as for [per-example gradients](crate::gradients::per_example); the second time dropout
//! drops what it dropped the first time.

use std::collections::HashMap;
use std::sync::Mutex;

use super::step::Step;
use crate::batching::{self, streaming};
use crate::models::{Layered, Pass};

/// For every piece the sum of its losses, and the gradients of what is trained, in the order of the model's parameters.
pub(super) fn gradients(step: &Step, layered: &dyn Layered) -> Vec<(f64, Vec<Vec<f32>>)> {
    let (model, roles) = (step.model, step.run.roles);
    let lowest = model.layers_below_adapters();
    let layers = model.layers();
    let chunks = streaming::chunks(model, step.run.split, step.pieces, layers - lowest);
    let of_chunk = |chunk: std::ops::Range<usize>| {
        let batches = chunk.map(|piece| step.batch(piece));
        let led = streaming::forward(layered, batches.collect(), lowest, layers);
        let tops = batching::map_on(model.device(), led.len(), |index| {
            let led = &led[index];
            let top = led.output.clone().autodiff().require_grad();
            let mut pass: Pass = led.pass.again();
            let (loss, mut grads) = step.losses(model, &led.further(top.clone()), &mut pass);
            let delta = top.grad_remove(&mut grads);
            (loss, delta.expect("the loss depends on the last layer"))
        });
        let (losses, deltas): (Vec<_>, Vec<_>) = tops.into_iter().unzip();
        let taken: Vec<_> = led.iter().map(|_| Mutex::new(HashMap::new())).collect();
        const HELD: &str = "only this piece locks it";
        streaming::backward(layered, led, deltas, |turn| {
            let parameters = turn.stage.parameters();
            for mut parameter in parameters {
                if roles.contains(&parameter.role) {
                    parameter.slot.require_grad();
                }
            }
            let mut grads = turn.gradients();
            let mut taken = taken[turn.piece].lock().expect(HELD);
            for parameter in turn.stage.parameters() {
                if roles.contains(&parameter.role) {
                    let gradient = parameter.slot.take_grad(&mut grads);
                    taken.insert(parameter.name, gradient);
                }
            }
            grads
        });
        let taken = taken.into_iter().map(|taken| {
            let mut taken = taken.into_inner().expect(HELD);
            let mut model = model.clone();
            let parameters = model.parameters().into_iter();
            let trained = parameters.filter(|parameter| roles.contains(&parameter.role));
            let gradient = |name: String| taken.remove(&name);
            let gradients = trained.map(|parameter| parameter.name).map(gradient);
            let gradients: Option<Vec<_>> = gradients.collect();
            gradients.expect("what is trained is in the layers")
        });
        losses.into_iter().zip(taken).collect::<Vec<_>>()
    };
    chunks.into_iter().flat_map(of_chunk).collect()
}
