//! `infbench merge`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use infbench::progress::plural;
use infbench::results::merge::merge as merged;

use super::common::{bad, print};

/// Arguments of `infbench merge`.
#[derive(Args)]
pub struct MergeArgs {
    /// A folder of results
    #[arg(value_name = "A")]
    a: PathBuf,
    /// Another of the same experiment
    #[arg(value_name = "B")]
    b: PathBuf,
    /// The new folder
    #[arg(long, value_name = "C")]
    into: PathBuf,
}

/// Merges two folders of results into a new one.
pub fn merge(args: &MergeArgs) -> miette::Result<ExitCode> {
    let found = merged(&args.a, &args.b, &args.into).map_err(bad)?;
    print(&format!(
        "{} record{} ({} on both sides, the same) and {} other file{} in {}\n",
        found.records,
        plural(found.records),
        found.both,
        found.files,
        plural(found.files),
        args.into.display(),
    ));
    Ok(ExitCode::SUCCESS)
}
