//! `infbench run`

use std::process::ExitCode;

use super::{ExperimentArgs, Global, bad, print};
use clap::Args;
use infbench::device::DeviceChoice;
use infbench::report;
use infbench::results::ResultsDir;
use infbench::runner::cell::CellRunner;
use infbench::runner::progress::{Progress, plural};
use infbench::runner::{RunOptions, run as run_plan};

/// Arguments of `infbench run`.
#[derive(Args)]
pub struct RunArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Skip cells that are finished in the results folder (the default)
    #[arg(long, overrides_with = "no_resume")]
    resume: bool,
    /// Run all cells again
    #[arg(long)]
    no_resume: bool,
    /// Device for the model
    #[arg(long, default_value = "flex")]
    device: DeviceChoice,
    /// Run at most N cells now
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// Runs an experiment; failed cells make exit code 1.
pub fn run(args: &RunArgs, global: Global) -> miette::Result<ExitCode> {
    let (mut plan, out) = args.experiment.load()?;
    plan.fetch_weights(!global.quiet).map_err(bad)?;
    let results = ResultsDir::create(&out).map_err(bad)?;
    let progress = if global.quiet {
        Progress::quiet()
    } else {
        Progress::new()
    };
    progress.line(&format!(
        "{}{}: {} cell{}, results in {}",
        plan.name,
        match &plan.profile {
            Some(profile) => format!(" (profile {profile})"),
            None => String::new(),
        },
        plan.cells.len(),
        plural(plan.cells.len()),
        out.display()
    ));
    let runner = CellRunner::new(&results, args.device, &plan);
    let options = RunOptions {
        resume: args.resume || !args.no_resume,
        limit: args.limit,
    };
    let summary = run_plan(&plan, &runner, &results, options, &progress).map_err(bad)?;
    if plan.outputs.report && !summary.records.is_empty() {
        progress.line("Drawing the report …");
        report::write(&summary.records, &out, &report::ReportOptions::default()).map_err(bad)?;
    }
    print(&report::summary(&summary.records));
    let page = out.join("report.html");
    if plan.outputs.report && page.is_file() {
        print(&format!("\nReport: {}\n", page.display()));
    }
    if summary.left > 0 {
        progress.line(&format!(
            "{} cell{} left; run again to go on",
            summary.left,
            plural(summary.left)
        ));
    }
    if summary.failed > 0 {
        eprintln!(
            "{} of {} cells failed; the reasons are in {}",
            summary.failed,
            summary.records.len(),
            out.join("results.jsonl").display()
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
