//! Captioned images of one's own, for a text-to-image pipeline.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::image_folder::{ImageSettings, ImageSource, Plain};
use super::task::Task;
use crate::data::Reads;
use crate::input::Problem;

/// Settings of `images`: images with `text` (the caption) and `class`, which may be missing from all of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct ImagesTask {
    /// Images and noise; `path` is needed.
    #[serde(flatten)]
    pub images: ImageSettings,
}

/// What a folder has.
const NEEDS: &str = "`images` needs a folder with metadata.jsonl, an object a line with file_name, text and, where there are classes, class";

impl Task for ImagesTask {
    fn reads(&self) -> Reads {
        Reads::Images
    }

    fn problem(&self) -> Option<(&'static str, Problem)> {
        let missing = self.images.path.is_none();
        missing.then(|| ("path", Problem::new(format!("is missing: {NEEDS}"))))
    }

    fn images(&self) -> Option<ImageSource<'_>> {
        let path = self.images.path.as_deref();
        Some(ImageSource {
            task: "images",
            settings: &self.images,
            path: path.unwrap_or(Path::new(".")),
            needs: NEEDS,
            class: "class",
            may_lack_classes: true,
            sizes: [None, None],
            captions: Plain::Text,
        })
    }
}
