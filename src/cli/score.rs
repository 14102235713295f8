//! `infbench score`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use infbench::config::{Blocks, MethodSpec, Precision};
use infbench::score::{ScoreRequest, score_files};

use super::{Global, print};

/// Arguments of `infbench score`.
#[derive(Args)]
pub struct ScoreArgs {
    /// Training gradients: one [n, d] tensor a block
    #[arg(long, value_name = "T.safetensors")]
    train: PathBuf,
    /// Query gradients: the same blocks, [m, d]
    #[arg(long, value_name = "Q.safetensors")]
    query: PathBuf,
    /// A method with its options, e.g. datainf:group_size=8,shuffle=false; may be repeated (see
    /// `infbench list methods`)
    #[arg(long = "method", value_name = "NAME[:key=value,...]", required = true)]
    methods: Vec<MethodSpec>,
    /// c in λ = c · tr(F)/d of each block
    #[arg(long, default_value_t = 0.1)]
    damping: f64,
    /// Score the mean of the queries only: [1, n] instead of [m, n]
    #[arg(long)]
    mean_query: bool,
    /// What one block of the Fisher is
    #[arg(long, default_value = "per_matrix")]
    blocks: Blocks,
    /// Precision of the approximations' products; `exact` is always f64
    #[arg(long, default_value = "f64")]
    precision: Precision,
    /// Seed of the methods that draw (groups, power iterations)
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Scores: one float64 [m, n] tensor a method, named by the very string given
    #[arg(long, value_name = "S.safetensors")]
    out: PathBuf,
}

/// Scores gradients made elsewhere.
pub fn score(args: &ScoreArgs, global: Global) -> miette::Result<ExitCode> {
    let summary = score_files(&ScoreRequest {
        train: args.train.clone(),
        query: args.query.clone(),
        methods: args.methods.clone(),
        damping: args.damping,
        mean_query: args.mean_query,
        blocks: args.blocks,
        precision: args.precision,
        seed: args.seed,
        out: args.out.clone(),
    })
    .map_err(|e| miette::miette!("{e}"))?;
    if !global.quiet {
        print(&summary.to_string());
    }
    Ok(ExitCode::SUCCESS)
}
