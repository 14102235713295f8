//! Texts in tokens and hidden states of a model: what methods that compare examples without gradients look at.

use ndarray::Array2;

/// Token ids of the texts of a split, without tokens that begin, end or pad a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// What is given, of every example.
    pub prompts: Vec<Vec<u32>>,
    /// All of it: prompt and answer.
    pub whole: Vec<Vec<u32>>,
}

/// Hidden states of a model's last layer for the examples of a split, `[examples, width]`.
#[derive(Clone, Debug, PartialEq)]
pub struct HiddenStates {
    /// At the last token that attention may look at.
    pub last: Array2<f32>,
    /// The mean over those tokens.
    pub mean: Array2<f32>,
}
