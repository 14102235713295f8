//! Images that a diffusion pipeline makes of prompts, with or without a LoRA on its UNet.
//!
//! In: the folder of a pipeline, prompts, a UNet as it is or fine-tuned, noise. Out: images.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};
use thiserror::Error;

use crate::batching;
use crate::data::{Picture, Targets};
use crate::models::diffusion::encode::{TextStates, text_states};
use crate::models::diffusion::sampling::sample;
use crate::models::diffusion::{PipelineConfig, PipelineError, Sampling, Vae};
use crate::models::parameter::to_f32;
use crate::models::{Batch, Model, ModelError, ModelInput, Pass};
use crate::random;
use crate::tasks::text::{CaptionEncoder, TokenizerError};

/// Points of latents that go through the UNet together on the CPU, guidance included; at least one image.
const POINTS: usize = 512;

/// Why there are no images.
#[derive(Debug, Error)]
pub enum SamplingError {
    /// The pipeline.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// Its tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// Its UNet.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// More steps than the schedule has, or none.
    #[error(
        "{found} sampling steps; allowed: 1 to {most}, the timesteps that the pipeline was trained with"
    )]
    Steps {
        /// Steps asked for.
        found: usize,
        /// Timesteps of the schedule.
        most: usize,
    },
    /// A side that the latents do not divide.
    #[error(
        "an image of {width} x {height} pixels; allowed: multiples of {factor}, the size of a latent"
    )]
    Size {
        /// Pixels a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Pixels a latent, along a side.
        factor: usize,
    },
    /// Sampling or decoding gave NaN or infinity.
    #[error("image {} is not finite: weights of the pipeline or the adapter are damaged, or too large for f32", index + 1)]
    NotFinite {
        /// The image, from 0.
        index: usize,
    },
}

/// The frozen parts of a pipeline, with prompts for its UNet.
pub struct Sampler {
    pipeline: PipelineConfig,
    vae: Vae,
    prompts: TextStates,
    empty: Vec<f32>,
    device: Device,
}

impl Sampler {
    /// Opens autoencoder and text encoder of the pipeline in `folder`, and encodes `prompts`.
    ///
    /// # Errors
    /// Files that are missing or damaged, prompts that cannot be encoded.
    pub fn open(folder: &Path, prompts: &[&str], device: &Device) -> Result<Self, SamplingError> {
        let pipeline = PipelineConfig::read(folder)?;
        let tokenizer = CaptionEncoder::open(folder)?;
        let with_empty: Vec<&str> = [""].into_iter().chain(prompts.iter().copied()).collect();
        let ids = tokenizer.encode(&with_empty)?.ids;
        let mut states = text_states(&pipeline, &ids, device)?;
        // every distinct text once: the empty one came first
        let empty = states.states[states.captions[0]].clone();
        states.captions.remove(0);
        Ok(Self {
            vae: pipeline.load_vae(device)?,
            pipeline,
            prompts: states,
            empty,
            device: device.clone(),
        })
    }

    /// The pipeline's UNet without adapters, for images of this width and height.
    ///
    /// # Errors
    /// Sides that the latents do not divide, weights that cannot be loaded.
    pub fn unet(&self, size: [usize; 2]) -> Result<Model, SamplingError> {
        let [_, height, width] = self.latents_of(size)?;
        let input = self.pipeline.input([height, width]);
        Ok(Model::of_pipeline(&self.pipeline, &input, &self.device)?)
    }

    /// Width and height of the images that the pipeline was trained for, where its files say so.
    pub fn size(&self) -> Option<[usize; 2]> {
        let side = self.pipeline.unet.sample_size?;
        Some([side * self.pipeline.vae.factor(); 2])
    }

    /// Channels, height and width of the latents of images of this width and height.
    ///
    /// # Errors
    /// Sides that are no multiple of a latent's.
    pub fn latents_of(&self, [width, height]: [usize; 2]) -> Result<[usize; 3], SamplingError> {
        let factor = self.pipeline.vae.factor();
        let fits = |side: usize| side > 0 && side.is_multiple_of(factor);
        if !fits(width) || !fits(height) {
            return Err(SamplingError::Size {
                width,
                height,
                factor,
            });
        }
        Ok([self.pipeline.unet.inputs, height / factor, width / factor])
    }

