//! What decides an encoder: from the YAML, or from a checkpoint's config.json.

use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::network::Transformer;
use super::shape::{Activation, EncoderShape, Pooling};
use crate::data::Reads;
use crate::input::Problem;
use crate::models::architecture::{Architecture, empty};
use crate::models::batch::InputShape;
use crate::models::error::ModelError;
use crate::models::head::Head;
use crate::models::model::Model;
use crate::models::pretrain::PretrainConfig;

/// Post-LN transformer encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TransformerConfig {
    /// Width; a multiple of `heads`.
    #[schemars(range(min = 1))]
    pub hidden: usize,
    /// Attention heads.
    #[schemars(range(min = 1))]
    pub heads: usize,
    /// Encoder layers.
    #[schemars(range(min = 1))]
    pub layers: usize,
    /// Width of the feed-forward layer.
    #[schemars(range(min = 1))]
    pub ffn: usize,
    /// How the base is pretrained before it is frozen; `null` leaves it random.
    pub pretrain: Option<PretrainConfig>,
}

impl Default for TransformerConfig {
    fn default() -> Self {
        Self {
            hidden: 48,
            heads: 4,
            layers: 4,
            ffn: 96,
            pretrain: Some(PretrainConfig::default()),
        }
    }
}

impl Architecture for TransformerConfig {
    fn reads() -> &'static [Reads] {
        &[Reads::Vector, Reads::Vectors, Reads::Tokens]
    }

    fn problem(&self) -> Option<(&'static str, Problem)> {
        let sizes = [
            ("hidden", self.hidden),
            ("heads", self.heads),
            ("layers", self.layers),
            ("ffn", self.ffn),
        ];
        if let Some(found) = empty(&sizes) {
            return Some(found);
        }
        if self.hidden.is_multiple_of(self.heads) {
            return None;
        }
        let (hidden, heads) = (self.hidden, self.heads);
        let message = format!("hidden = {hidden} is not a multiple of heads = {heads}");
        Some(("heads", Problem::new(message)))
    }

    fn blank(
        &self,
        input: &InputShape,
        classes: usize,
        device: &Device,
    ) -> Result<Model, ModelError> {
        if matches!(input, InputShape::Latents { .. }) {
            return Err(ModelError::LatentsElsewhere);
        }
        let head = Head::linear(self.hidden, classes, device);
        let network = Transformer::new(&self.into(), input, head, device);
        Ok(Model::of_network(Box::new(network), device))
    }

    fn pretrain(&self) -> Option<&PretrainConfig> {
        self.pretrain.as_ref()
    }
}

impl From<&TransformerConfig> for EncoderShape {
    fn from(config: &TransformerConfig) -> Self {
        Self {
            hidden: config.hidden,
            heads: config.heads,
            layers: config.layers,
            ffn: config.ffn,
            layer_norm_eps: 1e-12,
            activation: Activation::Gelu,
            types: 0,
            padding: None,
            pooling: Pooling::Mean,
        }
    }
}
