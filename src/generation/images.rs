//! Images of a diffusion pipeline, with or without a LoRA, for one's own prompts.

use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use crate::atomic;
use crate::data::Picture;
use crate::device::DeviceChoice;
use crate::models::diffusion::Sampling;
use crate::models::diffusion::adapter::{self, UnetAdapterError};
use crate::models::files::{self, WeightFileError};
use crate::sampling::{Sampler, SamplingError};

/// The tensor of a file of initial latents.
const LATENTS: &str = "latents";
/// Pixels that an image is at least wide in the table.
const WIDE: usize = 128;
/// White pixels between images.
const GAP: usize = 4;

/// What is asked.
#[derive(Clone, Debug)]
pub struct ImageRequest {
    /// Folder of the pipeline.
    pub model: PathBuf,
    /// LoRA of the UNet: a file of diffusers, or a folder in PEFT's layout.
    pub adapter: Option<PathBuf>,
    /// The prompts; an empty one is legal.
    pub prompts: Vec<String>,
    /// Images a prompt.
    pub images: usize,
    /// Width and height in pixels; `None`: what the pipeline was trained for.
    pub size: [Option<usize>; 2],
    /// Steps and guidance.
    pub sampling: Sampling,
    /// Decides the initial latents.
    pub seed: u64,
    /// Initial latents of another framework in place of drawn ones: a safetensors file whose tensor `latents`,
    /// `[prompts·images, channels, height, width]`, has those of one prompt after those of another.
    pub latents: Option<PathBuf>,
    /// Where it is computed.
    pub device: DeviceChoice,
}

/// Images of one prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptImages {
    /// The prompt.
    pub prompt: String,
    /// Its images.
    pub images: Vec<Picture>,
}

/// Why there are no images.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The pipeline, or sampling.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// The LoRA.
    #[error(transparent)]
    Adapter(#[from] UnetAdapterError),
    /// The pipeline does not say how large its images are.
    #[error(
        "{path} does not say how large its images are (`sample_size` in unet/config.json): give --width and --height"
    )]
    NoSize {
        /// The folder.
        path: PathBuf,
    },
    /// The file of initial latents.
    #[error(transparent)]
    File(#[from] WeightFileError),
    /// Initial latents of another form.
    #[error("{path}: {problem}")]
    Latents {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what is expected.
        problem: String,
    },
    /// The table cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
}

/// Images for every prompt, in order.
///
/// # Errors
/// See [`ImageError`].
pub fn images(request: &ImageRequest) -> Result<Vec<PromptImages>, ImageError> {
    let device = request.device.inner();
    let prompts: Vec<&str> = request.prompts.iter().map(String::as_str).collect();
    let sampler = Sampler::open(&request.model, &prompts, &device)?;
    let size = match (request.size, sampler.size()) {
        ([Some(width), Some(height)], _) => [width, height],
        ([width, height], Some([usual, _])) => [width.unwrap_or(usual), height.unwrap_or(usual)],
        _ => {
            let path = request.model.clone();
            return Err(ImageError::NoSize { path });
        }
    };
    let shape = sampler.latents_of(size)?;
    let noise = match &request.latents {
        None => sampler.noise(request.seed, request.images, shape),
        Some(path) => given(path, prompts.len() * request.images, shape)?,
    };
    let mut unet = sampler.unet(size)?;
    if let Some(path) = &request.adapter {
        adapter::load(path, &mut unet)?;
    }
    let mut found = sampler
        .images(&unet, request.images, &noise, shape, request.sampling)?
        .into_iter();
    let all = request.prompts.iter().map(|prompt| PromptImages {
        prompt: prompt.clone(),
        images: found.by_ref().take(request.images).collect(),
    });
    Ok(all.collect())
}

/// Initial latents of a file, row-major.
fn given(path: &Path, n: usize, [c, h, w]: [usize; 3]) -> Result<Vec<f32>, ImageError> {
    let wrong = |problem: String| ImageError::Latents {
        path: path.to_owned(),
        problem,
    };
    let latents = files::load(path)?.remove(LATENTS);
    let latents = latents.ok_or_else(|| wrong(format!("has no tensor `{LATENTS}`")))?;
    let expected = [n, c, h, w];
    if latents.shape != expected {
        let found = &latents.shape;
        return Err(wrong(format!(
            "`{LATENTS}` has shape {found:?}; expected {expected:?}: images, channels, height, width"
        )));
    }
    if let Some(at) = latents.values.iter().position(|value| !value.is_finite()) {
        let (value, image) = (latents.values[at], at / (c * h * w) + 1);
        return Err(wrong(format!(
            "`{LATENTS}` holds {value} for image {image}; expected finite numbers"
        )));
    }
    Ok(latents.values)
}

/// What stands beside a table of images.
#[derive(Serialize)]
struct About<'a> {
    model: &'a Path,
    adapter: Option<&'a Path>,
    latents: Option<&'a Path>,
    seed: u64,
    steps: usize,
    guidance_scale: f64,
    /// Width and height of an image in pixels, before it is drawn larger.
    size: [usize; 2],
    /// Prompts of the rows, from the top.
    prompts: &'a [String],
}

/// Writes the images as a table, a row a prompt, to a PNG file, and prompts and settings to a JSON file beside it, whose
/// path comes back. Every pixel is drawn `scale` pixels wide and high; `None` makes an image at least 128 pixels wide.
///
/// # Errors
/// The file system's refusal.
pub fn write_table(
    path: &Path,
    request: &ImageRequest,
    all: &[PromptImages],
    scale: Option<usize>,
) -> Result<PathBuf, ImageError> {
    let rows: Vec<&[Picture]> = all.iter().map(|row| &row.images[..]).collect();
    let first = rows.iter().find_map(|row| row.first());
    let size = first.map_or([0; 2], |first| [first.width, first.height]);
    let about = About {
        model: &request.model,
        adapter: request.adapter.as_deref(),
        latents: request.latents.as_deref(),
        seed: request.seed,
        steps: request.sampling.steps,
        guidance_scale: request.sampling.guidance,
        size,
        prompts: &request.prompts,
    };
    let about = serde_json::to_vec_pretty(&about).expect("texts and numbers");
    let scale = scale.unwrap_or_else(|| WIDE.div_ceil(size[0].max(1)));
    let table = Picture::table(&rows, scale, GAP).png();
    let beside = path.with_extension("json");
    for (path, bytes) in [(path, &table), (&beside, &about)] {
        atomic::write(path, bytes).map_err(|source| ImageError::Write {
            path: path.to_owned(),
            source,
        })?;
    }
    Ok(beside)
}
