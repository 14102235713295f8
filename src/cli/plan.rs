//! `infbench plan`

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use infbench::config::Cell;
use infbench::measure::{duration, size};
use infbench::progress::plural;
use infbench::resolve::Untrained;
use infbench::results::ResultsDir;
use infbench::runner::forecast::{fine_tune, forecast, pipeline_seconds, product_rate};
use infbench::runner::memory::{Host, Stage};

use super::common::{ExperimentArgs, print, refuse_misfits};
use super::units::{CutArgs, json, stages, table};

/// Arguments of `infbench plan`.
#[derive(Args)]
pub struct PlanArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// List the units of work instead of the cells: what can run by itself, what it needs and takes, and what is done
    #[arg(long)]
    units: bool,
    /// With --units: as JSON, with every need and exact amounts
    #[arg(long, requires = "units")]
    json: bool,
    /// Exit with 0 also when something is forecast not to fit into memory or on the disk
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    cut: CutArgs,
}

/// Prints the cells of an experiment with their forecast; writes nothing.
pub fn plan(args: &PlanArgs) -> miette::Result<ExitCode> {
    if args.units {
        let (plan, out) = args.experiment.load()?;
        let (device, host) = (args.cut.device, Host::here(&out));
        let units = args.cut.units(&plan, &out)?;
        print(&if args.json {
            json(&units)
        } else {
            table(&plan, &units, device, &out)
        });
        let todo = units.iter().filter(|unit| !unit.done);
        refuse_misfits(stages(&plan, todo), device, host, args.force)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (plan, out, untrained) = args.experiment.foresee()?;
    let (device, host) = (args.cut.device, Host::here(&out));
    let results = ResultsDir::read(&out);
    let rate = product_rate();
    let width = plan
        .cells
        .iter()
        .map(|cell| cell.title().len())
        .max()
        .unwrap_or(0)
        .max(4);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:>4}  {:16}  {:7}  {:width$}  {:>7} {:>5} {:>6} {:>8}  {:>9}  {:>9}",
        "", "id", "state", "cell", "n", "m", "blocks", "Σd", "memory", "time"
    );
    let (mut done, mut seconds, mut bytes) = (0, 0.0, 0.0f64);
    let is_finished = |cell: &Cell| results.is_finished(&cell.id);
    let finished: Vec<bool> = plan.cells.iter().map(is_finished).collect();
    let cells = || plan.cells.iter().zip(finished.iter().copied());
    let kept = cells().filter(|(_, finished)| *finished);
    let mut fine_tunes: BTreeSet<String> = kept.map(|(cell, _)| fine_tune(cell)).collect();
    for (cell, finished) in cells() {
        let mut cost = forecast(cell, &plan.outputs, device)
            .map_err(|e| miette::miette!("{}: {e}", cell.title()))?;
        if !fine_tunes.insert(fine_tune(cell)) && !finished {
            cost = cost.with_fine_tune();
        }
        if finished {
            done += 1;
        } else {
            seconds += cost.seconds(rate);
            bytes = bytes.max(cost.bytes());
        }
        let state = if finished { "done" } else { "to do" };
        let _ = writeln!(
            text,
            "{:>4}  {:16}  {state:7}  {:width$}  {:>7} {:>5} {:>6} {:>8}  {:>9}  {:>9}",
            cell.index + 1,
            cell.id,
            cell.title(),
            cost.train,
            cost.query,
            cost.blocks,
            cost.dim,
            size(cost.bytes()),
            duration(cost.seconds(rate)),
        );
    }
    let methods = plan.cells.first().map(|cell| {
        cell.settings
            .influence
            .methods
            .iter()
            .map(|m| m.label.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    });
    let _ = writeln!(text, "\nMethods: {}", methods.unwrap_or_default());
    let _ = writeln!(
        text,
        "{} of {} cell{} done in {}",
        done,
        plan.cells.len(),
        plural(plan.cells.len()),
        out.display()
    );
    for Untrained {
        path,
        settings,
        operations,
        ..
    } in &untrained
    {
        let training = pipeline_seconds(*operations, rate);
        seconds += training;
        let (path, settings, training) = (path.display(), settings.display(), duration(training));
        let _ = writeln!(
            text,
            "The pipeline {path} is not there yet: `infbench run` trains it first by {settings}, about {training}"
        );
    }
    let _ = writeln!(
        text,
        "To do: about {}, peak memory about {} (forecast at {:.0} GFLOP/s, measured just now; an order of magnitude)",
        duration(seconds),
        size(bytes),
        rate / 1e9
    );
    print(&text);
    let todo = cells().filter(|(_, finished)| !finished);
    let todo = todo.map(|(cell, _)| (cell, &Stage::ALL[..]));
    refuse_misfits(todo, device, host, args.force)?;
    Ok(ExitCode::SUCCESS)
}
