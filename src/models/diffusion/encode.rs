//! Images to latents and captions to text states, by the frozen parts of a pipeline.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};
use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::PipelineError;
use super::pipeline::PipelineConfig;
use crate::data::{Latents, Picture};
use crate::models::Pass;
use crate::models::parameter::to_f32;

/// Pixels that the autoencoder is given at a time, at least one image.
const PIXELS: usize = 32 * 32 * 32;
/// Captions that the text encoder is given at a time.
const CAPTIONS: usize = 32;

/// What of the autoencoder's posterior stands for an image.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Posterior {
    /// A sample, drawn anew with every draw of noise, as in the paper's code and diffusers' training scripts.
    #[default]
    Sample,
    /// The mean.
    Mean,
}

/// The inputs of the pipeline's UNet: `pictures`, which have one size, and their captions as token ids.
///
/// # Errors
/// When the weights of the autoencoder or the text encoder cannot be loaded, or make something that is not finite of an
/// image or a caption.
pub fn inputs(
    pipeline: &PipelineConfig,
    pictures: &[Picture],
    captions: &[Vec<u32>],
    posterior: Posterior,
    device: &Device,
) -> Result<Latents, PipelineError> {
    let vae = pipeline.load_vae(device)?;
    let (width, height) = pictures
        .first()
        .map_or((1, 1), |first| (first.width, first.height));
    let (mut means, mut deviations) = (Vec::new(), Vec::new());
    let mut shape = [pipeline.unet.inputs, 0, 0];
    for (piece, chunk) in pictures
        .chunks((PIXELS / (width * height)).max(1))
        .enumerate()
    {
        let values: Vec<f32> = chunk.iter().flat_map(Picture::values).collect();
        let images = TensorData::new(values, [chunk.len(), 3, height, width]);
        let found = vae.encode(Tensor::from_data(images, device));
        shape.copy_from_slice(&found.mean.dims()[1..]);
        // the shift goes with the mean only
        let spread = (found.log_variance * 0.5).exp() * pipeline.vae.scaling_factor;
        let mean = to_f32(vae.scale(found.mean).into_data());
        let spread = to_f32(spread.into_data());
        let size = mean.len() / chunk.len();
        let odd = mean
            .iter()
            .zip(&spread)
            .position(|(m, s)| !m.is_finite() || !s.is_finite());
        if let Some(at) = odd {
            let first = piece * (PIXELS / (width * height)).max(1);
            return Err(PipelineError::Image {
                index: first + at / size,
            });
        }
        means.extend(mean);
        deviations.extend(spread);
    }
    let texts = text_states(pipeline, captions, device)?;
    Ok(Latents {
        means,
        deviations: (posterior == Posterior::Sample).then_some(deviations),
        shape,
        tokens: texts.tokens,
        width: pipeline.text.hidden,
        texts: texts.states,
        captions: texts.captions,
    })
}

/// What the text encoder makes of captions.
pub struct TextStates {
    /// States of every distinct caption, row-major `[tokens, width]`.
    pub states: Arc<[Vec<f32>]>,
    /// Which of them each caption has.
    pub captions: Vec<usize>,
    /// Tokens of a caption.
    pub tokens: usize,
}

/// The states of captions, each distinct one computed once.
///
/// # Errors
/// As [`inputs`].
pub fn text_states(
    pipeline: &PipelineConfig,
    captions: &[Vec<u32>],
    device: &Device,
) -> Result<TextStates, PipelineError> {
    let encoder = pipeline.load_text(device)?;
    let mut distinct: Vec<&Vec<u32>> = Vec::new();
    let mut known = BTreeMap::new();
    let mut which = Vec::with_capacity(captions.len());
    for caption in captions {
        which.push(*known.entry(caption).or_insert_with(|| {
            distinct.push(caption);
            distinct.len() - 1
        }));
    }
    let mut states = Vec::with_capacity(distinct.len());
    for chunk in distinct.chunks(CAPTIONS) {
        let tokens = chunk[0].len();
        let ids: Vec<i64> = chunk
            .iter()
            .flat_map(|ids| ids.iter().map(|&id| i64::from(id)))
            .collect();
        let ids = TensorData::new(ids, [chunk.len(), tokens]);
        let found = encoder.encode(Tensor::<2, Int>::from_data(ids, device), &mut Pass::Plain);
        let found = to_f32(found.into_data());
        if found.iter().any(|value| !value.is_finite()) {
            return Err(PipelineError::Captions);
        }
        states.extend(
            found
                .chunks(tokens * pipeline.text.hidden)
                .map(<[f32]>::to_vec),
        );
    }
    Ok(TextStates {
        tokens: captions.first().map_or(0, Vec::len),
        states: states.into(),
        captions: which,
    })
}
