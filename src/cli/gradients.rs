//! `infbench gradients`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use infbench::checkpoints::hub::Hub;
use infbench::data::{Join, NoiseSettings, Posterior, Reduction};
use infbench::device::DeviceChoice;
use infbench::gradient_files::{
    GradientRequest, GradientTask, ImageOptions, Instruction, gradient_files, sampled_factors,
};
use infbench::gradients::settings::GradientType;
use infbench::models::{Compute, Loading, Stream};
use infbench::progress::Progress;
use infbench::tasks::completion::{TargetTokens, Template, Truncate};
use infbench::tasks::pictures::Fit;

use super::common::{Global, bad, print};

/// Arguments of `infbench gradients`.
#[derive(Args)]
pub struct GradientsArgs {
    /// Checkpoint: a folder with config.json, model.safetensors and a tokenizer (tokenizer.json, or vocab.txt,
    /// or vocab.json and merges.txt), or the id of a model on the Hugging Face hub, taken from the local cache or
    /// downloaded into it. For images a diffusion pipeline: a folder with unet, vae, text_encoder, tokenizer and scheduler
    #[arg(long, value_name = "DIR|ID")]
    model: PathBuf,
    /// Branch, tag or commit of a model on the hub [default: main]
    #[arg(long)]
    revision: Option<String>,
    /// LoRA adapter in PEFT's layout; without one, the gradients of the classifier alone. For a pipeline also a LoRA
    /// file of diffusers
    #[arg(long, value_name = "PEFT_DIR|FILE")]
    adapter: Option<PathBuf>,
    /// Also gradients of the other weight matrices that are trained in full: those of modules_to_save in the
    /// adapter's settings, such as BERT's pooler, and RoBERTa's classifier.dense
    #[arg(long)]
    modules_to_save: bool,
    /// Task that names the examples' fields: mrpc, qqp, sst2, wnli, rte, cola or qnli for a classifier, instruction
    /// for a causal language model, images for a diffusion pipeline
    #[arg(long)]
    task: GradientTask,
    /// Examples: JSON lines, Parquet as on the Hugging Face hub, or tab-separated as in GLUE's archive. Those of
    /// instruction are JSON lines with `prompt` and `text` (the whole) or `answer`, those of images with `image` (a path
    /// beside the file) and `text` (the caption)
    #[arg(long, value_name = "FILE")]
    examples: PathBuf,
    /// Of instruction: which tokens are predicted. published is what the paper's code takes: the prompt alone, padded
    /// to the longest of the file, padding counted [default: answer]
    #[arg(long, value_enum)]
    tokens: Option<TargetTokens>,
    /// Of instruction: from the losses of the tokens to that of an example [default: mean]
    #[arg(long, value_enum)]
    reduction: Option<Reduction>,
    /// Of instruction: prompt and answer as they are, or in the checkpoint's chat template [default: raw]
    #[arg(long, value_enum)]
    template: Option<Template>,
    /// Of instruction: what becomes of texts that are too long [default: error]
    #[arg(long, value_enum)]
    truncate: Option<Truncate>,
    /// Longest sequence in tokens, special ones included
    #[arg(long, default_value_t = 128, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(8..))]
    max_length: u32,
    /// Gradients: one float32 [n, d] tensor a block, named as in PyTorch; losses and token counts go
    /// beside them as .json
    #[arg(long, value_name = "G.safetensors")]
    out: PathBuf,
    /// Also the Kronecker factors that kfac and ekfac need: float64 tensors NAME.inputs and NAME.outputs
    #[arg(long, value_name = "F.safetensors")]
    factors: Option<PathBuf>,
    /// Also gradients at labels drawn from the model's predictions, for kfac and ekfac with labels=sampled;
    /// their factors go beside them as S.factors.safetensors
    #[arg(long, value_name = "S.safetensors")]
    sampled_labels: Option<PathBuf>,
    /// Of instruction: also what every target token contributes to the gradient of its text, a row per token, for
    /// `infbench score --per-token`; P.json beside it lists the tokens. A pass per token, and as many rows
    #[arg(long, value_name = "P.safetensors")]
    per_token: Option<PathBuf>,
    /// Seed of drawn labels, and of the noise that is added to images
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Images become squares of so many pixels a side [default: as they are]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..))]
    resolution: Option<u32>,
    /// How an image becomes a square: the shorter side resized and the middle taken, or both sides resized
    #[arg(long, value_enum, default_value_t)]
    fit: Fit,
    /// What of the autoencoder's posterior stands for an image
    #[arg(long, value_enum, default_value_t)]
    posterior: Posterior,
    /// Timesteps of the loss of an image [default: 25,225,425,525,725,925]
    #[arg(long, value_name = "T,…", value_delimiter = ',')]
    timesteps: Option<Vec<usize>>,
    /// Gradients of the timesteps one after another in a row, or their mean
    #[arg(long, value_enum, default_value_t)]
    views: Join,
    /// Draws of noise per timestep, over which gradients are averaged
    #[arg(long, default_value_t = 1)]
    draws: usize,
    /// Latents, noise and timesteps of another framework in place of drawn ones: tensors latents and noise
    /// [n, views, c, h, w], timesteps [views]
    #[arg(long, value_name = "N.safetensors", conflicts_with_all = ["timesteps", "draws", "posterior"])]
    noise: Option<PathBuf>,
    /// Type of the numbers written: f16 and bf16 take half the room
    #[arg(long, value_enum, default_value_t)]
    dtype: GradientType,
    /// Of a language model: whether its layers are in memory one at a time (auto, true, false); auto: where the weights in f32
    /// would take more than half of the machine's memory
    #[arg(long, default_value = "auto")]
    stream: Stream,
    /// Of a language model: the precision of the products with its frozen matrices
    #[arg(long, value_enum, default_value_t)]
    compute: Compute,
    /// Device for the model
    #[arg(long, default_value = "flex")]
    device: DeviceChoice,
}

