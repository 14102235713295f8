//! `infbench compare`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use infbench::input::{nearest, suggestion};
use infbench::report::compare::compare as compare_results;

use super::common::{Global, bad, print};

/// Arguments of `infbench compare`.
#[derive(Args)]
#[command(after_help = "\
Exit code 0: same cells, and no result differs beyond the tolerance. 1: a result differs, or a cell is on one \
side only. 2: bad input.

Times, memory and the use of caches are shown and do not count; nor do settings and environment, which are \
listed where they differ. With --quiet, only the last line is printed.

  infbench compare results/quickstart runs/quickstart
  infbench compare runs/before runs/after --tolerance 1e-6
  infbench compare scores-before.safetensors scores-after.safetensors")]
pub struct CompareArgs {
    /// Results of `infbench run` or `infbench theory` (a folder), or scores of `infbench score`
    #[arg(value_name = "A")]
    a: PathBuf,
    /// Results of the same kind: what became of A
    #[arg(value_name = "B")]
    b: PathBuf,
    /// Numbers are equal when they differ by no more than T times the larger of both, in a tensor T times
    /// its largest number; 0 asks for the same bits
    #[arg(long, value_name = "T", default_value = "0", value_parser = tolerance)]
    tolerance: f64,
}

fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to 1, e.g. 1e-6".to_owned()),
    }
}

/// Compares two results; a difference beyond the tolerance makes exit code 1.
pub fn compare(args: &CompareArgs, global: Global) -> miette::Result<ExitCode> {
    for path in [&args.a, &args.b] {
        if !path.exists() {
            return Err(missing(path));
        }
    }
    let found = compare_results(&args.a, &args.b, args.tolerance).map_err(bad)?;
    print(&if global.quiet {
        format!("{}\n", found.verdict)
    } else {
        found.text
    });
    Ok(if found.differs {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// A path that is not there, with its nearest neighbour.
fn missing(path: &Path) -> miette::Report {
    let message = format!("{} does not exist", path.display());
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let entries = std::fs::read_dir(parent.unwrap_or(Path::new("."))).into_iter();
    let names: Vec<String> = entries
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().display().to_string())
        .collect();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let name = path.file_name().map(|name| name.display().to_string());
    match name.and_then(|name| nearest(&name, &known)) {
        Some(near) => {
            let near = parent.map_or_else(|| PathBuf::from(near), |parent| parent.join(near));
            miette::miette!(help = suggestion(near.display()), "{message}")
        }
        None => bad(message),
    }
}
