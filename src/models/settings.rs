//! The settings `model:`: the architecture and how its base is pretrained.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::llama::LlamaConfig;
pub use super::pretrain::PretrainConfig;
use crate::checkpoints::hub::{Checkpoints, HubError, Located};
use crate::input::Problem;

/// The network: `model: transformer`, or `model: {name: transformer, hidden: 64}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum ModelConfig {
    /// Post-layer-norm transformer encoder (BERT's block), mean-pooled, linear head.
    Transformer(TransformerConfig),
    /// Multilayer perceptron on flat features; its hidden layers are LoRA target `ffn`.
    Mlp(MlpConfig),
    /// Small causal language model of the Llama family.
    Llama(LlamaConfig),
    /// Pretrained BERT or RoBERTa with its own head, or a causal language model (Llama, Mistral, Qwen2, Qwen3): a folder in
    /// Hugging Face's layout or an id of the hub.
    Checkpoint(CheckpointConfig),
}

impl ModelConfig {
    /// The first contradiction between the settings, with the field that it is about. What config.json says of a
    /// checkpoint is checked when it is read.
    pub fn problem(&self) -> Option<(&'static str, Problem)> {
        let sizes: &[(&'static str, usize)] = match self {
            Self::Transformer(c) => &[
                ("hidden", c.hidden),
                ("heads", c.heads),
                ("layers", c.layers),
                ("ffn", c.ffn),
            ],
            Self::Mlp(c) => &[("hidden", c.hidden), ("layers", c.layers)],
            Self::Llama(c) => return c.problem(),
            Self::Checkpoint(_) => &[],
        };
        if let Some(&(field, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Some((
                field,
                Problem::new("0 is out of range; allowed: at least 1"),
            ));
        }
        match self {
            Self::Transformer(c) if !c.hidden.is_multiple_of(c.heads) => {
                let message = format!(
                    "hidden = {} is not a multiple of heads = {}",
                    c.hidden, c.heads
                );
                Some(("heads", Problem::new(message)))
            }
            _ => None,
        }
    }

    /// The folder whose tokenizer reads texts, that of the checkpoint; `None` for models without a tokenizer.
    pub fn tokenizer(&self) -> Option<&Path> {
        match self {
            Self::Checkpoint(checkpoint) => Some(checkpoint.folder()),
            Self::Llama(llama) => llama.tokenizer.as_deref(),
            Self::Transformer(_) | Self::Mlp(_) => None,
        }
    }
}

/// A pretrained checkpoint, frozen as it is: `model: {path: FOLDER}`, with or without its
/// `name: checkpoint`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Folder with config.json, model.safetensors (or its shards and their index) and a tokenizer,
    /// relative to the folder that infbench is started in; or, where there is no such folder, the id of
    /// a model on the Hugging Face hub, taken from the local cache or downloaded into it.
    pub path: PathBuf,
    /// Branch, tag or commit of a model on the hub; `main` when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Where it lies, once it has been looked up.
    #[serde(skip)]
    located: Option<Located>,
}

impl CheckpointConfig {
    /// A folder, or the id of a model on the hub at its main branch.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            revision: None,
            located: None,
        }
    }

    /// Looks up where it lies.
    ///
    /// # Errors
    /// See [`Checkpoints::locate`].
    pub fn locate(&mut self, checkpoints: &mut Checkpoints) -> Result<(), HubError> {
        let (revision, commit) = (self.revision.as_deref(), self.commit());
        self.located = Some(checkpoints.locate(&self.path, revision, commit)?);
        Ok(())
    }

    /// Where the files are: `path` itself, or a folder of the cache.
    pub fn folder(&self) -> &Path {
        let located = self.located.as_ref();
        located.map_or(&self.path, |located| &located.folder)
    }

    /// The commit of a model of the hub, once it has been looked up.
    pub fn commit(&self) -> Option<&str> {
        self.located.as_ref()?.commit.as_deref()
    }
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
