//! The obvious way, kept as the oracle: batches of one, automatic differentiation of A, B and head; a backward pass per
//! view where their gradients are concatenated.

use super::{GradientError, GradientSink};
use crate::batching;
use crate::data::Split;
use crate::models::parameter::to_f32;
use crate::models::{Model, Pass, Role};
use crate::objectives::{self, mean_over_views};

/// Gradients of every example's loss into `sink`, row i for example i; returns the losses.
///
/// # Errors
/// When a loss is not finite, or the sink refuses.
pub fn collect(
    model: &Model,
    split: &Split,
    sink: &mut dyn GradientSink,
) -> Result<Vec<f32>, GradientError> {
    let tensors = model.gradient_tensors().into_iter();
    let names: Vec<String> = tensors.map(|tensor| tensor.name).collect();
    let stacked = split.targets.stacked_views();
    let mut model = model.clone();
    for parameter in model
        .parameters()
        .iter_mut()
        .filter(|parameter| parameter.role != Role::Base || names.contains(&parameter.name))
    {
        parameter.slot.require_grad();
    }
    let objective = objectives::of(&split.targets);
    (0..split.len())
        .map(|example| {
            let batch = batching::batch(split, &[example], model.device());
            let mut rows = vec![Vec::new(); names.len()];
            let mut loss = 0.0;
            for view in 0..stacked {
                let losses = objective.losses(&model, &batch, &mut Pass::Plain);
                let values = to_f32(losses.clone().inner().into_data());
                loss = mean_over_views(&values, 1)[0];
                if !loss.is_finite() {
                    return Err(GradientError::NotFinite { example, loss });
                }
                let draws = losses.dims()[1] / stacked;
                let mut grads = losses.narrow(1, view * draws, draws).mean().backward();
                for parameter in model.parameters() {
                    if let Some(tensor) = names.iter().position(|name| *name == parameter.name) {
                        rows[tensor].extend(parameter.slot.take_grad(&mut grads));
                    }
                }
            }
            for (tensor, row) in rows.iter().enumerate() {
                sink.write_rows(tensor, example, row)
                    .map_err(|source| GradientError::Sink {
                        tensor,
                        first_row: example,
                        source,
                    })?;
            }
            Ok(loss)
        })
        .collect()
}
