//! Synthetic gradients: a task without examples. [`synthetic`](crate::gradients::synthetic) draws them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::task::Task;
use crate::data::Reads;
use crate::input::Problem;

/// Synthetic gradients with the shape real LoRA gradients have: power-law spectrum, log-normal
/// norms, a few shared directions, and a shift for the examples whose label is flipped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GradientsTask {
    /// Training examples (rows), ≥ 1.
    #[schemars(range(min = 1))]
    pub train: usize,
    /// Query examples (rows), ≥ 1.
    #[schemars(range(min = 1))]
    pub query: usize,
    /// Number of blocks, ≥ 1.
    #[schemars(range(min = 1))]
    pub blocks: usize,
    /// Size of each block, ≥ 1.
    #[schemars(range(min = 1))]
    pub dim: usize,
    /// Power-law exponent p of the covariance spectrum: eigenvalue j is proportional to j^−p. 0 is white.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub spectrum_decay: f64,
    /// Standard deviation of the logarithm of the examples' norms; 0 makes all alike.
    #[schemars(range(min = 0.0, max = 5.0))]
    pub norm_tail: f64,
    /// Class-mean directions shared by the examples of a class.
    pub shared_directions: usize,
    /// Length of the shared component relative to the rest.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub shared_strength: f64,
    /// Share of the training examples whose label is flipped: they move against their class's direction.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub flip: f64,
    /// Length of the flipped examples' label-dependent shift, relative to the rest.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub label_shift: f64,
    /// Overall scale of the gradients.
    #[schemars(range(min = 1e-12, max = 1e12))]
    pub scale: f64,
}

impl Default for GradientsTask {
    fn default() -> Self {
        Self {
            train: 1000,
            query: 50,
            blocks: 4,
            dim: 256,
            spectrum_decay: 1.0,
            norm_tail: 0.5,
            shared_directions: 2,
            shared_strength: 0.5,
            flip: 0.2,
            label_shift: 0.5,
            scale: 0.1,
        }
    }
}

impl Task for GradientsTask {
    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn train(&self) -> Option<usize> {
        Some(self.train)
    }

    fn flip(&self) -> f64 {
        self.flip
    }

    /// A class is a shared direction.
    fn has_classes(&self) -> bool {
        self.shared_directions > 1
    }

    fn problem(&self) -> Option<(&'static str, Problem)> {
        (self.shared_directions > self.dim).then(|| {
            let text = format!(
                "{} is more than the {} dimensions",
                self.shared_directions, self.dim
            );
            ("shared_directions", Problem::new(text))
        })
    }
}
