//! Llama (Touvron et al., 2023, arXiv 2302.13971 and 2307.09288; Grattafiori et al., 2024, arXiv 2407.21783).

use super::config::HuggingFaceConfig;
use super::decoder::{self, Fixed};
use crate::checkpoints::{Fields, HuggingFaceError};
use crate::models::family::Family;

/// Its names.
pub(super) static FAMILY: Family = decoder::family("llama");

/// `attention_bias` is of all four projections.
pub(super) fn config(fields: &Fields) -> Result<HuggingFaceConfig, HuggingFaceError> {
    let attention_bias = fields.flag("attention_bias", false)?;
    decoder::config(
        &FAMILY,
        fields,
        Fixed {
            query_bias: attention_bias,
            output_bias: attention_bias,
            mlp_bias: fields.flag("mlp_bias", false)?,
            ..Fixed::default()
        },
    )
}
