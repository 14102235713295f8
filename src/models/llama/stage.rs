//! A layer that is there with its weights while the others are not.

use burn::tensor::Tensor;

use super::layer::Layer;
use super::network::Llama;
use crate::models::batch::Batch;
use crate::models::layered::Stage;
use crate::models::lora::LoraLinear;
use crate::models::parameter::Parameter;
use crate::models::pass::Pass;

/// The layer, and the network without its layers' weights, which knows about positions.
#[derive(Clone)]
pub struct LlamaStage {
    layer: Layer,
    network: Llama,
}

impl LlamaStage {
    /// Of a layer with its weights.
    pub fn new(network: &Llama, layer: Layer) -> Self {
        Self {
            layer,
            network: network.clone(),
        }
    }
}

impl Stage for LlamaStage {
    fn boxed(&self) -> Box<dyn Stage> {
        Box::new(self.clone())
    }

    fn forward(&self, x: Tensor<3>, batch: &Batch, pass: &mut Pass) -> Tensor<3> {
        let at = self.network.positions(batch, x.dims()[1]);
        self.layer.forward(x, &at, pass)
    }

    fn pull(&self, x: Tensor<3>, delta: Tensor<3>, batch: &Batch, pass: &mut Pass) -> Tensor<1> {
        let at = self.network.positions(batch, x.dims()[1]);
        self.layer.pull(x, delta, &at, pass)
    }

    fn linears(&self) -> Vec<&LoraLinear> {
        self.layer.matrices().collect()
    }

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        self.layer.parameters()
    }
}
