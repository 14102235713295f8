//! A layer that is there with its weights while the others are not.

use burn::tensor::Tensor;

use super::layer::Layer;
use super::positions::Positions;
use super::rope::Rope;
use crate::models::batch::Batch;
use crate::models::layered::Stage;
use crate::models::lora::LoraLinear;
use crate::models::parameter::Parameter;
use crate::models::pass::Pass;

/// The layer, and what the network knows about positions.
#[derive(Clone, Debug)]
pub struct LlamaStage {
    /// With its weights.
    pub layer: Layer,
    /// The rotary embedding.
    pub rope: Rope,
    /// Whether padding would take part in a rounding.
    pub sees_padding: bool,
}

impl LlamaStage {
    fn positions<'a>(&self, batch: &'a Batch, x: &Tensor<3>) -> Positions<'a> {
        Positions::of(batch, x.dims()[1], &self.rope, self.sees_padding)
    }
}

impl Stage for LlamaStage {
    fn boxed(&self) -> Box<dyn Stage> {
        Box::new(self.clone())
    }

    fn forward(&self, x: Tensor<3>, batch: &Batch, pass: &mut Pass) -> Tensor<3> {
        let at = self.positions(batch, &x);
        self.layer.forward(x, &at, pass)
    }

    fn pull(&self, x: Tensor<3>, delta: Tensor<3>, batch: &Batch, pass: &mut Pass) -> Tensor<1> {
        let at = self.positions(batch, &x);
        self.layer.pull(x, delta, &at, pass)
    }

    fn linears(&self) -> Vec<&LoraLinear> {
        self.layer.matrices().collect()
    }

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        self.layer.parameters()
    }
}
