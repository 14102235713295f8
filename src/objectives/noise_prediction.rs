//! Noise prediction of a diffusion model: the mean square of ε̂(√ᾱ_t x + √(1−ᾱ_t) ε, t) − ε over the elements of an
//! example; one view per timestep t and draw of ε (Ho et al., 2020, arXiv 2006.11239, equation 14).

use burn::tensor::{Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};

use super::objective::{Evaluation, Objective, SampleError, map_pieces, mean_over_views};
use crate::data::{NoiseTargets, Split, Targets};
use crate::models::parameter::to_f32;
use crate::models::{Batch, Model, ModelInput, Pass};
use crate::random::{self, Rng};

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct NoisePrediction;

/// Rows with noise, one per example and view, and the noise, `[rows, elements]`.
fn noised(batch: &Batch) -> (Batch, Tensor<2>) {
    let Targets::Noise(targets) = &batch.targets else {
        unreachable!("the objective is chosen by the kind of the targets")
    };
    let views = targets.views();
    let mut rows = batch.clone().repeat(views);
    let ModelInput::Features(x) = rows.input else {
        unreachable!("noise is added to numbers, not to ids")
    };
    let shape = x.dims();
    let elements = shape[1] * shape[2];
    let mut noise = Vec::with_capacity(shape[0] * elements);
    for &seed in &targets.seeds {
        for (&timestep, draw) in of_views(targets) {
            let mut rng = random::rng(seed, "noise", &format!("{timestep}/{draw}"));
            noise.extend((0..elements).map(|_| -> f32 { StandardNormal.sample(&mut rng) }));
        }
    }
    let noise: Tensor<2> =
        Tensor::from_data(TensorData::new(noise, [shape[0], elements]), &batch.device);
    let noise = noise.cast(x.dtype());
    let factors = |of: fn(f64) -> f64| {
        let alphas = targets.alphas.iter();
        let alphas = alphas.flat_map(|&alpha| std::iter::repeat_n(of(alpha) as f32, targets.draws));
        let of_rows: Vec<f32> = targets.seeds.iter().flat_map(|_| alphas.clone()).collect();
        let of_rows: Tensor<1> = Tensor::from_data(of_rows.as_slice(), &batch.device);
        of_rows.reshape([shape[0], 1]).cast(x.dtype())
    };
    let clean = x.clone().reshape([shape[0], elements]) * factors(f64::sqrt);
    let noisy = clean + noise.clone() * factors(|alpha| (1.0 - alpha).sqrt());
    rows.input = ModelInput::Features(noisy.reshape(shape));
    let timesteps = of_views(targets).map(|(&timestep, _)| timestep);
    rows.timesteps = Some(
        targets
            .seeds
            .iter()
            .flat_map(|_| timesteps.clone())
            .collect(),
    );
    (rows, noise)
}

/// Timestep and draw of every view.
fn of_views(targets: &NoiseTargets) -> impl Iterator<Item = (&usize, usize)> + Clone {
    let draws = targets.draws;
    targets
        .timesteps
        .iter()
        .flat_map(move |timestep| (0..draws).map(move |draw| (timestep, draw)))
}

impl Objective for NoisePrediction {
    fn losses(&self, model: &Model, batch: &Batch, pass: &mut Pass) -> Tensor<2> {
        let (rows, noise) = noised(batch);
        let predicted = model.output(&rows, pass).reshape(noise.dims());
        let losses = (predicted - noise).square().mean_dim(1);
        let n = batch.len();
        let views = rows.len() / n.max(1);
        losses.reshape([n, views])
    }

    /// # Errors
    /// Always: the loss compares with noise that the model has not seen, not with a draw from a distribution of its own.
    fn sample(&self, _: &Model, _: &Split, _: &mut Rng) -> Result<Targets, SampleError> {
        Err(SampleError::NoDistribution {
            objective: "noise prediction",
        })
    }

    fn unit(&self) -> &'static str {
        ""
    }

    fn evaluate(&self, model: &Model, split: &Split) -> Evaluation {
        let pieces = map_pieces(model, split, |model, batch, indices| {
            let losses = self.losses(model, &batch, &mut Pass::Plain);
            mean_over_views(&to_f32(losses.into_data()), indices.len())
        });
        let pieces = pieces.map(|(indices, losses)| (indices, losses, None));
        Evaluation::new(split.len(), pieces)
    }
}
