//! `infbench generate`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use infbench::checkpoints::hub::Hub;
use infbench::device::DeviceChoice;
use infbench::generation::images::{ImageRequest, images, write_table};
use infbench::generation::{GenerationRequest, Template, answers, prompts};
use infbench::input::expand_home;
use infbench::models::diffusion::{Sampling, is_pipeline};

use super::common::{Global, bad, print};

/// Arguments of `infbench generate`.
#[derive(Args)]
pub struct GenerateArgs {
    /// Language model of the families llama, mistral, qwen2 and qwen3: a folder with config.json, model.safetensors and
    /// tokenizer.json, a GGUF file, or the id of a model on the Hugging Face hub, taken from the local cache or
    /// downloaded into it. Or a diffusion pipeline: a folder with unet, vae, text_encoder, tokenizer and scheduler
    #[arg(long, value_name = "DIR|FILE.gguf|ID")]
    model: PathBuf,
    /// Branch, tag or commit of a model on the hub [default: main]
    #[arg(long)]
    revision: Option<String>,
    /// LoRA adapter in PEFT's layout; for a pipeline also a LoRA file of diffusers
    #[arg(long, value_name = "PEFT_DIR|FILE")]
    adapter: Option<PathBuf>,
    /// A prompt; may be repeated
    #[arg(
        long = "prompt",
        value_name = "TEXT",
        required_unless_present = "prompts"
    )]
    prompt: Vec<String>,
    /// Prompts of a file, after those of --prompt: the field `prompt` of JSON lines (.jsonl), or a prompt a line
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Answers of a language model")]
    texts: TextArgs,
    #[command(flatten, next_help_heading = "Images of a diffusion pipeline")]
    images: ImageArgs,
    /// Device for the model
    #[arg(long, default_value = "flex")]
    device: DeviceChoice,
}

