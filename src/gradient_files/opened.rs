//! What gradients are taken of, whatever the task.

use crate::checkpoints::hub::Located;
use crate::data::Split;
use crate::models::Model;

/// What gradients are taken of.
pub(super) struct Opened {
    pub model: Model,
    pub split: Split,
    pub located: Located,
    /// Lines that are no examples.
    pub passed_over: usize,
    /// Texts that were cut.
    pub truncated: usize,
    /// Texts whose prompt alone is longer than the longest length.
    pub long_prompts: usize,
}
