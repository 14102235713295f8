//! Embedding of the timestep: sines and cosines, and two linear layers.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::parts::parts;
use crate::models::lora::LoraLinear;
use crate::models::ops;
use crate::models::pass::Pass;

/// Longest period of the sines, over 2π.
const LONGEST: f64 = 10_000.0;

/// How timesteps become sines (diffusers' `get_timestep_embedding`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sines {
    /// Number of sines and cosines together.
    pub width: usize,
    /// Whether the cosines come first (`flip_sin_to_cos`).
    pub cosine_first: bool,
    /// Frequencies are 10000^(−i/(half − shift)).
    pub frequency_shift: f32,
}

impl Sines {
    /// sin(t·fᵢ) and cos(t·fᵢ) of every timestep, `[n, width]`, row-major. Rounded to f32 where diffusers rounds, because an
    /// argument of 925 has lost 3e-5 by then.
    pub fn of(&self, timesteps: &[usize]) -> Vec<f32> {
        let half = self.width / 2;
        let frequencies: Vec<f32> = (0..half)
            .map(|index| {
                let exponent = -(LONGEST.ln() as f32) * index as f32;
                (exponent / (half as f32 - self.frequency_shift)).exp()
            })
            .collect();
        let mut all = Vec::with_capacity(timesteps.len() * self.width);
        for &timestep in timesteps {
            let angles = || frequencies.iter().map(|f| timestep as f32 * f);
            if self.cosine_first {
                all.extend(angles().map(f32::cos).chain(angles().map(f32::sin)));
            } else {
                all.extend(angles().map(f32::sin).chain(angles().map(f32::cos)));
            }
            all.extend(std::iter::repeat_n(0.0, self.width % 2));
        }
        all
    }
}

/// W₂ silu(W₁ sines(t) + b₁) + b₂.
#[derive(Clone, Debug)]
pub struct TimeEmbedding {
    sines: Sines,
    linear_1: LoraLinear,
    linear_2: LoraLinear,
}
parts!(TimeEmbedding: linear_1, linear_2);

impl TimeEmbedding {
    /// Zeros, to be initialised or loaded.
    pub fn new(sines: Sines, width: usize, device: &Device) -> Self {
        Self {
            linear_1: LoraLinear::new("time_embedding.linear_1", sines.width, width, device),
            linear_2: LoraLinear::new("time_embedding.linear_2", width, width, device),
            sines,
        }
    }

    /// Whether per-example gradients are taken of one of its matrices.
    pub fn is_probed(&self) -> bool {
        self.linear_1.is_probed() || self.linear_2.is_probed()
    }

    /// `[n, 1, width]`, of type `dtype`.
    pub fn forward(
        &self,
        timesteps: &[usize],
        device: &Device,
        dtype: DType,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let dims = [timesteps.len(), 1, self.sines.width];
        let sines = TensorData::new(self.sines.of(timesteps), dims);
        let sines = Tensor::<3>::from_data(sines, device).cast(dtype);
        let hidden = ops::silu(self.linear_1.forward(sines, pass));
        self.linear_2.forward(hidden, pass)
    }
}
