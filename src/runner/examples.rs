//! The examples of a cell as its model takes them. Images become latents and text states by the frozen parts of the
//! pipeline, once: they are kept in the cache.

use std::path::Path;

use thiserror::Error;

use super::latents::{Encoding, LatentsError, latents};
use crate::config::{ModelConfig, TaskConfig};
use crate::data::{CaptionedImages, Inputs, Latents, Split, Targets, TaskData};
use crate::models::diffusion::{PipelineConfig, PipelineError};
use crate::tasks::TaskError;
use crate::tasks::image_folder::ImageSource;

/// Why there are no examples.
#[derive(Debug, Error)]
pub(super) enum ExamplesError {
    /// The task.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The pipeline that reads images.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// Timesteps that the pipeline does not have.
    #[error("task: {problem}")]
    Noise {
        /// What is wrong.
        problem: String,
    },
    /// The latents.
    #[error(transparent)]
    Latents(#[from] LatentsError),
}

/// The examples of a cell.
///
/// # Errors
/// Examples that cannot be made, or that the pipeline cannot read.
pub(super) fn make(
    task: &TaskConfig,
    model: &ModelConfig,
    seed: u64,
    encoding: Encoding,
) -> Result<TaskData, ExamplesError> {
    match (task.images(), model.checkpoint()) {
        (Some(source), Some(folder)) => of_images(&source, folder, seed, encoding),
        _ => Ok(task.build(model.tokenizer(), seed)?),
    }
}

/// The examples of a task of images, for the pipeline in `folder`.
fn of_images(
    source: &ImageSource,
    folder: &Path,
    seed: u64,
    encoding: Encoding,
) -> Result<TaskData, ExamplesError> {
    let pipeline = PipelineConfig::read(folder)?;
    let data = match encoding {
        Encoding::Blank => source.outline(folder, seed)?,
        Encoding::By(..) => source.read(folder, seed)?,
    };
    let settings = source.settings;
    let [train, query] = &data.splits;
    let [mut train_latents, query_latents] = latents(
        &pipeline,
        [(train, settings.random_flip), (query, false)],
        &settings.loss,
        encoding,
    )?;
    let targets = |name: &str, images: &CaptionedImages| {
        let (alphas, prediction) = (pipeline.schedule.alphas(), pipeline.schedule.prediction());
        let n = images.pictures.len();
        let made = settings.loss.targets(n, name, seed, alphas, prediction);
        let made = made.map_err(|problem| ExamplesError::Noise { problem })?;
        Ok::<_, ExamplesError>(Targets::Noise(made))
    };
    let train_targets = targets("train", train)?;
    let tuning = train_latents.mirrored.take().map(|mirrored| Split {
        inputs: Inputs::Latents(Latents {
            mirrored: Some(mirrored),
            ..train_latents.clone()
        }),
        targets: train_targets.clone(),
    });
    Ok(TaskData {
        query: Split {
            inputs: Inputs::Latents(query_latents),
            targets: targets("query", query)?,
        },
        train: Split {
            inputs: Inputs::Latents(train_latents),
            targets: train_targets,
        },
        tuning,
        pretrain: None,
        classes: data.classes,
        passed_over: 0,
        texts: Some(data.texts),
        images: Some(data.shown),
        truth: data.truth,
    })
}
