//! Qwen2 (Yang et al., 2024, arXiv 2407.10671): queries, keys and values have biases; from layer `max_window_layers` on a
//! sliding window where `use_sliding_window` says so.

use super::config::HuggingFaceConfig;
use super::decoder::{self, Fixed};
use crate::checkpoints::{Fields, HuggingFaceError};
use crate::models::family::Family;

/// Its names.
pub(super) static FAMILY: Family = decoder::family("qwen2");

pub(super) fn config(fields: &Fields) -> Result<HuggingFaceConfig, HuggingFaceError> {
    decoder::config(
        &FAMILY,
        fields,
        Fixed {
            query_bias: true,
            key_heads: Some(32),
            windows: Some(decoder::windows(fields)?),
            ..Fixed::default()
        },
    )
}
