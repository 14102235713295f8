//! BERT (Devlin et al., 2019): a pooler, tanh of a dense layer on `[CLS]`, then a linear classifier.

use super::config::HuggingFaceConfig;
use super::encoder::{self, Own};
use crate::checkpoints::{Fields, HuggingFaceError};
use crate::models::family::Family;
use crate::models::head::HeadKind;
use crate::models::transformer::Pooling;

/// Its names.
pub(super) static FAMILY: Family = encoder::family("bert");

/// Its settings.
pub(super) fn config(fields: &Fields) -> Result<HuggingFaceConfig, HuggingFaceError> {
    let own = Own {
        pooling: Pooling::Pooler,
        padding: None,
        head: HeadKind::Linear,
    };
    encoder::config(&FAMILY, fields, own)
}
