//! The settings `model.pretrain`: how the base of a network that is not from a checkpoint is made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
