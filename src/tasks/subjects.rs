//! Which photograph taught a subject: a few images of each of many subjects, for a text-to-image pipeline (DataInf,
//! section 5.3; the images of DreamBooth, Ruiz et al., 2023).

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::image_folder::{Captions, ImageSettings, ImageSource, Plain};
use super::task::Task;
use crate::data::Reads;

/// Settings of `subjects`: images with `subject` and `class` (what the subject is, such as a dog).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct SubjectsTask {
    /// `plain`: "a photo of CLASS"; `styled`: "a photo of SUBJECT".
    pub captions: Captions,
    /// Images and noise. Default of `path`: data/dreambooth.
    #[serde(flatten)]
    pub images: ImageSettings,
}

impl Task for SubjectsTask {
    fn reads(&self) -> Reads {
        Reads::Images
    }

    fn images(&self) -> Option<ImageSource<'_>> {
        let path = self.images.path.as_deref();
        Some(ImageSource {
            task: "subjects",
            settings: &self.images,
            path: path.unwrap_or(Path::new("data/dreambooth")),
            needs: "`subjects` needs a folder with metadata.jsonl, an object a line with file_name, subject and class; \
                    task.path names it, relative to the folder that infbench is started in",
            class: "subject",
            may_lack_classes: false,
            sizes: [Some(3), None],
            captions: Plain::of(
                self.captions,
                Plain::Field("a photo of", "class"),
                Plain::Field("a photo of", "subject"),
            ),
        })
    }
}
