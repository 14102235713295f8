//! The settings `store:`: where the gradients live, and what is kept to be computed once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// In memory, or memory-mapped above a size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Gradients larger than this many MiB are streamed to a memory-mapped safetensors file.
    pub in_memory_mib: u64,
    /// Activations below the first adapted layer do not depend on what is trained: up to this many MiB of them are
    /// computed once an example and reused for evaluations, for the gradients and, when the base has no dropout
    /// (`train.base_dropout`), in every epoch. 0 computes them anew every time. They are computed anew, too, when a
    /// cell's would be larger.
    pub activations_mib: u64,
    /// Type that training and query gradients are kept in. Products are taken in `influence.precision`
    /// whatever it is.
    pub dtype: GradientType,
    /// Gradients that exact influence, against which the metrics hold every method, is computed from. `f32` needs the
    /// method `exact`; where `dtype` is another, the gradients are held in f32 beside.
    #[serde(skip_serializing_if = "Reference::is_default")]
    pub reference: Reference,
}

/// What the metrics' exact influence is computed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// The gradients as they are kept, which the methods see, too: errors are the methods' own.
    #[default]
    Stored,
    /// The gradients in f32, before they are rounded to `dtype`: errors are of the methods and of the storage.
    F32,
}

impl Reference {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Type of stored gradients.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum GradientType {
    /// As they are computed.
    #[default]
    F32,
    /// Half the size, 11 bits of precision; what is below 6e-8 becomes 0, above 65504 infinite.
    F16,
    /// Half the size, 8 bits of precision, the range of f32.
    Bf16,
}

impl GradientType {
    /// Size of one number, bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            in_memory_mib: 4096,
            activations_mib: 4096,
            dtype: GradientType::F32,
            reference: Reference::Stored,
        }
    }
}
