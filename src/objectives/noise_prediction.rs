//! Noise prediction of a diffusion model: the mean square of the error of the predicted noise ε (or v) in
//! √ᾱ_t x + √(1−ᾱ_t) ε, over the elements of an example; one view per timestep t and draw of ε (Ho et al., 2020, arXiv
//! 2006.11239, equation 14).
//!
//! Gradients and evaluations are taken at the same timesteps, with the same noise, whenever they are taken; a training
//! step draws a timestep and noise for every example of its own.

use burn::tensor::{Bool, Device, Tensor, TensorData};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::objective::{Evaluation, Objective, SampleError, map_pieces, mean_over_views};
use crate::data::{NoiseTargets, Prediction, Split, Targets, Timesteps};
use crate::models::parameter::to_f32;
use crate::models::{Batch, Model, ModelInput, Pass, repeated};
use crate::random::{self, Rng};

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct NoisePrediction;

/// Rows with noise, one per example and view, and what is to be predicted of them, `[rows, elements]`.
fn noised(batch: &Batch) -> (Batch, Tensor<2>) {
    let targets = of(&batch.targets);
    let mut rows = batch.clone().repeat(targets.views());
    let (x, deviations) = match &rows.input {
        ModelInput::Features(x) => (flat(x.clone()), None),
        ModelInput::Latents {
            x,
            deviations,
            mirrored,
            ..
        } => {
            let own = (flat(x.clone()), deviations.clone().map(flat));
            match (mirrored, &targets.mirrored) {
                (Some((x, spread)), Some(which)) => {
                    let other = (flat(x.clone()), spread.clone().map(flat));
                    chosen(own, other, &repeated(which, targets.views()), &batch.device)
                }
                _ => own,
            }
        }
        _ => unreachable!("noise is added to numbers, not to ids"),
    };
    let dims = x.dims();
    let tensor = |values: Vec<f32>| {
        let values = TensorData::new(values, dims);
        Tensor::<2>::from_data(values, &batch.device).cast(x.dtype())
    };
    let (clean, noise) = match &targets.given {
        Some(given) => {
            let all = |of: fn(&crate::data::GivenNoise) -> &Vec<f32>| {
                tensor(given.iter().flat_map(|given| of(given)).copied().collect())
            };
            (all(|given| &given.latents), all(|given| &given.noise))
        }
        None => {
            let (spread, noise) = draw(targets, dims[1], deviations.is_some());
            let clean = match deviations {
                Some(deviations) => x.clone() + deviations * tensor(spread),
                None => x.clone(),
            };
            (clean, tensor(noise))
        }
    };
    let examples = 0..targets.seeds.len();
    let timesteps: Vec<usize> = examples
        .flat_map(|example| targets.of_views(example).map(|(timestep, _)| timestep))
        .collect();
    let factors = |of: fn(f32) -> f32| {
        let factors = timesteps.iter().map(|&t| of(targets.alphas[t]));
        let factors = TensorData::new(factors.collect::<Vec<_>>(), [dims[0], 1]);
        Tensor::<2>::from_data(factors, &batch.device).cast(x.dtype())
    };
    let (signal, spread) = (factors(f32::sqrt), factors(|alpha| (1.0 - alpha).sqrt()));
    let noisy = clean.clone() * signal.clone() + noise.clone() * spread.clone();
    rows.input = match rows.input {
        ModelInput::Latents { x, text, .. } => ModelInput::Latents {
            x: noisy.reshape(x.dims()),
            deviations: None,
            mirrored: None,
            text,
        },
        ModelInput::Features(x) => ModelInput::Features(noisy.reshape(x.dims())),
        other => other,
    };
    rows.timesteps = Some(timesteps);
    let wanted = match targets.prediction {
        Prediction::Noise => noise,
        Prediction::Velocity => noise * signal - clean * spread,
    };
    (rows, wanted)
}

/// Means of latents and their deviations, `[rows, elements]`.
type Rows = (Tensor<2>, Option<Tensor<2>>);

/// The rows of `own`, and those of `other` where `is_other` says so.
fn chosen(own: Rows, other: Rows, is_other: &[bool], device: &Device) -> Rows {
    let [rows, elements] = own.0.dims();
    let mask = TensorData::new(is_other.to_vec(), [rows, 1]);
    let mask = Tensor::<2, Bool>::from_data(mask, device).expand([rows, elements]);
    let pick = |own: Tensor<2>, other: Tensor<2>| own.mask_where(mask.clone(), other);
    let spread = own.1.zip(other.1).map(|(own, other)| pick(own, other));
    (pick(own.0, other.0), spread)
}

fn of(targets: &Targets) -> &NoiseTargets {
    match targets {
        Targets::Noise(targets) => targets,
        _ => unreachable!("the objective is chosen by the kind of the targets"),
    }
}

fn flat<const D: usize>(x: Tensor<D>) -> Tensor<2> {
    let n = x.dims()[0];
    let elements = x.dims()[1..].iter().product::<usize>();
    x.reshape([n, elements])
}

