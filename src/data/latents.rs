//! Inputs of a latent diffusion model: images as an autoencoder sees them, captions as a text encoder does; both are
//! frozen, so that they are computed once.

use std::sync::Arc;

/// Latents and captions of all examples of a split.
#[derive(Clone, Debug, PartialEq)]
pub struct Latents {
    /// The images.
    pub moments: Moments,
    /// The images mirrored left to right, where a training step takes one or the other at random.
    pub mirrored: Option<Moments>,
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// Text states of every distinct caption, `[tokens, width]`.
    pub texts: Arc<[Vec<f32>]>,
    /// Which of them every example has.
    pub captions: Vec<usize>,
    /// Tokens of a caption.
    pub tokens: usize,
    /// Width of the text states.
    pub width: usize,
}

/// What an autoencoder makes of images.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Means of the autoencoder's posterior, scaled for the network, row-major `[examples, channels, height, width]`.
    pub means: Vec<f32>,
    /// Standard deviations of the same shape, of which a sample is taken with every draw of noise; none where the mean
    /// stands for the image.
    pub deviations: Option<Vec<f32>>,
}

impl Latents {
    /// Numbers of an example's latents.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// Points of an example's latents.
    pub fn points(&self) -> usize {
        self.shape[1] * self.shape[2]
    }
}
