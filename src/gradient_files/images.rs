//! Images with captions, and the UNet that is given them.

use std::path::Path;
use std::sync::Arc;

use super::error::GradientFilesError;
use super::noise;
use super::opened::Opened;
use super::request::GradientRequest;
use super::task::ImageOptions;
use crate::batching;
use crate::checkpoints::hub::Located;
use crate::data::{CaptionedImages, Inputs, Latents, Moments, NoiseSettings, Split, Targets};
use crate::input::expand_home;
use crate::models::diffusion::encode;
use crate::models::diffusion::{PipelineConfig, adapter};
use crate::models::{Model, ModelError};
use crate::tasks::glue::TextError;
use crate::tasks::pictures::Listing;
use crate::tasks::text::CaptionEncoder;

/// The pipeline with its adapter, and the examples as its UNet takes them.
pub(super) fn open(
    request: &GradientRequest,
    options: &ImageOptions,
) -> Result<Opened, GradientFilesError> {
    let path = &request.examples;
    let listing = Listing::read(path)?;
    if listing.rows().is_empty() {
        return Err(GradientFilesError::NoExamples { path: path.clone() });
    }
    let rows: Vec<_> = listing.rows().iter().collect();
    let texts = rows.iter().map(|row| listing.text(row, "text"));
    let texts = texts.collect::<Result<Vec<&str>, _>>()?;
    let lora = request.adapter.as_deref();
    let lora = lora.ok_or(GradientFilesError::NoLora)?;
    let pictures = listing.pictures(&rows, options.resolution, options.fit)?;
    if let Some(at) = pictures
        .iter()
        .position(|p| [p.width, p.height] != [pictures[0].width, pictures[0].height])
    {
        let size = |at: usize| format!("{} x {}", pictures[at].width, pictures[at].height);
        let problem = format!(
            "the image has {} pixels, the first of the list {}; give --resolution, which makes squares of all",
            size(at),
            size(0)
        );
        return Err(listing.about(rows[at], problem).into());
    }
    let refused = request
        .loading
        .only_for_language_models("a diffusion pipeline");
    if let Some((field, problem)) = refused {
        let at = format!("--{field}");
        return Err(ModelError::Setting { at, problem }.into());
    }
    let folder = expand_home(&request.model);
    let pipeline = PipelineConfig::read(&folder)?;
    let captions = CaptionEncoder::open(&folder).map_err(TextError::from)?;
    let images = CaptionedImages {
        files: rows.iter().map(|row| row.name.clone()).collect(),
        pictures,
        captions: captions.encode(&texts).map_err(TextError::from)?.ids,
        texts: texts.into_iter().map(str::to_owned).collect(),
    };
    let device = request.device.inner();
    let alphas = pipeline.schedule.alphas();
    let targets = |settings: &NoiseSettings| {
        let made = settings.targets(
            rows.len(),
            "train",
            request.seed,
            alphas,
            pipeline.schedule.prediction(),
        );
        made.map_err(|reason| GradientFilesError::Noise { reason })
    };
    let (inputs, targets) = match &options.noise {
        None => {
            let posterior = options.targets.posterior;
            let inputs = encode::inputs(&pipeline, &images, posterior, false, &device)?;
            (inputs, targets(&options.targets)?)
        }
        Some(path) => {
            let given = noise::read(path, rows.len(), pipeline.unet.inputs)?;
            let settings = NoiseSettings {
                timesteps: given.timesteps,
                draws: 1,
                ..options.targets.clone()
            };
            let mut targets = targets(&settings)?;
            let [channels, height, width] = given.shape;
            let texts = encode::text_states(&pipeline, &images.captions, &device)?;
            let inputs = Latents {
                // the targets bring the latents of every timestep along
                moments: Moments {
                    means: vec![0.0; rows.len() * channels * height * width],
                    deviations: None,
                },
                mirrored: None,
                shape: given.shape,
                tokens: texts.tokens,
                width: pipeline.text.hidden,
                texts: texts.states,
                captions: texts.captions,
            };
            targets.given = Some(given.examples.into_iter().map(Arc::new).collect());
            (inputs, targets)
        }
    };
    let split = Split {
        inputs: Inputs::Latents(inputs),
        targets: Targets::Noise(targets),
    };
    let mut model = Model::of_pipeline(&pipeline, &batching::input_shape(&split), &device)?;
    adapter::load(&expand_home(lora), &mut model)?;
    Ok(Opened {
        model,
        split,
        located: located(&folder),
        passed_over: 0,
        truncated: 0,
        long_prompts: 0,
    })
}

/// A folder, which has no commit.
fn located(folder: &Path) -> Located {
    Located {
        folder: folder.to_owned(),
        commit: None,
    }
}
