//! Noise schedule of a diffusion model (Ho et al., 2020), from diffusers' `scheduler/scheduler_config.json`, and DDIM
//! sampling (Song et al., 2021).
//!
//! x_t = √ᾱ_t·x₀ + √(1 − ᾱ_t)·ε with ᾱ_t = Π_{s≤t} (1 − β_s), of T steps (1000 as a rule). A network predicts ε, or
//! v = √ᾱ_t·ε − √(1 − ᾱ_t)·x₀ (Salimans and Ho, 2022).

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Tensor;
use serde_json::Value;

use super::settings::positive;
use crate::checkpoints::layout::SCHEDULER_FILE;
use crate::checkpoints::{Fields, HuggingFaceError};
use crate::data::Prediction;

/// How the timesteps of a sampler are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spacing {
    /// Multiples of ⌊T/steps⌋, from 0 or the offset on.
    Leading,
    /// From 0 to T − 1, both included.
    Linspace,
    /// T − 1 and down by T/steps.
    Trailing,
}

/// The samplers of diffusers that have such a schedule; others (flow matching, σ of their own) train on another noise.
const SAMPLERS: [&str; 15] = [
    "DDPMScheduler",
    "DDIMScheduler",
    "PNDMScheduler",
    "LMSDiscreteScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "DPMSolverSinglestepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSDEScheduler",
    "DEISMultistepScheduler",
    "UniPCMultistepScheduler",
    "LCMScheduler",
];

/// See the [module](self).
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// What a network predicts.
    pub prediction: Prediction,
    /// ᾱ of every timestep, in f32 as in diffusers.
    alphas: Arc<[f32]>,
    /// ᾱ after the last step of a sampler.
    final_alpha: f32,
    spacing: Spacing,
    offset: usize,
    /// Bound of x₀ while sampling.
    clip: Option<f32>,
}

impl Schedule {
    /// Reads `scheduler_config.json` in `folder`; defaults are those of diffusers' `DDPMScheduler` and, for sampling,
    /// `DDIMScheduler`. Which of the samplers of a noise schedule the file names (`_class_name`) plays no part.
    ///
    /// # Errors
    /// When it cannot be read, contradicts itself, or asks for what there is not.
    pub fn read(folder: &Path) -> Result<Self, HuggingFaceError> {
        let fields = Fields::read(&folder.join(SCHEDULER_FILE))?;
        fields.one_of("_class_name", &SAMPLERS)?;
        fields.only("thresholding", Value::from(false))?;
        let prediction = fields.one_of("prediction_type", &["epsilon", "v_prediction"])?;
        let spacing = fields.one_of("timestep_spacing", &["leading", "linspace", "trailing"])?;
        let clips = fields.flag("clip_sample", true)?;
        let mut betas = betas(&fields)?;
        if fields.flag("rescale_betas_zero_snr", false)? {
            rescale(&mut betas);
        }
        let alphas = cumulative(&betas);
        Ok(Self {
            prediction: match prediction {
                Some("v_prediction") => Prediction::Velocity,
                _ => Prediction::Noise,
            },
            final_alpha: if fields.flag("set_alpha_to_one", true)? {
                1.0
            } else {
                alphas[0]
            },
            spacing: match spacing {
                Some("linspace") => Spacing::Linspace,
                Some("trailing") => Spacing::Trailing,
                _ => Spacing::Leading,
            },
            offset: fields.size("steps_offset", 0, Some(0))?,
            clip: match clips {
                true => Some(positive(&fields, "clip_sample_range", 1.0)? as f32),
                false => None,
            },
            alphas: alphas.into(),
        })
    }

    /// T.
    pub fn len(&self) -> usize {
        self.alphas.len()
    }

    /// Whether there are no timesteps; never.
    pub fn is_empty(&self) -> bool {
        self.alphas.is_empty()
    }

    /// ᾱ of a timestep.
    ///
    /// # Panics
    /// When there is none such.
    pub fn alpha(&self, timestep: usize) -> f32 {
        self.alphas[timestep]
    }

    /// √ᾱ and √(1 − ᾱ): what x₀ and ε are multiplied by.
    pub fn weights(&self, timestep: usize) -> [f32; 2] {
        let alpha = self.alphas[timestep];
        [alpha.sqrt(), (1.0 - alpha).sqrt()]
    }

    /// What the network predicts.
    pub fn prediction(&self) -> Prediction {
        self.prediction
    }

    /// ᾱ of every timestep.
    pub fn alphas(&self) -> &Arc<[f32]> {
        &self.alphas
    }