/// Options of language models.
#[derive(Args)]
struct TextArgs {
    /// How prompts are put to the model [default: raw]
    #[arg(long, value_enum)]
    template: Option<Template>,
    /// The system's turn of every chat
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Most tokens of an answer; the tokens that end a text end it earlier [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_new_tokens: Option<u32>,
    /// Most prompts that go through the model together [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,
    /// One JSON object a prompt and line: prompt, text, ids, prompt_tokens, ended
    #[arg(long)]
    json: bool,
}

/// Options of pipelines.
#[derive(Args)]
struct ImageArgs {
    /// Where the images go: a PNG file with a row for each prompt; settings and prompts go beside it as .json. Needed
    /// for a pipeline
    #[arg(long, value_name = "TABLE.png")]
    out: Option<PathBuf>,
    /// DDIM steps [default: 50]
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Classifier-free guidance: the prediction is ε∅ + SCALE·(ε − ε∅), with ε∅ that of the empty caption [default: 7.5]
    #[arg(long, value_name = "SCALE", value_parser = guidance)]
    guidance_scale: Option<f64>,
    /// Images a prompt [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    images_per_prompt: Option<u32>,
    /// Seed of the noise that images begin with [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Width in pixels [default: what the pipeline was trained for]
    #[arg(long, value_name = "PIXELS")]
    width: Option<usize>,
    /// Height in pixels [default: what the pipeline was trained for]
    #[arg(long, value_name = "PIXELS")]
    height: Option<usize>,
    /// Initial latents of another framework in place of drawn ones: a tensor latents [images, channels, height, width]
    #[arg(long, value_name = "L.safetensors", conflicts_with = "seed")]
    latents: Option<PathBuf>,
    /// Side of a pixel in the PNG file [default: enough for images of 128]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=64))]
    scale: Option<u32>,
}

/// A guidance scale.
fn guidance(text: &str) -> Result<f64, String> {
    let scale: Option<f64> = text.parse().ok();
    let scale = scale.filter(|scale| (0.0..=100.0).contains(scale));
    scale.ok_or_else(|| "allowed: a number from 0 to 100".to_owned())
}

/// The first option that was given, which the other kind of model does not have.
fn first(given: &[(&'static str, bool)]) -> Option<&'static str> {
    let found = given.iter().find(|(_, given)| *given);
    found.map(|(name, _)| *name)
}

impl TextArgs {
    fn given(&self) -> Option<&'static str> {
        first(&[
            ("--template", self.template.is_some()),
            ("--system", self.system.is_some()),
            ("--max-new-tokens", self.max_new_tokens.is_some()),
            ("--batch-size", self.batch_size.is_some()),
            ("--json", self.json),
        ])
    }
}

impl ImageArgs {
    fn given(&self) -> Option<&'static str> {
        first(&[
            ("--out", self.out.is_some()),
            ("--steps", self.steps.is_some()),
            ("--guidance-scale", self.guidance_scale.is_some()),
            ("--images-per-prompt", self.images_per_prompt.is_some()),
            ("--seed", self.seed.is_some()),
            ("--width", self.width.is_some()),
            ("--height", self.height.is_some()),
            ("--latents", self.latents.is_some()),
            ("--scale", self.scale.is_some()),
        ])
    }
}

/// Prints what a language model answers, always by the most likely next token, or paints what a pipeline makes of the
/// prompts.
pub fn generate(args: &GenerateArgs, global: Global) -> miette::Result<ExitCode> {
    let mut all = args.prompt.clone();
    if let Some(path) = &args.prompts {
        all.extend(prompts(path).map_err(bad)?);
    }
    let folder = expand_home(&args.model);
    if is_pipeline(&folder) {
        if let Some(option) = args.texts.given() {
            return Err(bad(format!(
                "{option} is an option of language models; {} is a diffusion pipeline",
                args.model.display()
            )));
        }
        return paint(args, folder, all, global);
    }
    if let Some(option) = args.images.given() {
        return Err(bad(format!(
            "{option} is an option of diffusion pipelines; {} is none: no folder with unet, vae, text_encoder, tokenizer and scheduler",
            args.model.display()
        )));
    }
    answer(args, all, global)
}

/// A table of images.
fn paint(
    args: &GenerateArgs,
    model: PathBuf,
    prompts: Vec<String>,
    global: Global,
) -> miette::Result<ExitCode> {
    let options = &args.images;
    let png = |path: &&PathBuf| path.extension().is_some_and(|end| end == "png");
    let Some(out) = options.out.as_ref().filter(png) else {
        return Err(bad(match &options.out {
            None => "a diffusion pipeline needs --out TABLE.png for its images".to_owned(),
            Some(path) => format!(
                "--out {}: allowed: a file that ends in .png",
                path.display()
            ),
        }));
    };
    if args.revision.is_some() {
        return Err(bad(
            "--revision is for models on the hub; the pipeline is a folder",
        ));
    }
    let usual = Sampling::default();
    let request = ImageRequest {
        model,
        adapter: args.adapter.as_deref().map(expand_home),
        prompts,
        images: options.images_per_prompt.unwrap_or(1) as usize,
        size: [options.width, options.height],
        sampling: Sampling {
            steps: options.steps.unwrap_or(usual.steps),
            guidance: options.guidance_scale.unwrap_or(usual.guidance),
        },
        seed: options.seed.unwrap_or(0),
        latents: options.latents.clone(),
        device: args.device,
    };
    let found = images(&request).map_err(bad)?;
    let scale = options.scale.map(|scale| scale as usize);
    let beside = write_table(out, &request, &found, scale).map_err(bad)?;
    if !global.quiet {
        let path = Path::display;
        print(&format!("{}\n{}\n", path(out), path(&beside)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Answers, one after another.
fn answer(args: &GenerateArgs, prompts: Vec<String>, global: Global) -> miette::Result<ExitCode> {
    let options = &args.texts;
    let template = options.template.unwrap_or_default();
    if options.system.is_some() && template == Template::Raw {
        return Err(bad(
            "--system needs --template chat: a prompt as it is has no turns",
        ));
    }
    let request = GenerationRequest {
        model: args.model.clone(),
        revision: args.revision.clone(),
        hub: Hub {
            progress: !global.quiet,
            ..Hub::from_env()
        },
        adapter: args.adapter.clone(),
        prompts,
        template,
        system: options.system.clone(),
        new_tokens: options.max_new_tokens.unwrap_or(64) as usize,
        together: options.batch_size.unwrap_or(8) as usize,
        device: args.device,
    };
    let answers = answers(&request).map_err(bad)?;
    let several = answers.len() > 1;
    for answer in &answers {
        if options.json {
            let line = serde_json::to_string(answer).map_err(bad)?;
            print(&format!("{line}\n"));
        } else if several {
            print(&format!("> {}\n{}\n\n", answer.prompt, answer.text));
        } else {
            print(&format!("{}\n", answer.text));
        }
    }
    Ok(ExitCode::SUCCESS)
}
