//! Image folders with captions and classes: what the tasks of images share.
//!
//! In: a folder with `metadata.jsonl`, the field that is the class, and how many images of each class are training
//! examples and queries. Out: the images with the ids of their captions by a pipeline's tokenizer, class by class; the
//! classes are the truth. What a diffusion pipeline makes of them is not made here.

mod examples;
mod settings;
mod source;
mod splits;

pub use self::settings::{Captions, ImageSettings};
pub use self::source::{ImageSource, Plain};
