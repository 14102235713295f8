//! Images with captions, as tasks give them to a diffusion pipeline.

use super::{Picture, TextData, Truth};

/// The examples of a split, example by example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptionedImages {
    /// File names, as the list of the images has them.
    pub files: Vec<String>,
    /// The images, of one size.
    pub pictures: Vec<Picture>,
    /// The captions.
    pub texts: Vec<String>,
    /// Token ids of the captions, equally many each: with the tokens that begin, end and pad them.
    pub captions: Vec<Vec<u32>>,
}

/// What a reader sees of the images of a split, and what methods compare that look at no gradient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownImages {
    /// File names, as the list of the images has them.
    pub files: Vec<String>,
    /// The captions.
    pub texts: Vec<String>,
    /// Names of the classes; empty where there are none.
    pub classes: Vec<String>,
    /// The images, no side longer than [`PREVIEW`] pixels.
    pub previews: Vec<Picture>,
}

/// Longest side of a preview, pixels.
pub const PREVIEW: usize = 128;

/// The examples of a task of images, before a pipeline's frozen parts have read them.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageData {
    /// Training images and queries.
    pub splits: [CaptionedImages; 2],
    /// The same for readers and controls.
    pub shown: [ShownImages; 2],
    /// Captions in tokens.
    pub texts: TextData,
    /// Number of classes; 1 where there are none.
    pub classes: usize,
    /// What is known.
    pub truth: Truth,
}
