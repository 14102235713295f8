//! `infbench score`

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use infbench::config::{Blocks, MethodSpec, Precision};
use infbench::input::listed;
use infbench::report::Table;
use infbench::score::{
    CheckpointFiles, CompanionFiles, SampledFiles, ScoreRequest, ScoreSummary, ScoredMethod,
    score_files,
};

use super::common::{Global, bad, print};

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
    /// Kronecker factors for kfac and ekfac: NAME.inputs and NAME.outputs of every block's tensor, as
    /// `infbench gradients --factors` writes them
    #[arg(long, value_name = "F.safetensors")]
    factors: Option<PathBuf>,
    /// Gradients at labels drawn from the model's predictions and their factors, for kfac and ekfac with
    /// labels=sampled
    #[arg(long, value_name = "G.safetensors:F.safetensors")]
    sampled: Option<SampledFiles>,
    /// Second derivatives of the mean training loss, for true_hessian: a [d, d] tensor for every tensor of the gradients,
    /// of its name, or of several tensors side by side (see docs/experiments.md)
    #[arg(long, value_name = "H.safetensors")]
    hessian: Option<PathBuf>,
    /// Gradients at a checkpoint of the training and its learning rate, for tracin; may be repeated
    #[arg(long = "checkpoint", value_name = "LR:TRAIN:QUERY")]
    checkpoints: Vec<CheckpointFiles>,
    /// What every target token of some training examples contributes to their gradients: a row per token, and beside it
    /// P.json, the list of the tokens (see docs/experiments.md): scores by token, tensors tokens/METHOD
    #[arg(long, value_name = "P.safetensors")]
    per_token: Option<PathBuf>,
    /// Scores: one float64 [m, n] tensor a method, named by the very string given
    #[arg(long, value_name = "S.safetensors")]
    out: PathBuf,
}

/// Scores gradients made elsewhere; a method that fails makes exit code 1, and leaves the others their scores.
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
        companions: CompanionFiles {
            factors: args.factors.clone(),
            sampled: args.sampled.clone(),
            hessian: args.hessian.clone(),
            checkpoints: args.checkpoints.clone(),
        },
        per_token: args.per_token.clone(),
        out: args.out.clone(),
    })
    .map_err(bad)?;
    if !global.quiet {
        print(&table(&summary));
    }
    let failures: Vec<_> = summary.failures().collect();
    for (label, error) in &failures {
        eprintln!("{label} failed: {error}");
    }
    if failures.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let out = args.out.display();
    if summary.is_written() {
        eprintln!("the scores of the other methods are in {out}");
    } else {
        eprintln!("no method has scores; {out} was not written");
    }
    Ok(ExitCode::FAILURE)
}

/// What was scored, and what each method cost.
fn table(summary: &ScoreSummary) -> String {
    let mut text = format!(
        "{} training examples, {} score rows, {} blocks\n\n",
        summary.train,
        summary.queries,
        summary.blocks.len()
    );
    let row = |method: &ScoredMethod| {
        let Ok(measured) = &method.outcome else {
            let mut row = [const { String::new() }; 8];
            row[..2].clone_from_slice(&[method.label.clone(), "failed".to_owned()]);
            return row;
        };
        let seconds = measured.seconds;
        let peak = measured.peak_bytes.map_or_else(
            || "–".to_owned(),
            |b| format!("{:.3}", b.peak() as f64 / 1e6),
        );
        let residual = match measured.evidence.residual {
            _ if measured.evidence.not_finite() => "not finite".to_owned(),
            Some(residual) => format!("{residual:.1e}"),
            None => "–".to_owned(),
        };
        let [prepare, apply, score] =
            [seconds.prepare, seconds.apply, seconds.score].map(|s| format!("{s:.4}"));
        [
            method.label.clone(),
            prepare,
            apply,
            score,
            peak,
            format!("{:.3}", measured.bytes_read as f64 / 1e6),
            residual,
            measured.non_finite.to_string(),
        ]
    };
    let headers = [
        "method",
        "prepare s",
        "apply s",
        "score s",
        "peak MB",
        "read MB",
        "residual",
        "non-finite",
    ];
    let rows = summary.methods.iter().map(row);
    text.push_str(&Table::of_texts("", "", headers, rows).text(""));
    let zeros: Vec<&str> = summary
        .blocks
        .iter()
        .filter(|block| block.lambda == 0.0)
        .map(|block| block.name.as_str())
        .collect();
    if !zeros.is_empty() {
        let _ = writeln!(
            text,
            "\nblocks whose training gradients are all zero (ignored): {}",
            listed(&zeros)
        );
    }
    text
}
