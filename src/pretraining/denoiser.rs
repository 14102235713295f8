//! Training of UNet and text encoder together: mean square error of the predicted noise at timesteps drawn uniformly (Ho et
//! al., 2020), some captions left empty for guidance.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::training::Trainee;
use crate::batching;
use crate::models::Pass;
use crate::models::diffusion::{ClipText, Schedule, Unet};
use crate::models::network::Network;
use crate::models::parameter::{Parameter, to_f32};
use crate::random::{self, Rng};

/// Examples whose loss a thread computes at a time.
const PIECE: usize = 16;

/// Latents and captions of images.
#[derive(Clone, Debug)]
pub(super) struct Latents {
    /// Means of the posterior, scaled, row-major `[images, channels, h, w]`.
    pub means: Vec<f32>,
    /// Standard deviations, scaled.
    pub deviations: Vec<f32>,
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// Token ids of every caption.
    pub captions: Vec<Vec<u32>>,
    /// Token ids of the empty caption.
    pub empty: Vec<u32>,
}

/// UNet and text encoder with what they are trained on.
#[derive(Clone)]
pub(super) struct Denoiser {
    pub unet: Unet,
    pub text: ClipText,
    pub schedule: Schedule,
    pub latents: Arc<Latents>,
    /// The first so many images are trained on.
    pub trained: usize,
    /// Share of the captions that are left empty.
    pub empty_captions: f64,
    pub device: Device,
}

/// The examples of a step.
pub(super) struct Noised {
    /// √ᾱ z + √(1−ᾱ) ε.
    noisy: Vec<f32>,
    /// ε.
    noise: Vec<f32>,
    timesteps: Vec<usize>,
    ids: Vec<i64>,
}

impl Noised {
    fn new() -> Self {
        Self {
            noisy: Vec::new(),
            noise: Vec::new(),
            timesteps: Vec::new(),
            ids: Vec::new(),
        }
    }
}

impl Denoiser {
    /// Adds image `index` with noise at `timestep`.
    fn add(&self, batch: &mut Noised, index: usize, timestep: usize, empty: bool, rng: &mut Rng) {
        let latents = &self.latents;
        let size: usize = latents.shape.iter().product();
        let own = index * size..(index + 1) * size;
        let [signal, spread] = self.schedule.weights(timestep);
        let moments = latents.means[own.clone()]
            .iter()
            .zip(&latents.deviations[own]);
        for (mean, deviation) in moments {
            let [posterior, noise]: [f32; 2] = [(); 2].map(|()| StandardNormal.sample(rng));
            batch
                .noisy
                .push(signal * (mean + deviation * posterior) + spread * noise);
            batch.noise.push(noise);
        }
        batch.timesteps.push(timestep);
        let caption = if empty {
            &latents.empty
        } else {
            &latents.captions[index]
        };
        batch.ids.extend(caption.iter().map(|&id| i64::from(id)));
    }

    /// Mean loss of the images that are held out at each of `timesteps`, with noise that is the same every time.
    pub fn held_out(&self, timesteps: &[usize], seed: u64) -> Vec<f64> {
        let images = self.trained..self.latents.captions.len();
        let mean = |&timestep: &usize| {
            let mut batch = Noised::new();
            for index in images.clone() {
                let mut rng = random::rng(seed, "held out", &format!("{timestep}/{index}"));
                self.add(&mut batch, index, timestep, false, &mut rng);
            }
            let n = images.len();
            let losses = batching::map_on(&self.device, n.div_ceil(PIECE), |piece| {
                let range = piece * PIECE..((piece + 1) * PIECE).min(n);
                let losses = to_f32(self.losses(&batch, range).into_data());
                losses.into_iter().map(f64::from).sum::<f64>()
            });
            losses.into_iter().sum::<f64>() / n as f64
        };
        timesteps.iter().map(mean).collect()
    }
}

impl Trainee for Denoiser {
    type Batch = Noised;

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        let mut all = self.unet.parameters();
        all.extend(self.text.parameters());
        all
    }

    fn draw(&self, count: usize, rng: &mut Rng) -> Noised {
        let mut batch = Noised::new();
        for _ in 0..count {
            let index = rng.random_range(0..self.trained);
            let empty = rng.random::<f64>() < self.empty_captions;
            let timestep = rng.random_range(0..self.schedule.len());
            self.add(&mut batch, index, timestep, empty, rng);
        }
        batch
    }

    fn losses(&self, batch: &Noised, range: Range<usize>) -> Tensor<1> {
        let (n, [c, h, w]) = (range.len(), self.latents.shape);
        let rows = |values: &[f32]| {
            let size = c * h * w;
            let values = values[range.start * size..range.end * size].to_vec();
            Tensor::<4>::from_data(TensorData::new(values, [n, c, h, w]), &self.device)
        };
        let length = self.latents.empty.len();
        let ids = batch.ids[range.start * length..range.end * length].to_vec();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [n, length]), &self.device);
        let text = self.text.encode(ids, &mut Pass::Plain);
        let timesteps = &batch.timesteps[range.clone()];
        let predicted = self
            .unet
            .predict(rows(&batch.noisy), timesteps, &text, &mut Pass::Plain);
        let error = (predicted - rows(&batch.noise)).square();
        error.reshape([n, c * h * w]).mean_dim(1).squeeze_dim(1)
    }
}
