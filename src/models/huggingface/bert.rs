//! BERT (Devlin et al., 2019): a pooler, tanh of a dense layer on `[CLS]`, then a linear classifier.

use burn::tensor::Device;

use crate::models::head::Head;
use crate::models::transformer::Pooling;

/// `model_type` in config.json and prefix of the parameters.
pub(super) const NAME: &str = "bert";
/// How the last layer's tokens become one vector.
pub(super) const POOLING: Pooling = Pooling::Pooler;

/// `classifier`.
pub(super) fn head(hidden: usize, classes: usize, device: &Device) -> Head {
    Head::linear(hidden, classes, device)
}
