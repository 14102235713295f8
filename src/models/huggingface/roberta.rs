//! RoBERTa (Liu et al., 2019): positions begin behind the padding's id; a head of dense, tanh, linear on `<s>`.

use burn::tensor::Device;

use crate::checkpoints::{Fields, HuggingFaceError};
use crate::models::head::Head;
use crate::models::transformer::Pooling;

/// `model_type` in config.json and prefix of the parameters.
pub(super) const NAME: &str = "roberta";
/// How the last layer's tokens become one vector.
pub(super) const POOLING: Pooling = Pooling::First;

/// `classifier.dense` and `classifier.out_proj`.
pub(super) fn head(hidden: usize, classes: usize, device: &Device) -> Head {
    Head::dense(hidden, classes, device)
}

/// `pad_token_id`, 1 when it is missing: the row of the first token in the table of positions is the next.
pub(super) fn padding(fields: &Fields) -> Result<usize, HuggingFaceError> {
    fields.size("pad_token_id", 0, Some(1))
}
