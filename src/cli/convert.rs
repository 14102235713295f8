//! `infbench convert`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use infbench::checkpoints::gguf::{Gguf, NumberType};

use super::common::{Global, bad, print};

/// Arguments of `infbench convert`.
#[derive(Args)]
pub struct ConvertArgs {
    /// The model: architectures llama (Mistral, too), qwen2 and qwen3; numbers F32, F16, BF16, Q8_0, Q4_0, Q4_1,
    /// Q5_0, Q5_1 and Q2_K to Q6_K
    #[arg(value_name = "MODEL.gguf")]
    model: PathBuf,
    /// Folder for config.json, model.safetensors, tokenizer.json and tokenizer_config.json
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Type of the numbers written
    #[arg(long, value_enum, default_value_t)]
    dtype: NumberType,
}

/// Writes a GGUF file as a folder of Hugging Face.
pub fn convert(args: &ConvertArgs, global: Global) -> miette::Result<ExitCode> {
    let file = Gguf::open(&args.model).map_err(bad)?;
    let written = file.write_folder(&args.out, args.dtype).map_err(bad)?;
    if !global.quiet {
        for path in written {
            print(&format!("{}\n", path.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}
