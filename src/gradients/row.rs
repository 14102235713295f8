//! What the row of an example consists of.

use crate::data::Targets;
use crate::models::{GradientTensor, Model};

/// The tensors of an example's row: those of [`Model::gradient_tensors`], `[rows, columns]`. Where the gradients of several
/// views are [concatenated](crate::data::Join::Concatenated) they stand one below the other, `[views · rows, columns]`.
pub fn tensors(model: &Model, targets: &Targets) -> Vec<GradientTensor> {
    let views = targets.stacked_views();
    let mut tensors = model.gradient_tensors();
    tensors
        .iter_mut()
        .for_each(|tensor| tensor.shape[0] *= views);
    tensors
}
