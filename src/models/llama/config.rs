//! A network of the Llama family from the YAML.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::network::Llama;
use super::rope::{RopeScaling, RopeSettings};
use super::shape::LlamaShape;
use crate::data::Reads;
use crate::input::Problem;
use crate::models::architecture::{Architecture, empty};
use crate::models::batch::InputShape;
use crate::models::error::ModelError;
use crate::models::model::Model;
use crate::models::pretrain::PretrainConfig;

/// A small network of the Llama family from YAML: RMSNorm, rotary embedding, SwiGLU, no biases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LlamaConfig {
    /// Width; a multiple of twice `heads`.
    #[schemars(range(min = 2))]
    pub hidden: usize,
    /// Attention heads.
    #[schemars(range(min = 1))]
    pub heads: usize,
    /// Heads of keys and values, a divisor of `heads`.
    #[schemars(range(min = 1))]
    pub key_value_heads: usize,
    /// Decoder layers.
    #[schemars(range(min = 1))]
    pub layers: usize,
    /// Width of the feed-forward layer.
    #[schemars(range(min = 1))]
    pub ffn: usize,
    /// How many tokens a position looks back, its own included; `null`: to the beginning.
    #[schemars(range(min = 1))]
    pub sliding_window: Option<usize>,
    /// Whether the embedding is also the matrix that gives the logits.
    pub tie_word_embeddings: bool,
    /// Folder of a checkpoint whose tokenizer reads the texts; only its config.json and the tokenizer's files are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// How the base is pretrained before it is frozen; `null` leaves it random.
    pub pretrain: Option<PretrainConfig>,
}

impl Default for LlamaConfig {
    fn default() -> Self {
        Self {
            hidden: 48,
            heads: 4,
            key_value_heads: 2,
            layers: 4,
            ffn: 96,
            sliding_window: None,
            tie_word_embeddings: true,
            tokenizer: None,
            pretrain: Some(PretrainConfig::default()),
        }
    }
}

impl LlamaConfig {
    /// The network for token ids below `vocabulary`, at most `max_length` an example.
    pub fn shape(&self, vocabulary: usize, max_length: usize) -> LlamaShape {
        LlamaShape {
            vocabulary,
            hidden: self.hidden,
            ffn: self.ffn,
            heads: self.heads,
            key_heads: self.key_value_heads,
            part: self.hidden / self.heads,
            rms_norm_eps: 1e-5,
            rope: RopeSettings {
                theta: 1e4,
                positions: max_length,
                scaling: RopeScaling::Default,
            },
            query_bias: false,
            output_bias: false,
            mlp_bias: false,
            head_norm: false,
            windows: vec![self.sliding_window; self.layers],
            tied: self.tie_word_embeddings,
        }
    }
}

impl Architecture for LlamaConfig {
    fn reads() -> &'static [Reads] {
        &[Reads::Prompts]
    }

    fn problem(&self) -> Option<(&'static str, Problem)> {
        let sizes = [
            ("hidden", self.hidden),
            ("heads", self.heads),
            ("key_value_heads", self.key_value_heads),
            ("layers", self.layers),
            ("ffn", self.ffn),
            ("sliding_window", self.sliding_window.unwrap_or(1)),
        ];
        if let Some(found) = empty(&sizes) {
            return Some(found);
        }
        if !self.hidden.is_multiple_of(2 * self.heads) {
            let message = format!(
                "hidden = {} is not a multiple of twice heads = {}, so that heads are of even width",
                self.hidden, self.heads
            );
            return Some(("heads", Problem::new(message)));
        }
        if !self.heads.is_multiple_of(self.key_value_heads) {
            let message = format!(
                "heads = {} is not a multiple of key_value_heads = {}",
                self.heads, self.key_value_heads
            );
            return Some(("key_value_heads", Problem::new(message)));
        }
        None
    }

    fn blank(
        &self,
        input: &InputShape,
        _classes: usize,
        device: &Device,
    ) -> Result<Model, ModelError> {
        let (vocabulary, max_length) = match *input {
            InputShape::Tokens {
                vocabulary,
                max_length,
            } => (vocabulary, max_length),
            InputShape::Features { .. } => return Err(ModelError::FeaturesForLlama),
            InputShape::Latents { .. } => return Err(ModelError::LatentsElsewhere),
        };
        let network = Llama::new(&self.shape(vocabulary, max_length), device);
        Ok(Model::of_network(Box::new(network), device))
    }

    fn smallest_input(&self) -> Result<InputShape, ModelError> {
        Ok(InputShape::Tokens {
            vocabulary: 1,
            max_length: 1,
        })
    }

    fn pretrain(&self) -> Option<&PretrainConfig> {
        self.pretrain.as_ref()
    }

    fn tokenizer(&self) -> Option<&Path> {
        self.tokenizer.as_deref()
    }
}
