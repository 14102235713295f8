//! Per-example gradients of a checkpoint on one's own texts, or of a diffusion pipeline on one's own images, as files for
//! anyone's analysis.
//!
//! `G.safetensors` has one `[n, d]` tensor for every LoRA matrix and the last layer of a classifier, named as
//! PyTorch and PEFT name the parameters and flattened row-major from their layout; `G.json` beside it
//! has the losses, the lengths and how the gradients were made. `infbench score` reads the former. What some
//! methods need besides is written on request: Kronecker factors, and gradients with factors at labels drawn
//! from the model's predictions.

mod examples;
mod images;
mod noise;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use serde_json::json;
use thiserror::Error;

pub use self::examples::{GradientTask, Instruction};
use self::examples::{Opened, open};
use crate::batching;
use crate::checkpoints::hub::{Hub, HubError, Located};
use crate::data::Targets;
use crate::device::DeviceChoice;
use crate::gradients::factors::KroneckerFactors;
use crate::gradients::settings::GradientType;
use crate::gradients::store::{StoreError, StoreWriter, Target, TensorInfo};
use crate::gradients::{self, GradientError, GradientSink, MatrixFileError, per_example};
use crate::models::CheckpointError;
use crate::models::diffusion::PipelineError;
use crate::models::diffusion::adapter::UnetAdapterError;
use crate::models::peft::{self, PeftError};
use crate::models::{Model, ModelError};
use crate::objectives;
use crate::progress::Progress;
use crate::tasks::TaskError;
use crate::tasks::glue::TextError;

pub use self::images::ImageOptions;
pub use self::noise::NoiseFileError;

/// What is asked.
#[derive(Clone, Debug)]
pub struct GradientRequest {
    /// Folder of the checkpoint, or its id on the hub.
    pub model: PathBuf,
    /// Branch, tag or commit of a model on the hub.
    pub revision: Option<String>,
    /// Where ids are looked up.
    pub hub: Hub,
    /// Folder of an adapter in PEFT's layout, or a LoRA file of diffusers; without one the gradients are the head's
    /// alone.
    pub adapter: Option<PathBuf>,
    /// Whether gradients are taken of every weight matrix that is trained in full, not of the classifier's last alone.
    pub modules_to_save: bool,
    /// The task, which names the fields of the examples.
    pub task: GradientTask,
    /// Settings of the task `images`.
    pub images: ImageOptions,
    /// Examples: .jsonl, .parquet or .tsv.
    pub examples: PathBuf,
    /// Longest sequence in tokens, special ones included.
    pub max_length: usize,
    /// Where the gradients go; the rest goes beside them as `.json`.
    pub out: PathBuf,
    /// Where Kronecker factors go, if they are wanted.
    pub factors: Option<PathBuf>,
    /// Where gradients at sampled labels go, if they are wanted; their factors go beside them, see
    /// [`sampled_factors`].
    pub sampled: Option<PathBuf>,
    /// What labels are drawn from.
    pub seed: u64,
    /// Type of the numbers in the files.
    pub dtype: GradientType,
    /// Where they are computed.
    pub device: DeviceChoice,
}

/// Where the factors of sampled gradients go: `S.factors.safetensors` beside `S.safetensors`.
pub fn sampled_factors(gradients: &Path) -> PathBuf {
    gradients.with_extension("factors.safetensors")
}

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