    /// Timesteps of a sampler with `steps` steps, from the noisiest on.
    ///
    /// # Panics
    /// When there are none or more than T.
    pub fn sampling(&self, steps: usize) -> Vec<usize> {
        let length = self.len();
        assert!((1..=length).contains(&steps), "1 to {length} steps");
        let ratio = length as f64 / steps as f64;
        let at = |index: usize| match self.spacing {
            Spacing::Leading => (steps - 1 - index) * (length / steps) + self.offset,
            Spacing::Linspace if steps == 1 => 0,
            Spacing::Linspace => {
                let whole = (length - 1) as f64 / (steps - 1) as f64;
                ((steps - 1 - index) as f64 * whole).round_ties_even() as usize
            }
            Spacing::Trailing => {
                (length as f64 - index as f64 * ratio).round_ties_even() as usize - 1
            }
        };
        (0..steps).map(|index| at(index).min(length - 1)).collect()
    }

    /// One DDIM step without noise (η = 0) from `timestep` of a sampler with `steps` steps: x_t and the network's
    /// prediction → x at the next, less noisy timestep.
    pub fn step<const D: usize>(
        &self,
        x: Tensor<D>,
        predicted: Tensor<D>,
        timestep: usize,
        steps: usize,
    ) -> Tensor<D> {
        let [signal, spread] = self.weights(timestep);
        let next = timestep.checked_sub(self.len() / steps);
        let next = next.map_or(self.final_alpha, |next| self.alphas[next]);
        let (next_signal, next_spread) = (next.sqrt(), (1.0 - next).sqrt());
        let (mut clean, noise) = match self.prediction {
            Prediction::Noise => ((x - predicted.clone() * spread) / signal, predicted),
            Prediction::Velocity => (
                x.clone() * signal - predicted.clone() * spread,
                predicted * signal + x * spread,
            ),
        };
        if let Some(bound) = self.clip {
            clean = clean.clamp(-bound, bound);
        }
        clean * next_signal + noise * next_spread
    }
}

/// β of every timestep, in f32 as in diffusers.
fn betas(fields: &Fields) -> Result<Vec<f32>, HuggingFaceError> {
    if let Some(value) = fields.get("trained_betas") {
        let list = value.as_array().into_iter().flatten();
        let list: Option<Vec<f32>> = list
            .map(|beta| beta.as_f64().filter(|beta| (0.0..1.0).contains(beta)))
            .map(|beta| beta.map(|beta| beta as f32))
            .collect();
        let list = list.filter(|list| !list.is_empty());
        let allowed = "a list of numbers from 0 to below 1";
        return list.ok_or_else(|| fields.unsupported("trained_betas", value, allowed));
    }
    let length = fields.size("num_train_timesteps", 1, Some(1000))?;
    let start = positive(fields, "beta_start", 1e-4)?;
    let end = positive(fields, "beta_end", 0.02)?;
    for (field, beta) in [("beta_start", start), ("beta_end", end)] {
        if beta >= 1.0 {
            return Err(fields.unsupported(field, &Value::from(beta), "a number below 1"));
        }
    }
    let kinds = ["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"];
    Ok(match fields.one_of("beta_schedule", &kinds)? {
        Some("scaled_linear") => {
            let roots = linspace(start.sqrt(), end.sqrt(), length);
            roots.map(|root| root * root).collect()
        }
        Some("squaredcos_cap_v2") => {
            // Nichol and Dhariwal, 2021
            let alpha = |t: f64| {
                ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2)
                    .cos()
                    .powi(2)
            };
            let part = |index: usize| index as f64 / length as f64;
            (0..length)
                .map(|index| (1.0 - alpha(part(index + 1)) / alpha(part(index))).min(0.999) as f32)
                .collect()
        }
        Some("sigmoid") => linspace(-6.0, 6.0, length)
            .map(|x| 1.0 / (1.0 + (-x).exp()) * (end - start) as f32 + start as f32)
            .collect(),
        _ => linspace(start, end, length).collect(),
    })
}

/// torch.linspace in f32, from both ends.
fn linspace(start: f64, end: f64, length: usize) -> impl Iterator<Item = f32> {
    let (start, end) = (start as f32, end as f32);
    let step = (end - start) / length.saturating_sub(1).max(1) as f32;
    (0..length).map(move |index| {
        if index < length / 2 || length == 1 {
            start + step * index as f32
        } else {
            end - step * (length - 1 - index) as f32
        }
    })
}

/// ᾱ, rounded to f32 at every timestep.
fn cumulative(betas: &[f32]) -> Vec<f32> {
    let mut product = 1.0;
    let alphas = betas.iter().map(|beta| {
        product *= f64::from(1.0 - beta);
        product as f32
    });
    alphas.collect()
}

/// Stretches √ᾱ so that nothing of x₀ is left at the last timestep (Lin et al., 2024).
fn rescale(betas: &mut [f32]) {
    let roots: Vec<f32> = cumulative(betas).iter().map(|alpha| alpha.sqrt()).collect();
    let (first, last) = (roots[0], roots[roots.len() - 1]);
    let mut before = 1.0;
    for (beta, root) in betas.iter_mut().zip(roots) {
        let root = (root - last) * (first / (first - last));
        let alpha = root * root;
        *beta = 1.0 - alpha / before;
        before = alpha;
    }
}
