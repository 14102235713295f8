//! What the frozen parts of a pipeline make of images and captions, kept in the cache by the hash of all three.

use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::data::{CaptionedImages, Latents, Moments, NoiseSettings};
use crate::device::DeviceChoice;
use crate::finetune::FinetuneError;
use crate::finetune::cache::{Cache, Key};
use crate::models::diffusion::{PipelineConfig, PipelineError, encode};
use crate::models::{Array, Weights};

/// Name of the files in the cache.
const KIND: &str = "latents";
/// Names of the tensors in such a file.
const MEANS: [&str; 2] = ["means", "mirrored.means"];
const DEVIATIONS: [&str; 2] = ["deviations", "mirrored.deviations"];
const TEXTS: &str = "texts";

/// How images are encoded.
#[derive(Clone, Copy)]
pub(super) enum Encoding<'a> {
    /// By the pipeline's frozen parts, on a device; what they make is kept in a folder.
    By(DeviceChoice, &'a Path),
    /// Not at all: zeros of the same form, for a forecast.
    Blank,
}

/// Why there are no latents.
#[derive(Debug, Error)]
pub(super) enum LatentsError {
    /// The pipeline that reads images.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] FinetuneError),
}

/// What stands beside the tensors.
#[derive(Serialize, Deserialize)]
struct LatentsInfo {
    /// Which of the distinct captions every image has.
    captions: Vec<usize>,
}

/// The images and captions of both splits as the UNet takes them; the images mirrored, too, where a split asks.
///
/// # Errors
/// As [`encode::inputs`], and a cache that cannot be written.
pub(super) fn latents(
    pipeline: &PipelineConfig,
    splits: [(&CaptionedImages, bool); 2],
    loss: &NoiseSettings,
    encoding: Encoding,
) -> Result<[Latents; 2], LatentsError> {
    let Encoding::By(device, folder) = encoding else {
        return Ok(splits.map(|(images, _)| encode::blank(pipeline, images)));
    };
    let encoders = pipeline.hash_of_encoders()?;
    let encoded =
        |(images, mirrored)| of_split(pipeline, &encoders, images, loss, mirrored, device, folder);
    let [train, query] = splits;
    Ok([encoded(train)?, encoded(query)?])
}

/// The latents of a split, from the cache where they are there.
fn of_split(
    pipeline: &PipelineConfig,
    encoders: &str,
    images: &CaptionedImages,
    loss: &NoiseSettings,
    mirrored: bool,
    device: DeviceChoice,
    folder: &Path,
) -> Result<Latents, LatentsError> {
    let mut key = Key::new(KIND);
    key.text(encoders);
    key.settings(&(device, loss.posterior, mirrored));
    for (picture, caption) in images.pictures.iter().zip(&images.captions) {
        key.settings(&(picture.width, picture.height, caption));
        key.bytes(&picture.rgb);
    }
    let (key, cache) = (key.finish(), Cache(Some(folder)));
    let found = cache.read::<LatentsInfo>(KIND, &key);
    if let Some(found) = found.and_then(|(arrays, info)| from_arrays(arrays, info)) {
        return Ok(found);
    }
    let made = encode::inputs(pipeline, images, loss.posterior, mirrored, &device.inner())?;
    let info = LatentsInfo {
        captions: made.captions.clone(),
    };
    cache.write(KIND, &key, &to_arrays(&made), &info)?;
    Ok(made)
}

fn to_arrays(latents: &Latents) -> Weights {
    let n = latents.captions.len();
    let [channels, height, width] = latents.shape;
    let mut arrays = Weights::new();
    let splits = [Some(&latents.moments), latents.mirrored.as_ref()];
    for (which, moments) in splits.into_iter().enumerate() {
        let Some(moments) = moments else { continue };
        let mut add = |name: &str, values: &Vec<f32>| {
            let array = Array {
                shape: vec![n, channels, height, width],
                values: values.clone(),
            };
            arrays.insert(name.to_owned(), array);
        };
        add(MEANS[which], &moments.means);
        if let Some(deviations) = &moments.deviations {
            add(DEVIATIONS[which], deviations);
        }
    }
    let texts = Array {
        shape: vec![latents.texts.len(), latents.tokens, latents.width],
        values: latents.texts.concat(),
    };
    arrays.insert(TEXTS.to_owned(), texts);
    arrays
}

/// What [`to_arrays`] was given; `None` for tensors of another form.
fn from_arrays(mut arrays: Weights, info: LatentsInfo) -> Option<Latents> {
    let texts = arrays.remove(TEXTS)?;
    let &[_, channels, height, width] = &arrays.get(MEANS[0])?.shape[..] else {
        return None;
    };
    let &[_, tokens, context] = &texts.shape[..] else {
        return None;
    };
    let mut moments = |which: usize| {
        let means = arrays.remove(MEANS[which])?.values;
        let deviations = arrays.remove(DEVIATIONS[which]);
        let deviations = deviations.map(|array| array.values);
        Some(Moments { means, deviations })
    };
    let states = texts.values.chunks(tokens * context);
    Some(Latents {
        moments: moments(0)?,
        mirrored: moments(1),
        shape: [channels, height, width],
        texts: states.map(<[f32]>::to_vec).collect(),
        captions: info.captions,
        tokens,
        width: context,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let moments = |from: f32, sampled: bool| Moments {
            means: (0..3 * 2 * 4).map(|i| from + i as f32).collect(),
            deviations: sampled.then(|| (0..3 * 2 * 4).map(|i| from - i as f32).collect()),
        };
        for (sampled, mirrored) in [(true, true), (true, false), (false, true)] {
            let latents = Latents {
                moments: moments(0.5, sampled),
                mirrored: mirrored.then(|| moments(7.0, sampled)),
                shape: [2, 1, 4],
                texts: [vec![1.0; 6], vec![2.0; 6]].into(),
                captions: vec![0, 1, 0],
                tokens: 3,
                width: 2,
            };
            let info = LatentsInfo {
                captions: latents.captions.clone(),
            };
            assert_eq!(from_arrays(to_arrays(&latents), info), Some(latents));
        }
    }
}
