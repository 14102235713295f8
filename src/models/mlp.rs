//! Multilayer perceptron: an input layer, hidden layers with GELU that adapters may hang on.

use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::architecture::{Architecture, empty};
use super::batch::{Batch, InputShape, ModelInput};
use super::error::ModelError;
use super::head::Head;
use super::linear::Linear;
use super::lora::LoraLinear;
use super::model::Model;
use super::network::Network;
use super::ops;
use super::parameter::{Parameter, Role, fan_in};
use super::pass::Pass;
use super::pretrain::PretrainConfig;
use crate::data::Reads;
use crate::input::Problem;

/// Multilayer perceptron: `layers` hidden layers of width `hidden` with GELU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MlpConfig {
    /// Width of the hidden layers.
    #[schemars(range(min = 1))]
    pub hidden: usize,
    /// Number of hidden layers after the input layer.
    #[schemars(range(min = 1))]
    pub layers: usize,
    /// How the base is pretrained before it is frozen; `null` leaves it random features.
    pub pretrain: Option<PretrainConfig>,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self {
            hidden: 64,
            layers: 3,
            pretrain: None,
        }
    }
}

impl Architecture for MlpConfig {
    fn reads() -> &'static [Reads] {
        &[Reads::Vector, Reads::Vectors]
    }

    fn problem(&self) -> Option<(&'static str, Problem)> {
        empty(&[("hidden", self.hidden), ("layers", self.layers)])
    }

    fn blank(
        &self,
        input: &InputShape,
        classes: usize,
        device: &Device,
    ) -> Result<Model, ModelError> {
        let features = match *input {
            InputShape::Features { tokens, features } => tokens * features,
            InputShape::Tokens { .. } => return Err(ModelError::TokensForMlp),
            InputShape::Latents { .. } => return Err(ModelError::LatentsElsewhere),
        };
        let head = Head::linear(self.hidden, classes, device);
        let network = Mlp::new(self.hidden, self.layers, features, head, device);
        Ok(Model::of_network(Box::new(network), device))
    }

    fn pretrain(&self) -> Option<&PretrainConfig> {
        self.pretrain.as_ref()
    }

    fn default_targets(&self) -> &'static [&'static str] {
        &["ffn"]
    }
}

/// g(W_L … g(W_1 g(W_0 x + b_0) + b_1) … + b_L) with g = GELU, and a head.
#[derive(Clone, Debug)]
pub struct Mlp {
    input: Linear,
    layers: Vec<LoraLinear>,
    head: Head,
}

impl Mlp {
    /// Without adapters; zeros, to be initialised or loaded.
    pub fn new(hidden: usize, layers: usize, features: usize, head: Head, device: &Device) -> Self {
        Self {
            input: Linear::new("input.dense", features, hidden, device),
            layers: (0..layers)
                .map(|index| {
                    LoraLinear::new(format!("layer.{index}.dense"), hidden, hidden, device)
                })
                .collect(),
            head,
        }
    }
}

impl Network for Mlp {
    fn boxed(&self) -> Box<dyn Network> {
        Box::new(self.clone())
    }

    fn forward(&self, batch: &Batch, pass: &mut Pass) -> Tensor<3> {
        let ModelInput::Features(values) = &batch.input else {
            unreachable!(
                "a perceptron is built for features only, and its batches are made for it"
            );
        };
        let [n, t, features] = values.dims();
        let mut x = ops::gelu(
            self.input
                .forward(values.clone().reshape([n, 1, t * features])),
        );
        for layer in &self.layers {
            x = pass.drop_hidden(x);
            x = ops::gelu(layer.forward(x, pass));
        }
        self.head.forward(x, pass)
    }

    fn adaptable(&self) -> Vec<&LoraLinear> {
        self.layers.iter().collect()
    }

    fn adaptable_mut(&mut self) -> Vec<&mut LoraLinear> {
        self.layers.iter_mut().collect()
    }

    fn short_names(&self) -> &'static [(&'static str, &'static str)] {
        &[("ffn", r"layer\.\d+\.dense")]
    }

    fn trained(&self) -> Vec<&Linear> {
        self.head.probed().collect()
    }

    fn classifier(&self) -> Option<&Linear> {
        Some(self.head.last())
    }

    fn replace_head(&mut self, classes: usize, device: &Device) {
        self.head.replace(classes, device);
    }

    /// From the input on.
    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        let [hidden, features] = self.input.weight.dims();
        // GELU halves the variance, roughly
        let deviation = |inputs: usize| std::f64::consts::SQRT_2 * fan_in(inputs);
        let mut all = self.input.parameters(Role::Base, deviation(features));
        for layer in &mut self.layers {
            all.extend(layer.parameters(deviation(hidden)));
        }
        all.extend(self.head.parameters());
        all
    }

    fn layers(&self) -> usize {
        self.layers.len()
    }

    fn width(&self) -> usize {
        self.input.weight.dims()[0]
    }
}
