//! Targets of a diffusion model: which noise is added to an example, at which timesteps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the gradients of the views of an example (its losses at several timesteps and draws of noise) become one row.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// One after another within every block, which is as many times as wide: v·g is Σ_view v_view · g_view. As in the
    /// code of the DataInf paper.
    #[default]
    Concatenated,
    /// The gradient of the mean loss.
    Averaged,
}

/// Noise-prediction targets of every example of a split. View `t · draws + k` of an example is the k-th draw of noise
/// at the t-th timestep.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseTargets {
    /// From which the noise of every example is drawn, per timestep and draw.
    pub seeds: Vec<u64>,
    /// The timesteps.
    pub timesteps: Vec<usize>,
    /// ᾱ of each of them: an example x becomes √ᾱ x + √(1−ᾱ) ε.
    pub alphas: Vec<f64>,
    /// Draws of noise per timestep.
    pub draws: usize,
    /// What becomes of the gradients of an example's views.
    pub join: Join,
}

impl NoiseTargets {
    /// Losses per example.
    pub fn views(&self) -> usize {
        self.timesteps.len() * self.draws
    }

    /// The targets of the examples `indices`, in that order.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        Self {
            seeds: indices.iter().map(|&i| self.seeds[i]).collect(),
            ..self.clone()
        }
    }
}
