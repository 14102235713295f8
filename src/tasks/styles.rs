//! Which image taught a style: drawings of several styles with captions, for a text-to-image pipeline (DataInf,
//! section 5.3: cartoons, pixel art and line sketches).

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::image_folder::{Captions, ImageSettings, ImageSource, Plain};
use super::task::Task;
use crate::data::Reads;

/// Settings of `styles`: images with `style`, `name` (what is seen) and `text` (a caption that names the style).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct StylesTask {
    /// `plain`: "an icon of NAME"; `styled`: the field `text`.
    pub captions: Captions,
    /// Images and noise. Default of `path`: data/style_images.
    #[serde(flatten)]
    pub images: ImageSettings,
}

impl Task for StylesTask {
    fn reads(&self) -> Reads {
        Reads::Images
    }

    fn images(&self) -> Option<ImageSource<'_>> {
        let path = self.images.path.as_deref();
        Some(ImageSource {
            task: "styles",
            settings: &self.images,
            path: path.unwrap_or(Path::new("data/style_images")),
            needs: "`styles` needs a folder with metadata.jsonl, an object a line with file_name, style, name and text; \
                    task.path names it, relative to the folder that infbench is started in",
            class: "style",
            may_lack_classes: false,
            sizes: [Some(200), Some(50)],
            captions: Plain::of(
                self.captions,
                Plain::Field("an icon of", "name"),
                Plain::Text,
            ),
        })
    }
}
