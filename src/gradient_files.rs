//! Per-example gradients of a checkpoint on one's own texts, or of a diffusion pipeline on one's own images, as files for
//! anyone's analysis.
//!
//! `G.safetensors` has one `[n, d]` tensor for every LoRA matrix and the last layer of a classifier, named as
//! PyTorch and PEFT name the parameters and flattened row-major from their layout; `G.json` beside it
//! has the losses, the lengths and how the gradients were made. `infbench score` reads the former. What some
//! methods need besides is written on request: Kronecker factors, and gradients with factors at labels drawn
//! from the model's predictions.

mod counted;
mod error;
mod examples;
mod images;
mod noise;
mod opened;
mod per_token;
mod request;
mod task;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use serde_json::json;

use self::counted::Counted;
pub use self::error::GradientFilesError;
use self::examples::open;
pub use self::noise::NoiseFileError;
use self::opened::Opened;
pub use self::request::{GradientRequest, sampled_factors};
pub use self::task::{GradientTask, ImageOptions, Instruction};
use crate::batching::{self, streaming::Memory};
use crate::checkpoints::hub::Located;
use crate::data::Targets;
use crate::gradients::factors::KroneckerFactors;
use crate::gradients::store::{Target, TensorInfo};
use crate::gradients::{self, per_example};
use crate::models::peft;
use crate::models::{Model, ModelError};
use crate::objectives;
use crate::progress::Progress;

/// What was computed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GradientSummary {
    /// Examples n.
    pub examples: usize,
    /// Rows of the file of examples that were broken and passed over.
    pub passed_over: usize,
    /// Names and sizes of the tensors.
    pub blocks: Vec<GradientBlock>,
    /// Loss of every example: cross-entropy in nats, or the mean square error of the predicted noise.
    pub losses: Vec<f32>,
    /// Tokens of every example, special ones included.
    pub tokens: Vec<usize>,
    /// Share of the computed positions that were padding.
    pub padding: f64,
    /// Wall time of taking the gradients.
    pub seconds: f64,
    /// The file beside the gradients.
    pub companion: PathBuf,
    /// Texts that were cut.
    pub truncated: usize,
    /// Texts whose prompt alone is longer than the longest length.
    pub long_prompts: usize,
    /// Target tokens of every example of a language model.
    pub targets: Option<Vec<usize>>,
    /// The labels that were drawn, when they were asked for.
    pub sampled_labels: Option<SampledLabels>,
}

/// Labels drawn from the model's predictions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum SampledLabels {
    /// The class of every example.
    Classes(Vec<usize>),
    /// The ids at the target positions of every example.
    Tokens(Vec<Vec<u32>>),
}

impl SampledLabels {
    fn of(targets: &Targets) -> Option<Self> {
        match targets {
            Targets::Classes(labels) => Some(Self::Classes(labels.clone())),
            Targets::Tokens(targets) => {
                let rows = targets.examples.iter();
                let ids = rows.map(|row| row.iter().map(|next| next.token).collect());
                Some(Self::Tokens(ids.collect()))
            }
            Targets::Noise(_) => None,
        }
    }
}

/// A tensor of [`GradientSummary`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GradientBlock {
    /// Name, as in PyTorch.
    pub name: String,
    /// Shape of one example's gradient before it was flattened.
    pub shape: [usize; 2],
}

