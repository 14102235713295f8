//! Qwen3 (Yang et al., 2025, arXiv 2505.09388): every head of queries and keys is normalised, heads are `head_dim` (128) wide
//! whatever the width of the model, windows as for Qwen2.

use super::config::HuggingFaceConfig;
use super::decoder::{self, Fixed};
use crate::checkpoints::{Fields, HuggingFaceError};
use crate::models::family::Family;

/// Its names.
pub(super) static FAMILY: Family = decoder::family("qwen3");

pub(super) fn config(fields: &Fields) -> Result<HuggingFaceConfig, HuggingFaceError> {
    let attention_bias = fields.flag("attention_bias", false)?;
    decoder::config(
        &FAMILY,
        fields,
        Fixed {
            query_bias: attention_bias,
            output_bias: attention_bias,
            head_norm: true,
            head_dim: Some(128),
            key_heads: Some(32),
            windows: Some(decoder::windows(fields)?),
            ..Fixed::default()
        },
    )
}
