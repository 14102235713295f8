//! What a diffusion model draws for some captions before and after the fine-tune, from the same noise.

use std::path::Path;

use super::answers::first_of_classes;
use super::error::sentence;
use super::picture_files;
use crate::config::SampleOutputs;
use crate::data::{Inputs, Picture, TaskData};
use crate::device::DeviceChoice;
use crate::models::Model;
use crate::progress::Progress;
use crate::results::record::SampleInfo;
use crate::sampling::Sampler;

/// The captions that are drawn; none of another model, or when no samples are asked for.
pub(super) struct Samples<'a> {
    sampler: Option<Sampler>,
    prompts: Vec<String>,
    settings: SampleOutputs,
    seed: u64,
    /// Of the latents.
    shape: [usize; 3],
    /// Folder of the results.
    root: &'a Path,
}

impl<'a> Samples<'a> {
    /// Captions of queries, the first of every class before the second of any, each once; for the pipeline in `folder`.
    ///
    /// # Errors
    /// A sentence for the record.
    pub fn new(
        data: &TaskData,
        folder: Option<&Path>,
        settings: SampleOutputs,
        (device, seed, root): (DeviceChoice, u64, &'a Path),
    ) -> Result<Self, String> {
        let mut none = Self {
            sampler: None,
            prompts: Vec::new(),
            settings,
            seed,
            shape: [0; 3],
            root,
        };
        let (Inputs::Latents(latents), Some([_, queries]), Some(folder)) =
            (&data.query.inputs, &data.images, folder)
        else {
            return Ok(none);
        };
        let classes = data.truth.query_classes.as_deref();
        for query in first_of_classes(queries.texts.len(), classes) {
            let text = &queries.texts[query];
            if none.prompts.len() < settings.prompts && !none.prompts.contains(text) {
                none.prompts.push(text.clone());
            }
        }
        if none.prompts.is_empty() {
            return Ok(none);
        }
        let prompts: Vec<&str> = none.prompts.iter().map(String::as_str).collect();
        let sampler = Sampler::open(folder, &prompts, &device.inner()).map_err(sentence)?;
        Ok(Self {
            sampler: Some(sampler),
            shape: latents.shape,
            ..none
        })
    }

    /// The images of `unet`, prompt after prompt.
    ///
    /// # Errors
    /// A sentence for the record.
    pub fn images(
        &self,
        unet: &Model,
        when: &str,
        progress: &Progress,
    ) -> Result<Vec<Picture>, String> {
        let Some(sampler) = &self.sampler else {
            return Ok(Vec::new());
        };
        progress.stage(&format!("drawing samples {when}"));
        let SampleOutputs {
            images, sampling, ..
        } = self.settings;
        let noise = sampler.noise(self.seed, images, self.shape);
        sampler
            .images(unet, images, &noise, self.shape, sampling)
            .map_err(sentence)
    }

    /// Prompts with their images before and after, which are written.
    ///
    /// # Errors
    /// Pictures that cannot be written, as a sentence.
    pub fn info(self, before: &[Picture], after: &[Picture]) -> Result<Vec<SampleInfo>, String> {
        let each = self.settings.images.max(1);
        let write = |pictures: &[Picture]| -> Result<Vec<String>, String> {
            let files = pictures
                .iter()
                .map(|one| picture_files::write(one, self.root));
            files.collect()
        };
        let rows = before.chunks(each).zip(after.chunks(each));
        let all = self.prompts.iter().zip(rows);
        let info = all.map(|(prompt, (before, after))| {
            Ok(SampleInfo {
                prompt: prompt.clone(),
                before: write(before)?,
                after: write(after)?,
            })
        });
        info.collect()
    }
}
