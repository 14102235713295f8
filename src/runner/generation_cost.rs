//! What answers and samples for the report cost, floating-point operations, for the forecast.

use std::collections::BTreeSet;

use super::answers::{NEW_TOKENS, first_of_classes};
use super::passes::multiplied;
use crate::batching;
use crate::config::Outputs;
use crate::data::{Inputs, TaskData};
use crate::models::Model;
use crate::models::diffusion::PipelineConfig;

/// Rows of a product that take as long as its weights take to be read from memory: a few new tokens cost as much as this many.
const ROWS_OF_A_READ: usize = 40;

/// Of the answers of `outputs.answers` and the samples of `outputs.samples`, before and after the fine-tune; `pipeline` is
/// the model's, if it has one.
pub(super) fn generation(
    outputs: &Outputs,
    data: &TaskData,
    model: &mut Model,
    pipeline: Option<&PipelineConfig>,
) -> f64 {
    2.0 * (answers(outputs.answers, data, model) + samples(outputs, data, model, pipeline))
}

/// Prompts as a whole, then a pass over all weights for every new token.
fn answers(count: usize, data: &TaskData, model: &mut Model) -> f64 {
    let texts = data.texts.as_ref();
    let Some(texts) = texts.filter(|texts| count > 0 && !texts.questions.is_empty()) else {
        return 0.0;
    };
    let order = first_of_classes(texts.questions.len(), data.truth.query_classes.as_deref());
    let asked = order.into_iter().take(count);
    let prompts: Vec<usize> = asked
        .map(|query| texts.questions[query].ids.len())
        .collect();
    let rows = prompts.iter().sum::<usize>() + NEW_TOKENS * prompts.len().max(ROWS_OF_A_READ);
    let parameters: f64 = multiplied(model).iter().sum();
    2.0 * parameters * rows as f64
}

/// Predictions at every step, two with guidance, and the decoder.
fn samples(
    outputs: &Outputs,
    data: &TaskData,
    model: &Model,
    pipeline: Option<&PipelineConfig>,
) -> f64 {
    let (Inputs::Latents(latents), Some(images), Some(pipeline), Some(row)) = (
        &data.query.inputs,
        &data.images,
        pipeline,
        batching::row_cost(model, &data.query),
    ) else {
        return 0.0;
    };
    let captions: BTreeSet<&String> = images[1].texts.iter().collect();
    let settings = outputs.samples;
    let drawn = settings.prompts.min(captions.len()) * settings.images;
    let guided = if settings.sampling.guidance == 1.0 {
        1.0
    } else {
        2.0
    };
    let [_, height, width] = latents.shape;
    let steps = settings.sampling.steps as f64;
    drawn as f64 * guided * steps * row.forward + pipeline.decoding(drawn, [height, width])
}
