//! `infbench plan --units` and `infbench run --unit`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use infbench::config::{Cell, Plan};
use infbench::device::DeviceChoice;
use infbench::measure::{duration, size};
use infbench::progress::{Progress, plural};
use infbench::results::{Record, ResultsDir, environment};
use infbench::runner::forecast::product_rate;
use infbench::runner::memory::Stage;
use infbench::runner::units::report::{Cause, State, UnitReport};
use infbench::runner::units::{self, Cut, Kind, Outcome, Unit, UnitId, Worker};
use infbench::runner::{collect as collected, remove_parts};
use infbench::{atomic, interrupt, resolve};

use super::common::{bad, draw};

/// How an experiment is cut into units.
#[derive(Args, Clone, Copy)]
pub struct CutArgs {
    /// Cut the retrainings of a cell into slices of about so many minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0, value_parser = positive)]
    pub slice: f64,
    /// Device for the model, which need not be here
    #[arg(long, default_value = "flex", value_parser = DeviceChoice::named)]
    pub device: DeviceChoice,
}

/// A number above 0.
pub fn positive(text: &str) -> Result<f64, String> {
    let number = text
        .parse()
        .ok()
        .filter(|x: &f64| x.is_finite() && *x > 0.0);
    number.ok_or_else(|| "allowed: a number above 0".to_owned())
}

impl CutArgs {
    /// The units of a plan.
    pub fn units(&self, plan: &Plan, out: &Path) -> miette::Result<Vec<Unit>> {
        let cut = Cut {
            slice_seconds: 60.0 * self.slice,
            rate: product_rate(),
            device: self.device,
        };
        units::list(plan, &ResultsDir::read(out), cut).map_err(bad)
    }
}

/// The stages of some units, with their cells; a unit that several cells need stands for its first.
pub fn stages<'p>(
    plan: &'p Plan,
    units: impl IntoIterator<Item = &'p Unit>,
) -> impl Iterator<Item = (&'p Cell, &'static [Stage])> {
    let of_unit = |unit: &'p Unit| Some((&plan.cells[*unit.cells.first()?], of_kind(unit.id.kind)));
    units.into_iter().filter_map(of_unit)
}

/// The stages that `run --unit` goes through, with their cells.
pub fn stages_of<'p>(
    plan: &'p Plan,
    args: &'p UnitArgs,
) -> impl Iterator<Item = (&'p Cell, &'static [Stage])> {
    args.units.iter().filter_map(|id| {
        let cell = plan.cells.iter().find(|cell| cell.id == id.cell)?;
        let all = args.with_needs;
        Some((
            cell,
            if all {
                &Stage::ALL[..]
            } else {
                of_kind(id.kind)
            },
        ))
    })
}

fn of_kind(kind: Kind) -> &'static [Stage] {
    let all: &'static [Stage] = &Stage::ALL;
    let alone = |stage: Stage| &all[stage as usize..=stage as usize];
    kind.stage().map_or(&[], alone)
}

/// The units as JSON: what the table says, without what is left out or rounded there.
pub fn json(units: &[Unit]) -> String {
    let of_unit = |unit: &Unit| {
        let needs: Vec<String> = unit.needs.iter().map(UnitId::to_string).collect();
        serde_json::json!({
            "id": unit.id.to_string(),
            "kind": unit.id.kind.name(),
            "done": unit.done,
            "needs": needs,
            "cells": unit.cells.len(),
            "on_device": unit.on_device,
            "seconds": unit.cost.seconds,
            "memory_bytes": unit.cost.memory,
            "gpu_bytes": unit.cost.gpu,
            "disk_bytes": unit.cost.disk,
        })
    };
    let all: Vec<serde_json::Value> = units.iter().map(of_unit).collect();
    serde_json::to_string_pretty(&all).expect("plain JSON") + "\n"
}

/// The units as a table.
pub fn table(plan: &Plan, units: &[Unit], device: DeviceChoice, out: &Path) -> String {
    let device = &device.to_string();
    let mut text = String::new();
    let ids: Vec<String> = units.iter().map(|unit| unit.id.to_string()).collect();
    let width = ids.iter().map(String::len).max().unwrap_or(4);
    let _ = writeln!(
        text,
        "{:width$}  {:5}  {:>9}  {:>9}  {:>9}  {:>9}  {:8}  {:>5}  needs",
        "unit", "state", "time", "memory", "GPU", "disk", "device", "cells"
    );
    for (unit, id) in units.iter().zip(&ids) {
        let _ = writeln!(
            text,
            "{id:width$}  {:5}  {:>9}  {:>9}  {:>9}  {:>9}  {:8}  {:>5}  {}",
            if unit.done { "done" } else { "to do" },
            duration(unit.cost.seconds),
            size(unit.cost.memory),
            none_or(unit.cost.gpu),
            none_or(unit.cost.disk),
            if unit.on_device { device } else { "-" },
            unit.cells.len(),
            needs(&unit.needs),
        );
    }
    let todo: Vec<&Unit> = units.iter().filter(|unit| !unit.done).collect();
    let seconds = todo.iter().map(|unit| unit.cost.seconds);
    let seconds = seconds.fold(0.0, |sum, seconds| sum + seconds);
    let _ = writeln!(text);
    for kind in Kind::ALL {
        let own = units.iter().filter(|unit| unit.id.kind == kind);
        let (all, open) = own.fold((0, 0), |(all, open), unit| {
            (all + 1, open + usize::from(!unit.done))
        });
        if all > 0 {
            let _ = writeln!(text, "{:8} {} of {all} done", kind.name(), all - open);
        }
    }
    let _ = writeln!(
        text,
        "{} unit{} of {} cell{} to do in {}, about {} one after the other",
        todo.len(),
        plural(todo.len()),
        plan.cells.len(),
        plural(plan.cells.len()),
        out.display(),
        duration(seconds),
    );
    text
}

