//! Root-mean-square normalisation (Zhang and Sennrich, 2019, arXiv 1910.07467).

use burn::tensor::{Device, Tensor};

use crate::models::parameter::{Init, Parameter, Role, Slot, blank};

/// γ·x/√(mean(x²) + ε) over the last dimension.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    name: String,
    gamma: Tensor<1>,
    epsilon: f64,
}

impl RmsNorm {
    /// To be initialised or loaded.
    pub fn new(name: impl Into<String>, width: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            name: name.into(),
            gamma: blank([width], device),
            epsilon,
        }
    }

    /// `[n, t, width]` → `[n, t, width]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let square = x.clone() * x.clone();
        let root = (square.mean_dim(2) + self.epsilon).sqrt();
        x / root * self.gamma.clone().unsqueeze()
    }

    /// Every head by itself: `[n, t, heads·width]` → `[n, t, heads·width]`.
    pub fn forward_heads(&self, x: Tensor<3>) -> Tensor<3> {
        let [n, t, width] = x.dims();
        let part = self.gamma.dims()[0];
        self.forward(x.reshape([n, t * (width / part), part]))
            .reshape([n, t, width])
    }

    /// γ, 1 at first.
    pub fn parameter(&mut self) -> Parameter<'_> {
        Parameter {
            name: format!("{}.weight", self.name),
            role: Role::Base,
            init: Init::Ones,
            slot: Slot::new(&mut self.gamma),
        }
    }
}
