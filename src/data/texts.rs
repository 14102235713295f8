//! Texts in tokens, hidden states of a model and embeddings of images: what methods that compare examples without gradients look at.

use ndarray::Array2;

/// Token ids of the texts of a split, without tokens that begin, end or pad a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// What is given, of every example.
    pub prompts: Vec<Vec<u32>>,
    /// All of it: prompt and answer.
    pub whole: Vec<Vec<u32>>,
}

/// Vectors of the examples of a split with images, `[examples, width]`, which do not depend on a fine-tune.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// Pixels of the images, shrunk to [`PREVIEW`](super::PREVIEW) a side where they are larger.
    pub pixels: Array2<f32>,
    /// Means of the autoencoder's posterior.
    pub latents: Array2<f32>,
    /// Their mean and standard deviation in every channel.
    pub pooled: Array2<f32>,
    /// The text encoder's state of the caption at the token that ends it.
    pub captions: Array2<f32>,
}

/// Hidden states of a model's last layer for the examples of a split, `[examples, width]`.
#[derive(Clone, Debug, PartialEq)]
pub struct HiddenStates {
    /// At the last token that attention may look at.
    pub last: Array2<f32>,
    /// The mean over those tokens.
    pub mean: Array2<f32>,
}
