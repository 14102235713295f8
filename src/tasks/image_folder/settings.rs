//! Settings that all tasks of images have.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::NoiseSettings;
use crate::tasks::pictures::Fit;

/// Images, how they are read, and the noise of a task of images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ImageSettings {
    /// Folder with the images and `metadata.jsonl`, an object a line with `file_name` (or `image`), the class and what
    /// captions are made of; or with a folder `train` and one `test` or `validation` that have one each. Relative to the
    /// folder that infbench is started in.
    pub path: Option<PathBuf>,
    /// JSON file with the images of each class, `{"FIELD": {"CLASS": {"train": [FILE, …], "query": [FILE, …]}}}` with
    /// FIELD the name of the class's field. Without it, and without a folder for each split, images are drawn by the
    /// seed.
    pub splits: Option<PathBuf>,
    /// Training images of each class, the first of those listed. Default: all of a folder `train`, or of the list in `splits`
    /// where the task is `images`; else 200 of `styles` and 3 of `subjects`, as in the paper, and four fifths of a class of
    /// `images`.
    #[schemars(range(min = 1))]
    pub train: Option<usize>,
    /// Query images of each class. Default: all of a folder `test` or `validation`; else 50 of `styles`, and all that are
    /// listed or left of the others.
    #[schemars(range(min = 1))]
    pub query: Option<usize>,
    /// Pixels a side. Default: what the pipeline was made for.
    #[schemars(range(min = 1))]
    pub resolution: Option<usize>,
    /// How an image becomes a square.
    pub fit: Fit,
    /// Whether every other training step of an image takes it mirrored left to right; gradients do not.
    pub random_flip: bool,
    /// Timesteps and noise.
    #[serde(flatten)]
    pub loss: NoiseSettings,
}

/// Whether captions say the class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Captions {
    /// They say what is seen, not its style or which subject it is: the gradient has to tell.
    #[default]
    Plain,
    /// They name the style or the subject, so that the gradient has less to tell.
    Styled,
}