fn none_or(bytes: f64) -> String {
    if bytes > 0.0 {
        size(bytes)
    } else {
        "-".to_owned()
    }
}

/// A list of needs in few words.
fn needs(all: &[UnitId]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = all.iter().take(SHOWN).map(UnitId::to_string).collect();
    match all.len() {
        0 => "-".to_owned(),
        n if n > SHOWN => format!("{}, and {} more", shown.join(", "), n - SHOWN),
        _ => shown.join(", "),
    }
}

/// Options of `infbench run --unit`.
#[derive(Args)]
pub struct UnitArgs {
    /// Run these units and nothing else, in this order (`infbench plan --units` lists them)
    #[arg(long = "unit", value_name = "ID,…", value_delimiter = ',', conflicts_with_all = ["limit", "no_resume"])]
    pub units: Vec<UnitId>,
    /// Run the units that they need, too, where these are not done
    #[arg(long, requires = "units")]
    with_needs: bool,
    /// Seconds that a unit at work may take to finish after SIGTERM or SIGUSR1; then the process ends with exit code 75
    #[arg(long, value_name = "SECONDS", default_value_t = 20, requires = "units")]
    grace: u64,
}

/// Runs units. Exit code 0: all are done; 1: one failed or lacks what it needs; 75: interrupted, run again.
pub fn run(
    mut plan: Plan,
    out: &Path,
    args: &UnitArgs,
    device: DeviceChoice,
    quiet: bool,
) -> miette::Result<ExitCode> {
    let progress = Progress::new(quiet);
    let (root, ids): (PathBuf, _) = (out.to_owned(), args.units.clone());
    let clean_up = move || {
        atomic::remove_unfinished();
        remove_parts(&root);
        for id in &ids {
            let is_running = |report: &UnitReport| report.is_of_this_process();
            if units::report::read(&root, id).is_some_and(|report| is_running(&report)) {
                let _ = std::fs::remove_file(units::report::path(&root, id));
            }
        }
    };
    interrupt::listen(Duration::from_secs(args.grace), clean_up)
        .map_err(|error| miette::miette!("cannot listen to signals: {error}"))?;
    resolve::fetch_weights(&mut plan, progress.is_shown()).map_err(bad)?;
    let results = ResultsDir::share(out).map_err(bad)?;
    let worker = Worker {
        plan: &plan,
        results: &results,
        device,
        job: job(),
        progress: &progress,
    };
    let mut failed = false;
    for id in &args.units {
        if interrupt::requested() {
            return Ok(ExitCode::from(interrupt::EXIT));
        }
        let outcome = if id.kind == Kind::Collect {
            collect(&plan, &results, &progress)?
        } else {
            one(&worker, id, args.with_needs)?
        };
        match outcome {
            Outcome::Interrupted => return Ok(ExitCode::from(interrupt::EXIT)),
            Outcome::Done => progress.line(&format!("{id}: done")),
            Outcome::Found => progress.line(&format!("{id}: was done before")),
            Outcome::Failed(error) => {
                failed = true;
                eprintln!("{id}: failed: {error}");
            }
            Outcome::Lacks(needs) => {
                failed = true;
                eprintln!(
                    "{id}: needs {}, not done; run that first, or give --with-needs",
                    self::needs(&needs)
                );
            }
        }
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// A unit, and before it what it lacks where that is wanted.
fn one(worker: &Worker, id: &UnitId, with_needs: bool) -> miette::Result<Outcome> {
    let outcome = worker.run(id).map_err(bad)?;
    let Outcome::Lacks(needs) = &outcome else {
        return Ok(outcome);
    };
    if !with_needs {
        return Ok(outcome);
    }
    for need in needs {
        match one(worker, need, true)? {
            Outcome::Found | Outcome::Done => {}
            outcome => return Ok(outcome),
        }
    }
    worker.run(id).map_err(bad)
}

/// Collects the records that are there, and draws the report.
fn collect(plan: &Plan, results: &ResultsDir, progress: &Progress) -> miette::Result<Outcome> {
    let records = collected(plan, results).map_err(bad)?;
    draw(plan, &records, results.root(), progress)?;
    let outcome = collection(plan, &records);
    let id = UnitId::collect();
    let (state, message) = match &outcome {
        Outcome::Failed(message) => (State::Failed, Some(message.clone())),
        _ => (State::Done, None),
    };
    let report = UnitReport {
        state,
        cause: message.as_ref().map(|_| Cause::Error),
        message,
        job: job(),
        ..UnitReport::new(&id, &environment::now())
    };
    report.write(results.root(), &id).map_err(bad)?;
    Ok(outcome)
}

/// What there is to say of the records that were collected.
fn collection(plan: &Plan, records: &[Record]) -> Outcome {
    let missing = plan.cells.len() - records.len();
    let failed = records.iter().filter(|record| !record.is_whole()).count();
    match (missing, failed) {
        (0, 0) => Outcome::Done,
        (0, failed) => Outcome::Failed(format!("{failed} of {} cells failed", plan.cells.len())),
        (missing, _) => Outcome::Failed(format!(
            "{missing} of {} cells have no record yet",
            plan.cells.len()
        )),
    }
}

/// The job of a scheduler that this process is.
fn job() -> Option<String> {
    let var = |name| std::env::var(name).ok();
    if let Some(job) = var("INFBENCH_JOB") {
        return Some(job);
    }
    match (var("SLURM_ARRAY_JOB_ID"), var("SLURM_ARRAY_TASK_ID")) {
        (Some(job), Some(task)) => Some(format!("{job}_{task}")),
        _ => var("SLURM_JOB_ID"),
    }
}
