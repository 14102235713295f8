//! `infbench generate`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use infbench::checkpoints::hub::Hub;
use infbench::device::DeviceChoice;
use infbench::generation::{GenerationRequest, Template, answers, prompts};

use super::common::{Global, bad, print};

/// Arguments of `infbench generate`.
#[derive(Args)]
pub struct GenerateArgs {
    /// Language model of the families llama, mistral, qwen2 and qwen3: a folder with config.json, model.safetensors and
    /// tokenizer.json, a GGUF file, or the id of a model on the Hugging Face hub, taken from the local cache or
    /// downloaded into it
    #[arg(long, value_name = "DIR|FILE.gguf|ID")]
    model: PathBuf,
    /// Branch, tag or commit of a model on the hub [default: main]
    #[arg(long)]
    revision: Option<String>,
    /// LoRA adapter in PEFT's layout
    #[arg(long, value_name = "PEFT_DIR")]
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
    /// How prompts are put to the model
    #[arg(long, value_enum, default_value_t)]
    template: Template,
    /// The system's turn of every chat
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Most tokens of an answer; the tokens that end a text end it earlier
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_new_tokens: u32,
    /// Most prompts that go through the model together
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// One JSON object a prompt and line: prompt, text, ids, prompt_tokens, ended
    #[arg(long)]
    json: bool,
    /// Device for the model
    #[arg(long, default_value = "flex")]
    device: DeviceChoice,
}

/// Prints what a language model answers, always by the most likely next token.
pub fn generate(args: &GenerateArgs, global: Global) -> miette::Result<ExitCode> {
    if args.system.is_some() && args.template == Template::Raw {
        return Err(bad(
            "--system needs --template chat: a prompt as it is has no turns",
        ));
    }
    let mut all = args.prompt.clone();
    if let Some(path) = &args.prompts {
        all.extend(prompts(path).map_err(bad)?);
    }
    let request = GenerationRequest {
        model: args.model.clone(),
        revision: args.revision.clone(),
        hub: Hub {
            progress: !global.quiet,
            ..Hub::from_env()
        },
        adapter: args.adapter.clone(),
        prompts: all,
        template: args.template,
        system: args.system.clone(),
        new_tokens: args.max_new_tokens as usize,
        together: args.batch_size as usize,
        device: args.device,
    };
    let answers = answers(&request).map_err(bad)?;
    let several = answers.len() > 1;
    for answer in &answers {
        if args.json {
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
