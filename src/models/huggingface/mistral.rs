//! Mistral (Jiang et al., 2023, arXiv 2310.06825): every layer looks back `sliding_window` tokens, 4096 when the field is
//! missing and without end when it is null.

use super::config::HuggingFaceConfig;
use super::decoder::{self, Fixed};
use crate::checkpoints::{Fields, HuggingFaceError};
use crate::models::family::Family;

/// Its names.
pub(super) static FAMILY: Family = decoder::family("mistral");

pub(super) fn config(fields: &Fields) -> Result<HuggingFaceConfig, HuggingFaceError> {
    let window = if fields.is_null("sliding_window") {
        None
    } else {
        Some(fields.size("sliding_window", 1, Some(4096))?)
    };
    let layers = fields.size("num_hidden_layers", 1, None)?;
    decoder::config(
        &FAMILY,
        fields,
        Fixed {
            key_heads: Some(8),
            windows: Some(vec![window; layers]),
            ..Fixed::default()
        },
    )
}
