//! Images to latents and captions to text states, by the frozen parts of a pipeline.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::Vae;
use super::error::PipelineError;
use super::pipeline::PipelineConfig;
use crate::checkpoints::layout::{TEXT_ENCODER, VAE};
use crate::data::{CaptionedImages, Latents, Moments, Picture, Posterior};
use crate::models::Pass;
use crate::models::parameter::to_f32;

/// Pixels that the autoencoder is given at a time, at least one image.
const PIXELS: usize = 32 * 32 * 32;
/// Captions that the text encoder is given at a time.
const CAPTIONS: usize = 32;

/// The inputs of the pipeline's UNet, with the images mirrored, too, when `mirrored` asks.
///
/// # Errors
/// When the weights of the autoencoder or the text encoder cannot be loaded, or make something that is not finite of an
/// image or a caption.
pub fn inputs(
    pipeline: &PipelineConfig,
    images: &CaptionedImages,
    posterior: Posterior,
    mirrored: bool,
    device: &Device,
) -> Result<Latents, PipelineError> {
    let vae = pipeline.load_vae(device)?;
    let encode = |turn| moments(pipeline, &vae, (images, turn), posterior, device);
    let (moments, shape) = encode(Picture::clone)?;
    let mirrored = mirrored.then(|| encode(Picture::mirrored)).transpose()?;
    let texts = text_states(pipeline, &images.captions, device)?;
    Ok(Latents {
        moments,
        mirrored: mirrored.map(|(moments, _)| moments),
        shape,
        tokens: texts.tokens,
        width: pipeline.text.hidden,
        texts: texts.states,
        captions: texts.captions,
    })
}

/// What the autoencoder makes of images after `turn`, and the shape of their latents.
fn moments(
    pipeline: &PipelineConfig,
    vae: &Vae,
    (images, turn): (&CaptionedImages, fn(&Picture) -> Picture),
    posterior: Posterior,
    device: &Device,
) -> Result<(Moments, [usize; 3]), PipelineError> {
    let mut shape = [pipeline.unet.inputs, 0, 0];
    let (width, height) =
        (images.pictures.first()).map_or((1, 1), |first| (first.width, first.height));
    let together = (PIXELS / (width * height)).max(1);
    let (mut means, mut deviations) = (Vec::new(), Vec::new());
    for (piece, chunk) in images.pictures.chunks(together).enumerate() {
        let values = chunk.iter().flat_map(|picture| turn(picture).values());
        let values = TensorData::new(
            values.collect::<Vec<f32>>(),
            [chunk.len(), 3, height, width],
        );
        let found = vae.encode(Tensor::from_data(values, device));
        shape.copy_from_slice(&found.mean.dims()[1..]);
        // the shift goes with the mean only
        let spread = (found.log_variance * 0.5).exp() * pipeline.vae.scaling_factor;
        let mean = to_f32(vae.scale(found.mean).into_data());
        let spread = to_f32(spread.into_data());
        let size = mean.len() / chunk.len();
        let mut pairs = mean.iter().zip(&spread);
        if let Some(at) = pairs.position(|(m, s)| !m.is_finite() || !s.is_finite()) {
            let file = &images.files[piece * together + at / size];
            return Err(PipelineError::Image {
                image: file.clone(),
                autoencoder: pipeline.part(VAE),
            });
        }
        means.extend(mean);
        deviations.extend(spread);
    }
    let deviations = (posterior == Posterior::Sample).then_some(deviations);
    Ok((Moments { means, deviations }, shape))
}

/// Inputs of the form of [`inputs`], all zeros: what a forecast needs.
pub fn blank(pipeline: &PipelineConfig, images: &CaptionedImages) -> Latents {
    let factor = pipeline.vae.factor();
    let first = images.pictures.first();
    let side = |side: fn(&Picture) -> usize| first.map_or(1, |first| (side(first) / factor).max(1));
    let shape = [pipeline.unet.inputs, side(|p| p.height), side(|p| p.width)];
    let (n, tokens) = (
        images.pictures.len(),
        images.captions.first().map_or(0, Vec::len),
    );
    Latents {
        moments: Moments {
            means: vec![0.0; n * shape.iter().product::<usize>()],
            deviations: None,
        },
        mirrored: None,
        shape,
        texts: [vec![0.0; tokens * pipeline.text.hidden]].into(),
        captions: vec![0; n],
        tokens,
        width: pipeline.text.hidden,
    }
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
            let encoder = pipeline.part(TEXT_ENCODER);
            return Err(PipelineError::Captions { encoder });
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
