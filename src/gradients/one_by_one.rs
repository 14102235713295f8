//! The obvious way, kept as the oracle: batches of one, automatic differentiation of A, B and head.

use super::{GradientError, GradientSink};
use crate::batching;
use crate::data::Split;
use crate::models::parameter::to_f32;
use crate::models::{Model, Pass, Role};
use crate::objectives;

/// Gradients of every example's loss into `sink`, row i for example i; returns the losses.
///
/// # Errors
/// When a loss is not finite, or the sink refuses.
pub fn collect(
    model: &Model,
    split: &Split,
    sink: &mut dyn GradientSink,
) -> Result<Vec<f32>, GradientError> {
    let names: Vec<String> = model
        .gradient_tensors()
        .into_iter()
        .map(|tensor| tensor.name)
        .collect();
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
            let losses = objective.losses(&model, &batch, &mut Pass::Plain);
            let mut grads = losses.clone().sum().backward();
            let loss = to_f32(losses.inner().into_data())[0];
            if !loss.is_finite() {
                return Err(GradientError::NotFinite { example, loss });
            }
            for parameter in model.parameters() {
                if let Some(tensor) = names.iter().position(|name| *name == parameter.name) {
                    let row = parameter.slot.take_grad(&mut grads);
                    sink.write_rows(tensor, example, &row).map_err(|source| {
                        GradientError::Sink {
                            tensor,
                            first_row: example,
                            source,
                        }
                    })?;
                }
            }
            Ok(loss)
        })
        .collect()
}
