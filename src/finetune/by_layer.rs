//! Gradients of a batch for a model whose layers are in memory one at a time.
//!
//! Every layer is led through twice, as for [per-example gradients](crate::gradients::per_example); the second time dropout
//! drops what it dropped the first time.

use std::collections::HashMap;

use super::step::Step;
use crate::batching::streaming;
use crate::models::Layered;

/// For every piece the sum of its losses, and the gradients of what is trained, in the order of the model's parameters.
pub(super) fn gradients(step: &Step, layered: &dyn Layered) -> Vec<(f64, Vec<Vec<f32>>)> {
    let (model, roles) = (step.model, step.run.roles);
    let mut order = model.clone();
    let order = order.parameters().into_iter();
    let order = order.filter(|parameter| roles.contains(&parameter.role));
    let order: Vec<String> = order.map(|parameter| parameter.name).collect();
    let states = streaming::gradients(
        (model, layered),
        step.run.split,
        step.pieces,
        |piece| step.batch(piece),
        |batch, pass| {
            let (loss, grads) = step.losses(model, batch, pass);
            ((loss, HashMap::new()), grads)
        },
        |turn, (_, taken)| {
            for mut parameter in turn.stage.parameters() {
                if roles.contains(&parameter.role) {
                    parameter.slot.require_grad();
                }
            }
            let mut grads = turn.gradients();
            for parameter in turn.stage.parameters() {
                if roles.contains(&parameter.role) {
                    let gradient = parameter.slot.take_grad(&mut grads);
                    taken.insert(parameter.name, gradient);
                }
            }
            grads
        },
    );
    let in_order = |(loss, mut taken): (f64, HashMap<String, Vec<f32>>)| {
        let gradients = order.iter().map(|name| taken.remove(name));
        let gradients: Option<Vec<_>> = gradients.collect();
        (loss, gradients.expect("what is trained is in the layers"))
    };
    states.into_iter().map(in_order).collect()
}
