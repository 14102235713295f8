//! RoBERTa (Liu et al., 2019): positions begin behind the padding's id; a head of dense, tanh, linear on `<s>`.

use super::config::HuggingFaceConfig;
use super::encoder::{self, Own};
use crate::checkpoints::{Fields, HuggingFaceError};
use crate::models::family::Family;
use crate::models::head::HeadKind;
use crate::models::transformer::Pooling;

/// Its names.
pub(super) static FAMILY: Family = encoder::family("roberta");

/// Its settings; the row of the first token in the table of positions is the one after `pad_token_id`, 1 when it is
/// missing.
pub(super) fn config(fields: &Fields) -> Result<HuggingFaceConfig, HuggingFaceError> {
    let own = Own {
        pooling: Pooling::First,
        padding: Some(fields.size("pad_token_id", 0, Some(1))?),
        head: HeadKind::Dense,
    };
    encoder::config(&FAMILY, fields, own)
}
