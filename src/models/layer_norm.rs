//! A layer normalisation with its parameters.

use burn::tensor::{Device, Tensor};

use super::ops;
use super::parameter::{Init, Parameter, Role, Slot};

/// γ·(x − μ)/√(σ² + ε) + β over the last dimension.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    name: String,
    /// γ, `[width]`.
    pub gamma: Tensor<1>,
    /// β, `[width]`.
    pub beta: Tensor<1>,
    /// ε.
    pub epsilon: f64,
}

impl LayerNorm {
    /// γ = 1, β = 0.
    pub fn new(name: impl Into<String>, width: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            name: name.into(),
            gamma: Tensor::ones([width], device),
            beta: Tensor::zeros([width], device),
            epsilon,
        }
    }

    /// `[n, t, width]` → the same.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        ops::layer_norm(x, self.gamma.clone(), self.beta.clone(), self.epsilon)
    }

    /// γ and β.
    pub fn parameters(&mut self) -> [Parameter<'_>; 2] {
        let Self {
            name, gamma, beta, ..
        } = self;
        [("weight", Init::Ones, gamma), ("bias", Init::Zeros, beta)].map(|(part, init, tensor)| {
            Parameter {
                name: format!("{name}.{part}"),
                role: Role::Base,
                init,
                slot: Slot::new(tensor),
            }
        })
    }
}
