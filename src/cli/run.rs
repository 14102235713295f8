//! `infbench run`

use std::path::Path;
use std::process::ExitCode;

use super::common::{ExperimentArgs, Global, bad, draw, print, refuse_misfits};
use super::pretrain;
use super::units::{self, UnitArgs};
use clap::Args;
use infbench::config::Plan;
use infbench::device::DeviceChoice;
use infbench::progress::{Progress, plural};
use infbench::report;
use infbench::resolve;
use infbench::results::ResultsDir;
use infbench::results::files::RECORDS;
use infbench::runner::cell::CellRunner;
use infbench::runner::memory::{Host, Stage};
use infbench::runner::{RunOptions, RunSummary, collect, encode_images, run as run_plan};

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
    /// Run also what is forecast not to fit into memory or on the disk
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    unit: UnitArgs,
}

/// Runs an experiment; failed cells make exit code 1.
pub fn run(args: &RunArgs, global: Global) -> miette::Result<ExitCode> {
    if args.unit.units.is_empty() {
        pretrain::missing(&args.experiment.describe()?, args.device, global)?;
    }
    let (plan, out) = args.experiment.load()?;
    if !args.unit.units.is_empty() {
        let stages = units::stages_of(&plan, &args.unit);
        refuse_misfits(stages, args.device, Host::here(&out), args.force)?;
        return units::run(plan, &out, &args.unit, args.device, global.quiet);
    }
    let options = RunOptions {
        resume: args.resume || !args.no_resume,
        limit: args.limit,
    };
    let selected = options.select(&plan, &ResultsDir::read(&out));
    let todo = selected
        .todo
        .into_iter()
        .map(|cell| (cell, &Stage::ALL[..]));
    refuse_misfits(todo, args.device, Host::here(&out), args.force)?;
    let profile = plan.profile.as_ref();
    let title = profile.map_or_else(
        || plan.name.clone(),
        |profile| format!("{} (profile {profile})", plan.name),
    );
    let progress = Progress::new(global.quiet);
    let summary = run_cells(
        (&plan, plan.clone()),
        &out,
        &title,
        (args.device, options),
        &progress,
    )?;
    print(&report::summary(&summary.records));
    let page = out.join("report.html");
    if plan.outputs.report && page.is_file() {
        print(&format!("\nReport: {}\n", page.display()));
    }
    Ok(ended(&summary, &out, &progress))
}

/// Runs the cells of `part`, an experiment or some of its cells, and draws the report of all that is in the folder.
///
/// # Errors
/// Weights that cannot be had, a folder that another run holds, files that cannot be written.
pub fn run_cells(
    (whole, mut part): (&Plan, Plan),
    out: &Path,
    title: &str,
    (device, options): (DeviceChoice, RunOptions),
    progress: &Progress,
) -> miette::Result<RunSummary> {
    resolve::fetch_weights(&mut part, progress.is_shown()).map_err(bad)?;
    let todo = options.select(&part, &ResultsDir::read(out)).todo;
    encode_images(todo, device, out).map_err(bad)?;
    let results = ResultsDir::create(out).map_err(bad)?;
    progress.line(&format!(
        "{title}: {} cell{}, results in {}",
        part.cells.len(),
        plural(part.cells.len()),
        out.display()
    ));
    let runner = CellRunner::new(&results, device, &part);
    let summary = run_plan(&part, &runner, &results, options, progress).map_err(bad)?;
    // the folder holds the whole experiment: its other cells are collected, not run
    let all = if part.cells.len() < whole.cells.len() {
        Some(collect(whole, &results).map_err(bad)?)
    } else {
        None
    };
    let records = all.as_ref().unwrap_or(&summary.records);
    draw(&part, records, out, progress)?;
    Ok(summary)
}

/// The exit code of a run, and on standard error what is left and what failed.
pub fn ended(summary: &RunSummary, out: &Path, progress: &Progress) -> ExitCode {
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
            out.join(RECORDS).display()
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
