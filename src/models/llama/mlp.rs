//! The gated feed-forward part of a decoder layer: W_down (SiLU(W_gate x)·W_up x), SwiGLU (Shazeer, 2020, arXiv 2002.05202).

use burn::tensor::{Device, Tensor};

use super::shape::LlamaShape;
use crate::models::lora::LoraLinear;
use crate::models::ops;
use crate::models::parameter::Parameter;
use crate::models::parameter::fan_in;
use crate::models::pass::Pass;

/// Its three matrices.
#[derive(Clone, Debug)]
pub struct Mlp {
    gate: LoraLinear,
    up: LoraLinear,
    down: LoraLinear,
}

impl Mlp {
    /// To be initialised or loaded.
    pub fn new(layer: usize, shape: &LlamaShape, device: &Device) -> Self {
        let linear = |part: &str, inputs, outputs| {
            let name = format!("layers.{layer}.mlp.{part}");
            let linear = LoraLinear::new(name, inputs, outputs, device);
            if shape.mlp_bias {
                linear
            } else {
                linear.without_bias()
            }
        };
        Self {
            gate: linear("gate_proj", shape.hidden, shape.ffn),
            up: linear("up_proj", shape.hidden, shape.ffn),
            down: linear("down_proj", shape.ffn, shape.hidden),
        }
    }

    /// `[n, t, hidden]` → `[n, t, hidden]`.
    pub fn forward(&self, x: Tensor<3>, pass: &mut Pass) -> Tensor<3> {
        let inner = self.inner(x, pass);
        self.down.forward(inner, pass)
    }

    /// Σ y·δ of the output y of [`Self::forward`], see [`LoraLinear::pull`].
    pub fn pull(&self, x: Tensor<3>, delta: Tensor<3>, pass: &mut Pass) -> Tensor<1> {
        let inner = self.inner(x, pass);
        self.down.pull(inner, delta, pass)
    }

    /// SiLU(gate(x)) · up(x).
    fn inner(&self, x: Tensor<3>, pass: &mut Pass) -> Tensor<3> {
        let gate = self.gate.forward(x.clone(), pass);
        ops::silu(gate) * self.up.forward(x, pass)
    }

    /// The matrices in the order of a forward pass.
    pub fn matrices(&self) -> [&LoraLinear; 3] {
        [&self.gate, &self.up, &self.down]
    }

    /// [`Self::matrices`], to be changed.
    pub fn matrices_mut(&mut self) -> [&mut LoraLinear; 3] {
        [&mut self.gate, &mut self.up, &mut self.down]
    }

    /// Every parameter in the order of a forward pass.
    pub fn parameters(&mut self) -> Vec<Parameter<'_>> {
        let matrices = self.matrices_mut().into_iter();
        let parameters = matrices.flat_map(|linear| {
            let deviation = fan_in(linear.inputs());
            linear.parameters(deviation)
        });
        parameters.collect()
    }
}