/// Takes the gradients and writes all files; `progress` counts the examples, each twice when labels are sampled.
///
/// # Errors
/// See [`GradientFilesError`].
pub fn gradient_files(
    request: &GradientRequest,
    progress: &Progress,
) -> Result<GradientSummary, GradientFilesError> {
    let companion = request.out.with_extension("json");
    if companion == request.out {
        return Err(GradientFilesError::Name {
            path: request.out.clone(),
        });
    }
    let outputs = request.outputs();
    if let Some(i) = (1..outputs.len()).find(|&i| outputs[..i].contains(&outputs[i])) {
        return Err(GradientFilesError::SameOutput {
            path: outputs[i].clone(),
        });
    }
    if request.per_token.is_some() && !matches!(request.task, GradientTask::Instruction(_)) {
        return Err(GradientFilesError::NoTokens {
            task: request.task.name(),
        });
    }
    let Opened {
        mut model,
        split,
        located,
        passed_over,
        truncated,
        long_prompts,
    } = open(request)?;
    let memory = Memory::of(&mut model, request.loading, &[&split]);
    let memory = memory.map_err(|(field, problem)| ModelError::Setting {
        at: format!("--{field}"),
        problem,
    })?;
    let family = model.family();
    let adapted = !model.adapted().is_empty();
    let modules = model.brought().modules.clone();
    let blocks: Vec<GradientBlock> = gradients::tensors(&model, &split.targets)
        .into_iter()
        .map(|tensor| GradientBlock {
            // a UNet's are as PyTorch has them
            name: match family.filter(|_| adapted) {
                Some(family) => peft::live_name(family, &modules, &tensor.name),
                None => tensor.name,
            },
            shape: tensor.shape,
        })
        .collect();
    let infos: Vec<TensorInfo> = blocks
        .iter()
        .map(|block| TensorInfo::new(block.name.clone(), [block.shape.iter().product()]))
        .collect();
    let passes = 1 + usize::from(request.sampled.is_some());
    let by_token = match request.per_token {
        Some(_) => per_token::rows(&split),
        None => Vec::new(),
    };
    progress.start(passes * split.len() + by_token.len(), "rows");
    let clock = Instant::now();
    let tokens = batching::tokens_at_a_time(&model);
    let sink = |path: &Path, done| {
        let target = Target::new(Some(path.to_owned()), request.dtype);
        Counted::create(infos.clone(), split.len(), target, (progress, done))
    };
    let named = |mut factors: KroneckerFactors| {
        for (tensor, info) in factors.tensors.iter_mut().zip(&infos) {
            tensor.name.clone_from(&info.name);
        }
        factors
    };
    let mut own = sink(&request.out, 0)?;
    let (losses, factors) = if request.factors.is_some() {
        let targets = &split.targets;
        let made = per_example::collect_with_factors(&model, &split, targets, tokens, &mut own)?;
        (made.losses, Some(named(made.factors)))
    } else {
        let losses = per_example::collect(&model, &split, tokens, &mut own)?;
        (losses, None)
    };
    own.finish()?;
    if let (Some(path), Some(factors)) = (&request.factors, factors) {
        factors.save(path)?;
    }
    let mut sampled_labels = None;
    if let Some(path) = &request.sampled {
        let targets = objectives::sampled(&model, &split, request.seed)?;
        let mut own = sink(path, split.len())?;
        let made = per_example::collect_with_factors(&model, &split, &targets, tokens, &mut own)?;
        own.finish()?;
        named(made.factors).save(&sampled_factors(path))?;
        sampled_labels = SampledLabels::of(&targets);
    }
    if let Some(path) = &request.per_token {
        let target = Target::new(Some(path.clone()), request.dtype);
        let out = (path.as_path(), target, infos.clone());
        let so_far = (progress, passes * split.len());
        per_token::write(&model, &split, &by_token, &located.folder, out, so_far)?;
    }
    let seconds = clock.elapsed().as_secs_f64();
    let summary = GradientSummary {
        examples: split.len(),
        passed_over,
        truncated,
        long_prompts,
        targets: match &split.targets {
            Targets::Tokens(targets) => Some(targets.examples.iter().map(Vec::len).collect()),
            Targets::Classes(_) | Targets::Noise(_) => None,
        },
        blocks,
        losses,
        tokens: batching::lengths(&split),
        padding: batching::padding(&[&split], tokens),
        seconds,
        companion,
        sampled_labels,
    };
    progress.end();
    write(request, &located, &mut model, memory, &summary)?;
    Ok(summary)
}

fn write(
    request: &GradientRequest,
    located: &Located,
    model: &mut Model,
    memory: Memory,
    summary: &GradientSummary,
) -> Result<(), GradientFilesError> {
    let shown = |path: &Path| path.display().to_string();
    let text = json!({
        "infbench": env!("CARGO_PKG_VERSION"),
        "gradients": shown(&request.out),
        "model": shown(&request.model),
        "commit": located.commit,
        "adapter": request.adapter.as_deref().map(shown),
        "replaced_by_adapter": model.brought().parameters,
        "task": request.task.name(),
        "instruction": match request.task {
            GradientTask::Glue(_) | GradientTask::Images => None,
            GradientTask::Instruction(instruction) => Some(instruction),
        },
        "images": (request.task == GradientTask::Images).then(|| json!({
            "resolution": request.images.resolution,
            "fit": request.images.fit,
            "posterior": request.images.targets.posterior,
            "noise_prediction": request.images.targets,
            "noise": request.images.noise.as_deref().map(shown),
            "seed": request.seed,
        })),
        "examples_file": shown(&request.examples),
        "max_length": request.max_length,
        "device": request.device,
        "compute": request.loading.compute,
        "streamed": memory.streamed,
        "memory_forecast": {
            "weights": memory.weights,
            "inputs": memory.inputs,
            "passes": memory.passes,
        },
        "layers": model.layers(),
        "examples": summary.examples,
        "passed_over": summary.passed_over,
        "truncated": summary.truncated,
        "long_prompts": summary.long_prompts,
        "seconds": summary.seconds,
        "padding": summary.padding,
        "blocks": summary.blocks,
        "factors": request.factors.as_deref().map(shown),
        "sampled": request.sampled.as_deref().map(|path| json!({
            "gradients": shown(path),
            "factors": shown(&sampled_factors(path)),
            "seed": request.seed,
            "labels": summary.sampled_labels,
        })),
        "losses": summary.losses,
        "tokens": summary.tokens,
        "targets": summary.targets,
    });
    crate::atomic::write(&summary.companion, format!("{text:#}\n").as_bytes()).map_err(|source| {
        GradientFilesError::Companion {
            path: summary.companion.clone(),
            source,
        }
    })
}
