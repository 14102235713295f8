//! `store:` where the gradients live.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// In memory, or memory-mapped above a size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Gradients larger than this many MiB are streamed to a memory-mapped safetensors file.
    pub in_memory_mib: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            in_memory_mib: 4096,
        }
    }
}
