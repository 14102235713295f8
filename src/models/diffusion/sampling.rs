//! DDIM sampling with classifier-free guidance: from noise to latents.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Schedule;

/// How images are sampled. Defaults are those of diffusers' `StableDiffusionPipeline`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// DDIM steps, ≥ 1 and at most the schedule's timesteps.
    #[schemars(range(min = 1, max = 1000))]
    pub steps: usize,
    /// Guidance scale w: the prediction is ε∅ + w·(ε − ε∅), with ε∅ that of the empty caption. 1 is the conditional
    /// prediction alone and half the work.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub guidance: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            steps: 50,
            guidance: 7.5,
        }
    }
}

/// Sampling by DDIM (η = 0) with classifier-free guidance (Ho and Salimans, 2022): `first`, `[n, c, h, w]`, is led
/// through the steps to latents of the same shape.
///
/// `predict` is the network: noisy latents `[m, c, h, w]`, m timesteps and text states `[m, t, context]` to a prediction
/// `[m, c, h, w]`. `text` holds the states of the captions, `[n, t, context]`, `empty` those of the empty caption,
/// `[1, t, context]`.
pub fn sample(
    predict: impl Fn(Tensor<4>, &[usize], &Tensor<3>) -> Tensor<4>,
    schedule: &Schedule,
    first: Tensor<4>,
    text: &Tensor<3>,
    empty: &Tensor<3>,
    Sampling { steps, guidance }: Sampling,
) -> Tensor<4> {
    let [n, t, width] = text.dims();
    let guided = guidance != 1.0;
    let context = if guided {
        let empty = empty.clone().expand([n, t, width]);
        Tensor::cat(vec![empty, text.clone()], 0)
    } else {
        text.clone()
    };
    let rows = context.dims()[0];
    let mut x = first;
    for timestep in schedule.sampling(steps) {
        let timesteps = vec![timestep; rows];
        let predicted = if guided {
            let twice = Tensor::cat(vec![x.clone(), x.clone()], 0);
            let both = predict(twice, &timesteps, &context);
            let without = both.clone().narrow(0, 0, n);
            let with = both.narrow(0, n, n);
            without.clone() + (with - without) * guidance
        } else {
            predict(x.clone(), &timesteps, &context)
        };
        x = schedule.step(x, predicted, timestep, steps);
    }
    x
}