/// Why there are no gradients.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GradientFilesError {
    /// A checkpoint that is not to be had.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The adapter.
    #[error(transparent)]
    Adapter(#[from] PeftError),
    /// The examples or the tokenizer.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Prompts and answers.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A checkpoint of another kind than the task needs.
    #[error("{model} is a `{family}`; the task `{task}` needs {needs}")]
    Family {
        /// The checkpoint.
        model: PathBuf,
        /// Its family.
        family: &'static str,
        /// The task.
        task: &'static str,
        /// What it needs.
        needs: &'static str,
    },
    /// A language model without an adapter.
    #[error(
        "{model} has no adapter, and a language model has nothing else that is trained: give --adapter"
    )]
    NothingAdapted {
        /// The checkpoint.
        model: PathBuf,
    },
    /// A diffusion pipeline.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The LoRA of a UNet.
    #[error(transparent)]
    Lora(#[from] UnetAdapterError),
    /// A file of noise.
    #[error(transparent)]
    NoiseFile(#[from] NoiseFileError),
    /// Timesteps or draws.
    #[error("{reason}")]
    Noise {
        /// What is wrong.
        reason: String,
    },
    /// A UNet without adapter.
    #[error("a diffusion pipeline needs --adapter: gradients are taken of the LoRA alone")]
    NoLora,
    /// Settings of images for another task.
    #[error(
        "--resolution, --fit, --posterior, --timesteps, --views, --draws and --noise are for --task images, not for {task}"
    )]
    ForImages {
        /// The task.
        task: &'static str,
    },
    /// A file without examples.
    #[error("{path} has no examples")]
    NoExamples {
        /// The file.
        path: PathBuf,
    },
    /// Neither adapter nor checkpoint has a classifier for the task.
    #[error(
        "neither {model} nor an adapter has a classifier for {classes} classes; a random one would make the gradients meaningless. Give --adapter with a saved classifier"
    )]
    NoHead {
        /// The checkpoint.
        model: PathBuf,
        /// Classes of the task.
        classes: usize,
    },
    /// The classifier has other classes than the task.
    #[error("the adapter's classifier has {found} classes; the task has {expected}")]
    Classes {
        /// Classes of the classifier.
        found: usize,
        /// Classes of the task.
        expected: usize,
    },
    /// The output would stand in its own way.
    #[error("{path} ends in .json, where the losses go; give a name such as G.safetensors")]
    Name {
        /// The output.
        path: PathBuf,
    },
    /// Two outputs of one name.
    #[error("{path} is asked for twice: every output needs a name of its own")]
    SameOutput {
        /// The file.
        path: PathBuf,
    },
    /// The file of factors.
    #[error(transparent)]
    Factors(#[from] MatrixFileError),
    /// Drawing labels from the model.
    #[error(transparent)]
    Sampling(#[from] objectives::SampleError),
    /// Taking the gradients.
    #[error(transparent)]
    Gradient(#[from] GradientError),
    /// The gradients' file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file beside it.
    #[error("cannot write {path}: {source}")]
    Companion {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl GradientRequest {
    /// Every file that is written.
    fn outputs(&self) -> Vec<PathBuf> {
        let mut all = vec![self.out.clone(), self.out.with_extension("json")];
        all.extend(self.factors.clone());
        if let Some(sampled) = &self.sampled {
            all.extend([sampled.clone(), sampled_factors(sampled)]);
        }
        all
    }
}

/// Passes rows on to a store and says how many examples are done.
struct Counted<'a> {
    writer: StoreWriter,
    last: usize,
    width: usize,
    done: usize,
    progress: &'a Progress,
}

impl GradientSink for Counted<'_> {
    fn write_rows(
        &mut self,
        tensor: usize,
        first_row: usize,
        rows: &[f32],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.writer.write_rows(tensor, first_row, rows)?;
        if tensor == self.last {
            self.done += rows.len() / self.width;
            self.progress.reached(self.done);
        }
        Ok(())
    }
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
    let Opened {
        mut model,
        split,
        located,
        passed_over,
        truncated,
    } = open(request)?;
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
    progress.start(passes * split.len(), "examples");
    let clock = Instant::now();
    let tokens = batching::tokens_at_a_time(&model);
    let sink = |path: &Path, done| -> Result<Counted<'_>, StoreError> {
        let target = Target::new(Some(path.to_owned()), request.dtype);
        Ok(Counted {
            last: infos.len() - 1,
            width: infos.last().map_or(1, TensorInfo::dim),
            writer: StoreWriter::new(infos.clone(), split.len(), target)?,
            done,
            progress,
        })
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
    own.writer.finish()?;
    if let (Some(path), Some(factors)) = (&request.factors, factors) {
        factors.save(path)?;
    }
    let mut sampled_labels = None;
    if let Some(path) = &request.sampled {
        let targets = objectives::sampled(&model, &split, request.seed)?;
        let mut own = sink(path, split.len())?;
        let made = per_example::collect_with_factors(&model, &split, &targets, tokens, &mut own)?;
        own.writer.finish()?;
        named(made.factors).save(&sampled_factors(path))?;
        sampled_labels = SampledLabels::of(&targets);
    }
    let seconds = clock.elapsed().as_secs_f64();
    let summary = GradientSummary {
        examples: split.len(),
        passed_over,
        truncated,
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
    write(request, &located, &mut model, &summary)?;
    Ok(summary)
}

fn write(
    request: &GradientRequest,
    located: &Located,
    model: &mut Model,
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
            "posterior": request.images.posterior,
            "noise_prediction": request.images.targets,
            "noise": request.images.noise.as_deref().map(shown),
            "seed": request.seed,
        })),
        "examples_file": shown(&request.examples),
        "max_length": request.max_length,
        "device": request.device,
        "layers": model.layers(),
        "examples": summary.examples,
        "passed_over": summary.passed_over,
        "truncated": summary.truncated,
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
