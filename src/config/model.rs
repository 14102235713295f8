//! `model:` the architecture and how its base is pretrained.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The network: `model: transformer`, or `model: {name: transformer, hidden: 64}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum ModelConfig {
    /// Post-layer-norm transformer encoder (BERT's block), mean-pooled, linear head.
    Transformer(TransformerConfig),
    /// Multilayer perceptron on flat features; its hidden layers are LoRA target `ffn`.
    Mlp(MlpConfig),
    /// Pretrained BERT or RoBERTa from a folder in Hugging Face's layout, with its own head.
    Checkpoint(CheckpointConfig),
}

/// A pretrained checkpoint, frozen as it is: `model: {name: checkpoint, path: FOLDER}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Folder with config.json, model.safetensors (or its shards and their index) and tokenizer.json;
    /// relative to the folder that infbench is started in. Nothing is downloaded.
    pub path: PathBuf,
}

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

/// Pretraining of the base: all parameters, AdamW, constant rate, on the task's pretraining split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PretrainConfig {
    /// Passes over the pretraining split.
    #[schemars(range(min = 1))]
    pub epochs: usize,
    /// Learning rate.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub lr: f64,
    /// Examples a step.
    #[schemars(range(min = 1))]
    pub batch_size: usize,
}

impl Default for PretrainConfig {
    fn default() -> Self {
        Self {
            epochs: 8,
            lr: 2e-3,
            batch_size: 32,
        }
    }
}