impl GradientsArgs {
    /// The task with its options.
    fn task(&self) -> miette::Result<GradientTask> {
        let given = [
            ("--tokens", self.tokens.is_some()),
            ("--reduction", self.reduction.is_some()),
            ("--template", self.template.is_some()),
            ("--truncate", self.truncate.is_some()),
        ];
        match self.task {
            GradientTask::Glue(task) => match given.iter().find(|(_, given)| *given) {
                None => Ok(GradientTask::Glue(task)),
                Some((option, _)) => Err(miette::miette!(
                    "{option} is an option of the task `instruction`; the task is `{}`",
                    task.name()
                )),
            },
            GradientTask::Instruction(_) => Ok(GradientTask::Instruction(Instruction {
                tokens: self.tokens.unwrap_or_default(),
                reduction: self.reduction.unwrap_or_default(),
                template: self.template.unwrap_or_default(),
                truncate: self.truncate.unwrap_or_default(),
            })),
            GradientTask::Images => match given.iter().find(|(_, given)| *given) {
                None => Ok(GradientTask::Images),
                Some((option, _)) => Err(miette::miette!(
                    "{option} is an option of the task `instruction`; the task is `images`"
                )),
            },
        }
    }

    /// The settings of the task `images`.
    fn images(&self) -> ImageOptions {
        let settings = NoiseSettings::default();
        ImageOptions {
            resolution: self.resolution.map(|pixels| pixels as usize),
            fit: self.fit,
            targets: NoiseSettings {
                posterior: self.posterior,
                timesteps: self.timesteps.clone().unwrap_or(settings.timesteps),
                views: self.views,
                draws: self.draws,
                ..settings
            },
            noise: self.noise.clone(),
        }
    }
}

/// Writes per-example gradients.
pub fn gradients(args: &GradientsArgs, global: Global) -> miette::Result<ExitCode> {
    let request = GradientRequest {
        model: args.model.clone(),
        revision: args.revision.clone(),
        hub: Hub {
            progress: !global.quiet,
            ..Hub::from_env()
        },
        adapter: args.adapter.clone(),
        modules_to_save: args.modules_to_save,
        task: args.task()?,
        images: args.images(),
        examples: args.examples.clone(),
        max_length: args.max_length as usize,
        out: args.out.clone(),
        factors: args.factors.clone(),
        sampled: args.sampled_labels.clone(),
        per_token: args.per_token.clone(),
        seed: args.seed,
        dtype: args.dtype,
        loading: Loading {
            stream: args.stream,
            compute: args.compute,
        },
        device: args.device,
    };
    let progress = Progress::new(global.quiet);
    let summary = gradient_files(&request, &progress).map_err(bad)?;
    if !global.quiet {
        let mean = summary.losses.iter().map(|&l| f64::from(l)).sum::<f64>()
            / summary.examples.max(1) as f64;
        let sampled = request.sampled.iter();
        let beside = request
            .factors
            .iter()
            .cloned()
            .chain(sampled.flat_map(|path| [path.clone(), sampled_factors(path)]))
            .chain(request.per_token.clone());
        print(&format!(
            "{} examples{}, {} tensors, mean loss {mean:.4}, {:.1} examples/s, {:.1} % of the positions padding\n{}\n{}\n{}",
            summary.examples,
            match summary.passed_over {
                0 => String::new(),
                count =>
                    format!(" ({count} passed over: broken rows, or no token left to predict)"),
            },
            summary.blocks.len(),
            summary.examples as f64 / summary.seconds,
            100.0 * summary.padding,
            request.out.display(),
            summary.companion.display(),
            beside
                .map(|path| format!("{}\n", path.display()))
                .collect::<String>(),
        ));
    }
    Ok(ExitCode::SUCCESS)
}
