//! Latents, noise and timesteps of another framework.

use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use thiserror::Error;

use crate::checkpoints::{TensorFileError, tensor_file};
use crate::data::GivenNoise;

/// Why a file of noise cannot be used.
#[derive(Debug, Error)]
pub enum NoiseFileError {
    /// A file that cannot be read, or is none.
    #[error(transparent)]
    File(#[from] TensorFileError),
    /// A tensor is missing or of another form.
    #[error(
        "{path}: `{name}` {problem}. A file of noise has `latents` and `noise`, [examples, views, channels, height, width], and `timesteps`, [views] whole numbers"
    )]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// What is read.
pub(super) struct NoiseFile {
    /// Channels, height and width of the latents.
    pub shape: [usize; 3],
    /// Timestep of every view.
    pub timesteps: Vec<usize>,
    /// Latents and noise of every example.
    pub examples: Vec<GivenNoise>,
}

/// Reads the noise of `n` examples with latents of `channels`.
pub(super) fn read(path: &Path, n: usize, channels: usize) -> Result<NoiseFile, NoiseFileError> {
    let bytes = tensor_file::read(path)?;
    let (file, _) = tensor_file::parse(path, &bytes)?;
    let wrong = |name: &'static str, problem: String| NoiseFileError::Tensor {
        path: path.to_owned(),
        name,
        problem,
    };
    let tensor = |name: &'static str| {
        let found = file.tensor(name);
        found.map_err(|_| wrong(name, "is missing".to_owned()))
    };
    let timesteps = whole(&tensor("timesteps")?).map_err(|problem| wrong("timesteps", problem))?;
    let views = timesteps.len();
    let numbers = |name: &'static str| {
        let view = tensor(name)?;
        let shape = view.shape().to_vec();
        if shape.len() != 5 || shape[..3] != [n, views, channels] || shape.contains(&0) {
            let problem = format!(
                "has shape {shape:?}; expected [{n}, {views}, {channels}, height, width] for {n} examples, {views} timesteps and a UNet of {channels} channels"
            );
            return Err(wrong(name, problem));
        }
        let values = tensor_file::numbers(&view).map_err(|problem| wrong(name, problem))?;
        Ok((shape, values))
    };
    let (shape, latents) = numbers("latents")?;
    let (other, noise) = numbers("noise")?;
    if shape != other {
        let problem = format!("has shape {other:?}, `latents` {shape:?}");
        return Err(wrong("noise", problem));
    }
    let size = latents.len() / n;
    let pairs = latents.chunks(size).zip(noise.chunks(size));
    let examples = pairs.map(|(latents, noise)| GivenNoise {
        latents: latents.to_vec(),
        noise: noise.to_vec(),
    });
    Ok(NoiseFile {
        shape: [shape[2], shape[3], shape[4]],
        timesteps,
        examples: examples.collect(),
    })
}

/// Whole numbers from 0 on of a vector.
fn whole(view: &TensorView<'_>) -> Result<Vec<usize>, String> {
    if view.shape().len() != 1 || view.shape()[0] == 0 {
        return Err(format!("has shape {:?}", view.shape()));
    }
    let data = view.data();
    let numbers: Vec<i64> = match view.dtype() {
        Dtype::I64 => (data.as_chunks::<8>().0.iter())
            .map(|b| i64::from_le_bytes(*b))
            .collect(),
        Dtype::I32 => (data.as_chunks::<4>().0.iter())
            .map(|b| i64::from(i32::from_le_bytes(*b)))
            .collect(),
        other => return Err(format!("is {other:?}; allowed: I64, I32")),
    };
    let one = |number: i64| usize::try_from(number).map_err(|_| format!("holds {number}"));
    numbers.into_iter().map(one).collect()
}