/// Normal numbers for every row, `[rows, elements]`: for the sample of the latents, when they are `sampled`, and for
/// the noise.
fn draw(targets: &NoiseTargets, elements: usize, sampled: bool) -> (Vec<f32>, Vec<f32>) {
    let (mut spread, mut noise) = (Vec::new(), Vec::new());
    for (example, &seed) in targets.seeds.iter().enumerate() {
        for (timestep, draw) in targets.of_views(example) {
            let fill = |purpose: &str, out: &mut Vec<f32>| {
                let mut rng = random::rng(seed, purpose, &format!("{timestep}/{draw}"));
                out.extend((0..elements).map(|_| -> f32 { StandardNormal.sample(&mut rng) }));
            };
            fill("noise", &mut noise);
            if sampled {
                fill("posterior", &mut spread);
            }
        }
    }
    (spread, noise)
}

impl Objective for NoisePrediction {
    fn losses(&self, model: &Model, batch: &Batch, pass: &mut Pass) -> Tensor<2> {
        let (rows, wanted) = noised(batch);
        let predicted = model.output(&rows, pass).reshape(wanted.dims());
        let losses = (predicted - wanted).square().mean_dim(1);
        let n = batch.len();
        let views = rows.len() / n.max(1);
        losses.reshape([n, views])
    }

    /// Every example at a timestep of its own, uniform over the schedule, with noise of its own; where there are mirrored
    /// images, every other time that one.
    fn at_a_step(&self, targets: Targets, rng: &dyn Fn(usize) -> Rng) -> Targets {
        let targets = of(&targets);
        let drawn = (0..targets.seeds.len()).map(|example| {
            let mut rng = rng(example);
            let seed = rng.random::<u64>();
            let timestep = rng.random_range(0..targets.alphas.len());
            ((seed, timestep), rng.random::<bool>())
        });
        let ((seeds, timesteps), mirrored): ((Vec<_>, Vec<_>), Vec<_>) = drawn.unzip();
        Targets::Noise(NoiseTargets {
            seeds,
            timesteps: Timesteps::Each(timesteps),
            alphas: targets.alphas.clone(),
            draws: 1,
            mirrored: Some(mirrored),
            given: None,
            ..*targets
        })
    }

    /// One: a timestep and a draw.
    fn views_at_a_step(&self, _: &Targets) -> usize {
        1
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batching;
    use crate::data::{Inputs, Join, Latents, Moments};
    use crate::device::DeviceChoice;

    const N: usize = 3;

    /// Latents of 2 channels and 1 × 2 points.
    fn moments(from: f32) -> Moments {
        Moments {
            means: (0..N * 4).map(|i| from + i as f32).collect(),
            deviations: Some((0..N * 4).map(|i| 0.1 * (i as f32 - from)).collect()),
        }
    }

    fn split(moments: Moments, mirrored: Option<Moments>, which: Option<Vec<bool>>) -> Split {
        Split {
            inputs: Inputs::Latents(Latents {
                moments,
                mirrored,
                shape: [2, 1, 2],
                texts: [vec![0.5; 3]].into(),
                captions: vec![0; N],
                tokens: 1,
                width: 3,
            }),
            targets: Targets::Noise(NoiseTargets {
                seeds: vec![5, 6, 7],
                timesteps: Timesteps::Same(vec![0, 1]),
                alphas: vec![0.9, 0.4].into(),
                prediction: Prediction::Velocity,
                draws: 2,
                join: Join::Averaged,
                mirrored: which,
                given: None,
            }),
        }
    }

    /// Noisy latents and what is to be predicted.
    fn made(split: &Split) -> [Vec<f32>; 2] {
        let device = DeviceChoice::Flex.inner();
        let (rows, wanted) = noised(&batching::batch(split, &[0, 1, 2], &device));
        let ModelInput::Latents { x, .. } = rows.input else {
            panic!("latents stay latents")
        };
        [to_f32(x.into_data()), to_f32(wanted.into_data())]
    }

    #[test]
    fn the_mirrored_image_stands_where_the_targets_say() {
        let which = vec![false, true, false];
        let mixed = split(moments(1.0), Some(moments(-3.0)), Some(which));
        let row = |own: &[f32], other: &[f32]| [&own[..4], &other[4..8], &own[8..]].concat();
        let (own, other) = (moments(1.0), moments(-3.0));
        let by_hand = Moments {
            means: row(&own.means, &other.means),
            deviations: own
                .deviations
                .zip(other.deviations)
                .map(|(own, other)| row(&own, &other)),
        };
        assert_eq!(made(&mixed), made(&split(by_hand, None, None)));
        // without a say, or without mirrored images, the images stand as they are
        let plain = made(&split(moments(1.0), None, None));
        assert_ne!(made(&mixed), plain);
        let unsaid = split(moments(1.0), Some(moments(-3.0)), None);
        let alone = split(moments(1.0), None, Some(vec![true; N]));
        assert_eq!([made(&unsaid), made(&alone)], [plain.clone(), plain]);
    }

    #[test]
    fn a_step_has_one_view_of_each_example_and_mirrors_about_half() {
        let of = split(moments(1.0), None, None).targets;
        let many = of.select(&[0; 200]);
        let rng = |example: usize| random::rng(3, "test", &example.to_string());
        let Targets::Noise(drawn) = NoisePrediction.at_a_step(many.clone(), &rng) else {
            panic!("noise stays noise")
        };
        assert_eq!((many.views(), drawn.views()), (4, 1));
        assert_eq!(NoisePrediction.views_at_a_step(&many), drawn.views());
        let mirrored = drawn.mirrored.unwrap().into_iter().filter(|m| *m).count();
        // of 200 fair draws 100 ± 7
        assert!((70..=130).contains(&mirrored), "{mirrored}");
    }
}
