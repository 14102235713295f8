//! `store:` where the gradients live, and what is kept to be computed once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// In memory, or memory-mapped above a size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Gradients larger than this many MiB are streamed to a memory-mapped safetensors file.
    pub in_memory_mib: u64,
    /// Activations below the first adapted layer never change while adapters are trained: up to this many
    /// MiB of them are computed once an example and reused in every epoch and for the gradients. 0 computes
    /// them anew every time. They are computed anew, too, when a cell's would be larger.
    pub activations_mib: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            in_memory_mib: 4096,
            activations_mib: 4096,
        }
    }
}
