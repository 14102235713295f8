//! The examples made of an image folder.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::source::ImageSource;
use super::splits::{Chosen, Lists, Splits};
use crate::checkpoints::layout::CONFIG_FILE;
use crate::checkpoints::{Fields, HuggingFaceError};
use crate::data::{
    CaptionedImages, ImageData, PREVIEW, Picture, ShownImages, TextData, Texts, Truth,
};
use crate::input::expand_home;
use crate::tasks::error::TaskError;
use crate::tasks::glue::TextError;
use crate::tasks::pictures::resize;
use crate::tasks::text::{CaptionEncoder, TokenizerError};

/// Most images of a folder that are looked at before it is known which of them are drawn.
const MOST_LOOKED_AT: usize = 10_000;

impl ImageSource<'_> {
    /// Looks at everything that the task reads: lists, splits, captions and images. The folder.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn find(&self) -> Result<PathBuf, TaskError> {
        let lists = Lists::read(self)?;
        let splits = Splits::choose(self, &lists, 0)?;
        for part in [&splits.train, &splits.query] {
            // without a list of the splits, the seed of a cell draws others
            let is_drawn = matches!(lists, Lists::One(_)) && self.settings.splits.is_none();
            let rows = match is_drawn {
                true => part.listing.rows().iter().take(MOST_LOOKED_AT).collect(),
                false => part.rows.clone(),
            };
            for row in &rows {
                self.caption(part.listing, row)?;
            }
            part.listing.pictures(&rows, Some(1), self.settings.fit)?;
            if is_drawn {
                break;
            }
        }
        Ok(expand_home(self.path))
    }

    /// The examples, for the pipeline in the folder `pipeline`.
    ///
    /// # Errors
    /// Lists, splits, captions or images that are not as they should be, fewer images than asked for, a tokenizer that
    /// does not fit the pipeline.
    pub fn read(&self, pipeline: &Path, seed: u64) -> Result<ImageData, TaskError> {
        self.with_pictures(pipeline, seed, |part, size| {
            part.listing
                .pictures(&part.rows, Some(size), self.settings.fit)
        })
    }

    /// [`Self::read`] without a look at the images, which have their size and no pixels: what a forecast needs.
    ///
    /// # Errors
    /// As [`Self::read`], but for images.
    pub fn outline(&self, pipeline: &Path, seed: u64) -> Result<ImageData, TaskError> {
        self.with_pictures(pipeline, seed, |part, size| {
            let blank = Picture {
                width: size,
                height: size,
                rgb: Vec::new(),
            };
            Ok(vec![blank; part.rows.len()])
        })
    }

    fn with_pictures(
        &self,
        pipeline: &Path,
        seed: u64,
        pictures: impl Fn(&Chosen, usize) -> Result<Vec<Picture>, TextError>,
    ) -> Result<ImageData, TaskError> {
        let text = |error: TokenizerError| TaskError::from(TextError::from(error));
        let size = match self.settings.resolution {
            Some(size) => size,
            None => native_size(pipeline).map_err(|error| text(error.into()))?,
        };
        let encoder = CaptionEncoder::open(pipeline).map_err(text)?;
        let lists = Lists::read(self)?;
        let splits = Splits::choose(self, &lists, seed)?;
        let (mut words, mut truncated) = (Vec::new(), 0);
        let mut one = |part: &Chosen| {
            let texts = part.rows.iter().map(|row| self.caption(part.listing, row));
            let texts = texts.collect::<Result<Vec<String>, _>>()?;
            let captions = encoder.encode(&texts).map_err(text)?;
            words.push(Texts {
                prompts: captions.words.clone(),
                whole: captions.words,
            });
            truncated += captions.truncated;
            Ok::<_, TaskError>(CaptionedImages {
                files: part.rows.iter().map(|row| row.name.clone()).collect(),
                pictures: pictures(part, size)?,
                texts,
                captions: captions.ids,
            })
        };
        let images = [one(&splits.train)?, one(&splits.query)?];
        let shown = [(&images[0], &splits.train), (&images[1], &splits.query)]
            .map(|(images, part)| shown(images, &splits.names, &part.classes));
        let known = !splits.names.is_empty();
        let all = || images.iter().flat_map(|split| &split.pictures);
        let distinct: HashSet<&Vec<u8>> = all().map(|picture| &picture.rgb).collect();
        let texts: [Texts; 2] = words.try_into().expect("two splits");
        Ok(ImageData {
            texts: TextData {
                questions: Vec::new(),
                long_prompts: 0,
                texts,
                truncated,
                duplicates: all().count() - distinct.len(),
            },
            shown,
            classes: splits.names.len().max(1),
            truth: Truth {
                flipped: None,
                train_classes: known.then_some(splits.train.classes),
                query_classes: known.then_some(splits.query.classes),
            },
            splits: images,
        })
    }
}

/// Images for readers.
fn shown(images: &CaptionedImages, names: &[String], classes: &[usize]) -> ShownImages {
    let class = |class: &usize| names.get(*class).cloned();
    ShownImages {
        files: images.files.clone(),
        texts: images.texts.clone(),
        classes: classes.iter().filter_map(class).collect(),
        previews: images.pictures.iter().map(preview).collect(),
    }
}

/// An image with no side longer than [`PREVIEW`].
fn preview(picture: &Picture) -> Picture {
    let longest = picture.width.max(picture.height);
    if longest <= PREVIEW || picture.rgb.is_empty() {
        return picture.clone();
    }
    let side = |side: usize| (side * PREVIEW).div_ceil(longest);
    resize(picture, side(picture.width), side(picture.height))
}

/// Pixels a side of the images that a pipeline was made for: `sample_size` of its UNet times the factor of its
/// autoencoder.
fn native_size(pipeline: &Path) -> Result<usize, HuggingFaceError> {
    let unet = Fields::read(&pipeline.join("unet").join(CONFIG_FILE))?;
    let vae = Fields::read(&pipeline.join("vae").join(CONFIG_FILE))?;
    let levels = vae.get("block_out_channels").and_then(Value::as_array);
    let levels = levels.map_or(1, |levels| levels.len().clamp(1, 16));
    Ok(unet.size("sample_size", 1, None)? << (levels - 1))
}
