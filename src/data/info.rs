//! What a record says of a model and its fine-tune.

use serde::{Deserialize, Serialize};

/// Metadata of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Name, e.g. `transformer`.
    pub name: String,
    /// All parameters.
    pub parameters: usize,
    /// Trained parameters: adapters and head.
    pub trainable: usize,
    /// Layers of the network.
    pub layers: usize,
    /// Layers that carry an adapter.
    pub adapted_layers: usize,
    /// Commit of a checkpoint that was given by its id on the hub.
    #[serde(default)]
    pub commit: Option<String>,
    /// Dropout outside the adapters while fine-tuning; not there in records from before it was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_dropout: Option<BaseDropoutInfo>,
}

/// Probabilities of dropout outside the adapters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaseDropoutInfo {
    /// Of embeddings, attention outputs and feed-forward outputs.
    pub hidden: f64,
    /// Of attention weights.
    pub attention: f64,
    /// Of the classifier's inputs.
    pub classifier: f64,
}

/// The fine-tune.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingInfo {
    /// Wall time; of the original run when it came from the cache.
    pub seconds: f64,
    /// Whether it was read from the cache.
    pub cached: bool,
    /// What accuracies are shares of: `examples`, or `target tokens` of a language model; empty for an objective that
    /// knows no accuracy, and in records from before it was written.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub accuracy_of: String,
    /// One entry an epoch.
    pub epochs: Vec<EpochInfo>,
}

/// One epoch of the fine-tune.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochInfo {
    /// From 1.
    pub epoch: usize,
    /// Mean training loss over the epoch (dropout on), nats.
    pub train_loss: f64,
    /// Mean query loss after the epoch, nats.
    pub query_loss: f64,
    /// Query accuracy after the epoch, 0–1; `null` for an objective that knows none.
    pub query_accuracy: Option<f64>,
}
