//! Training of the autoencoder: mean absolute and mean square error of the pixels, and the divergence of the posterior from
//! a standard normal distribution.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::training::Trainee;
use crate::batching;
use crate::data::Picture;
use crate::models::diffusion::Vae;
use crate::models::parameter::{Parameter, to_f32};
use crate::random::Rng;

/// Images that a thread encodes or decodes at a time.
const PIECE: usize = 16;

/// The autoencoder with its images.
#[derive(Clone)]
pub(super) struct Autoencoder<'a> {
    pub vae: Vae,
    pub pictures: &'a [&'a Picture],
    /// Weight of the divergence.
    pub kl: f64,
    /// Share of the images that are mirrored.
    pub flip: f64,
    /// Channels, height and width of the latents.
    pub latents: [usize; 3],
    pub device: Device,
}

/// Pixels and noise of every example of a step.
pub(super) struct Pixels {
    values: Vec<f32>,
    noise: Vec<f32>,
}

impl Trainee for Autoencoder<'_> {
    type Batch = Pixels;

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        self.vae.parameters()
    }

    fn draw(&self, count: usize, rng: &mut Rng) -> Pixels {
        let size = self.latents.iter().product::<usize>();
        let (mut values, mut noise) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let picture = self.pictures[rng.random_range(0..self.pictures.len())];
            let mirrored = rng.random::<f64>() < self.flip;
            values.extend(if mirrored {
                picture.mirrored().values()
            } else {
                picture.values()
            });
            noise.extend((0..size).map(|_| -> f32 { StandardNormal.sample(rng) }));
        }
        Pixels { values, noise }
    }

    fn losses(&self, batch: &Pixels, range: Range<usize>) -> Tensor<1> {
        let n = range.len();
        let (width, height) = (self.pictures[0].width, self.pictures[0].height);
        let rows = |values: &[f32], [c, h, w]: [usize; 3]| {
            let size = c * h * w;
            let values = values[range.start * size..range.end * size].to_vec();
            Tensor::<4>::from_data(TensorData::new(values, [n, c, h, w]), &self.device)
        };
        let x = rows(&batch.values, [3, height, width]);
        let posterior = self.vae.encode(x.clone());
        let mean = |x: Tensor<4>| -> Tensor<1> {
            let size = x.dims()[1..].iter().product::<usize>();
            x.reshape([n, size]).mean_dim(1).squeeze_dim(1)
        };
        let variance = posterior.log_variance.clone().exp();
        let spread = posterior.mean.clone().square() + variance - posterior.log_variance.clone();
        let kl = mean((spread - 1.0) * 0.5);
        let noise = rows(&batch.noise, self.latents);
        let error = self.vae.decode(posterior.sample(noise)) - x;
        mean(error.clone().abs()) + mean(error.square()) + kl * self.kl
    }
}

/// Mean and logarithm of the variance of the posterior of every image, row-major `[latents, h, w]`, before scaling.
pub(super) fn posteriors(
    vae: &Vae,
    pictures: &[&Picture],
    device: &Device,
) -> (Vec<f32>, Vec<f32>) {
    let pieces: Vec<&[&Picture]> = pictures.chunks(PIECE).collect();
    let found = batching::map_on(device, pieces.len(), |piece| {
        let posterior = vae.encode(images(pieces[piece], device));
        [posterior.mean, posterior.log_variance].map(|x| to_f32(x.into_data()))
    });
    let (mut means, mut spreads) = (Vec::new(), Vec::new());
    for [mean, spread] in found {
        means.extend(mean);
        spreads.extend(spread);
    }
    (means, spreads)
}

/// What becomes of images that go through the mean of the posterior and back, and the peak signal-to-noise ratio of all
/// of them together, 10 log₁₀(4/mean square error) of pixels from −1 to 1, in dB.
pub(super) fn reconstruct(
    vae: &Vae,
    pictures: &[&Picture],
    device: &Device,
) -> (Vec<Picture>, f64) {
    let pieces: Vec<&[&Picture]> = pictures.chunks(PIECE).collect();
    let found = batching::map_on(device, pieces.len(), |piece| {
        let x = images(pieces[piece], device);
        let y = vae.decode(vae.encode(x.clone()).mean).clamp(-1.0, 1.0);
        let error: f32 = (y.clone() - x).square().sum().into_scalar();
        (to_f32(y.into_data()), f64::from(error))
    });
    let (mut all, mut sum, mut count) = (Vec::new(), 0.0, 0);
    for (piece, (values, error)) in pieces.iter().zip(found) {
        let size = values.len() / piece.len();
        (sum, count) = (sum + error, count + values.len());
        all.extend(
            piece
                .iter()
                .zip(values.chunks_exact(size))
                .map(|(picture, values)| {
                    Picture::from_values(values, picture.width, picture.height)
                }),
        );
    }
    (all, 10.0 * (4.0 * count as f64 / sum).log10())
}

fn images(pictures: &[&Picture], device: &Device) -> Tensor<4> {
    let dims = [pictures.len(), 3, pictures[0].height, pictures[0].width];
    let values: Vec<f32> = pictures
        .iter()
        .flat_map(|picture| picture.values())
        .collect();
    Tensor::from_data(TensorData::new(values, dims), device)
}