    /// Normal numbers that images begin with, `each` of every prompt and one prompt after another, row-major `[prompts,
    /// each, channels, height, width]`. Those of image j of prompt k depend on (seed, k, j) alone.
    pub fn noise(&self, seed: u64, each: usize, shape: [usize; 3]) -> Vec<f32> {
        let prompts = self.prompts.captions.len();
        let places = (0..prompts).flat_map(|prompt| (0..each).map(move |image| [prompt, image]));
        let of_image = |[prompt, image]: [usize; 2]| {
            let mut rng = random::rng(seed, "sampling", &format!("{prompt}/{image}"));
            let count = 0..shape.iter().product();
            count.map(move |_: usize| StandardNormal.sample(&mut rng))
        };
        places.flat_map(of_image).collect()
    }

    /// The images of `unet` for every prompt, `each` of one after those of another, from such [noise](Self::noise).
    ///
    /// # Errors
    /// More steps than there are timesteps; numbers that are not finite.
    pub fn images(
        &self,
        unet: &Model,
        each: usize,
        noise: &[f32],
        shape: [usize; 3],
        sampling: Sampling,
    ) -> Result<Vec<Picture>, SamplingError> {
        let most = self.pipeline.schedule.len();
        if !(1..=most).contains(&sampling.steps) {
            let found = sampling.steps;
            return Err(SamplingError::Steps { found, most });
        }
        let size: usize = shape.iter().product();
        let together = (POINTS / (2 * shape[1] * shape[2])).max(1);
        let prompts = 0..self.prompts.captions.len();
        let prompts = prompts.flat_map(|prompt| std::iter::repeat_n(prompt, each));
        let prompts: Vec<usize> = prompts.collect();
        let pieces: Vec<&[usize]> = prompts.chunks(together).collect();
        let mut unet = unet.clone();
        unet.freeze();
        let work = |piece: usize| {
            let (prompts, first) = (pieces[piece], piece * together);
            let noise = &noise[first * size..(first + prompts.len()) * size];
            self.piece(&unet, prompts, noise, shape, sampling, first)
        };
        // fewer pieces than threads: each divides its own work
        let found: Vec<_> = if pieces.len() < rayon::current_num_threads() {
            (0..pieces.len()).map(work).collect()
        } else {
            batching::map_on(&self.device, pieces.len(), work)
        };
        let found: Result<Vec<Vec<Picture>>, _> = found.into_iter().collect();
        Ok(found?.into_iter().flatten().collect())
    }

    /// Images that go through the network together; the first of them is number `first` of all.
    fn piece(
        &self,
        unet: &Model,
        prompts: &[usize],
        noise: &[f32],
        shape: [usize; 3],
        sampling: Sampling,
        first: usize,
    ) -> Result<Vec<Picture>, SamplingError> {
        let (n, [c, h, w]) = (prompts.len(), shape);
        let known = &self.prompts;
        let states = |texts: Vec<f32>, n| {
            let dims = [n, known.tokens, self.pipeline.text.hidden];
            Tensor::<3>::from_data(TensorData::new(texts, dims), &self.device)
        };
        let texts = prompts.iter();
        let texts = texts.flat_map(|&prompt| &known.states[known.captions[prompt]]);
        let text = states(texts.copied().collect(), n);
        let empty = states(self.empty.clone(), 1);
        let noise = TensorData::new(noise.to_vec(), [n, c, h, w]);
        let predict = |x: Tensor<4>, timesteps: &[usize], text: &Tensor<3>| {
            let dims = x.dims();
            let batch = Batch {
                input: ModelInput::Latents {
                    x,
                    deviations: None,
                    mirrored: None,
                    text: text.clone(),
                },
                types: None,
                lengths: None,
                attended: None,
                timesteps: Some(timesteps.to_vec()),
                targets: Targets::Classes(Vec::new()),
                device: self.device.clone(),
            };
            unet.output(&batch, &mut Pass::Plain).reshape(dims)
        };
        let latents = sample(
            predict,
            &self.pipeline.schedule,
            Tensor::from_data(noise, &self.device),
            &text,
            &empty,
            sampling,
        );
        let images = self.vae.decode(self.vae.unscale(latents));
        let [_, channels, height, width] = images.dims();
        let values = to_f32(images.into_data());
        let images = values.chunks_exact(channels * height * width).enumerate();
        images
            .map(|(at, values)| {
                if values.iter().all(|value| value.is_finite()) {
                    Ok(Picture::from_values(values, width, height))
                } else {
                    Err(SamplingError::NotFinite { index: first + at })
                }
            })
            .collect()
    }
}
