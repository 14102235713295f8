//! Cells → records: order, resume, isolation, progress.
//!
//! In: a [`Plan`] and a results folder. Out: one record per cell, written before the next cell starts, and the collected
//! results; from there on to [`crate::report`]. [`claims`] does the same for theory experiments, [`forecast`] says
//! beforehand what a cell takes.
//!
//! What a cell computes is behind the trait [`Execute`], so that the scheduling is tested with a fake.

mod answers;
mod by_image;
mod by_token;
pub mod cell;
mod cell_inputs;
pub mod claims;
mod collecting;
mod companions;
mod decomposition;
mod embeddings;
mod error;
mod evaluation;
mod examples;
pub mod forecast;
mod generation_cost;
mod latents;
pub mod memory;
mod model_memory;
mod outcome;
mod pairing;
mod passes;
mod picture_files;
mod reference;
mod samples;
mod scoring;
mod source;
mod stores;
mod tuning;
pub mod units;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::config::{Cell, Plan};
use crate::data::Reads;
use crate::device::DeviceChoice;
use crate::progress::{Progress, plural};
use crate::results::record::{CellInfo, Provenance, Record, SCHEMA, Status};
use crate::results::{ResultsDir, ResultsError};
use latents::Encoding;
use outcome::outcome;
pub use stores::remove_parts;
use tuning::Place;

/// What turns a cell into a record.
pub trait Execute {
    /// Runs one cell; the error is a sentence for a reader.
    ///
    /// # Errors
    /// Whatever ends the cell: it becomes a failed record.
    fn execute(&self, experiment: &str, cell: &Cell, progress: &Progress)
    -> Result<Record, String>;

    /// The environment that a failed cell's record names.
    fn provenance(&self) -> Provenance;
}

/// How a plan is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// Skip finished cells.
    pub resume: bool,
    /// Run at most this many cells now.
    pub limit: Option<usize>,
}

/// The cells of a plan, as a run goes through them.
#[derive(Debug)]
pub struct Selected<'p> {
    /// How many are finished and not run again.
    pub done: usize,
    /// Those to be run, in order.
    pub todo: Vec<&'p Cell>,
    /// How many the limit leaves for later.
    pub left: usize,
}

impl RunOptions {
    /// What a run with these options would do with the cells of a plan.
    pub fn select<'p>(&self, plan: &'p Plan, results: &ResultsDir) -> Selected<'p> {
        let is_done = |cell: &&Cell| self.resume && results.is_finished(&cell.id);
        let (done, mut todo): (Vec<&Cell>, Vec<&Cell>) = plan.cells.iter().partition(is_done);
        let now = self.limit.unwrap_or(usize::MAX).min(todo.len());
        let left = todo.split_off(now).len();
        Selected {
            done: done.len(),
            todo,
            left,
        }
    }
}

/// What became of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunSummary {
    /// All records of the grid that are there now, in the order of the grid.
    pub records: Vec<Record>,
    /// Cells run now.
    pub ran: usize,
    /// Cells that were finished before.
    pub resumed: usize,
    /// Cells left for later by the limit.
    pub left: usize,
    /// Failed cells, and cells with failed methods, among `records`.
    pub failed: usize,
}

/// Runs the cells of a plan in order, one record on disk before the next cell starts, and collects
/// the records at the end.
///
/// A cell that fails or panics becomes a failed record and the run goes on; `--resume` tries it again.
///
/// # Errors
/// Only the results folder: a record that cannot be written ends the run.
pub fn run(
    plan: &Plan,
    executor: &dyn Execute,
    results: &ResultsDir,
    options: RunOptions,
    progress: &Progress,
) -> Result<RunSummary, ResultsError> {
    let Selected { done, todo, left } = options.select(plan, results);
    let mut summary = RunSummary {
        resumed: done,
        left,
        ..RunSummary::default()
    };
    progress.start(todo.len(), "cells");
    if done > 0 {
        progress.line(&format!(
            "{done} finished cell{} found, not run again (--no-resume runs all)",
            plural(done)
        ));
    }
    for cell in todo {
        progress.item(cell.title());
        tracing::info!(cell = cell.id, "{} starts", cell.title());
        let record = one(plan, executor, cell, progress);
        results.write_record(&record)?;
        tracing::info!(
            cell = cell.id,
            seconds = record.provenance.seconds,
            "record written"
        );
        progress.finished(&outcome(&record));
        summary.ran += 1;
    }
    progress.end();
    summary.records = collect(plan, results)?;
    summary.failed = summary.records.iter().filter(|r| !r.is_whole()).count();
    Ok(summary)
}

/// Collects the records of a plan's cells that are there: writes them as `records.jsonl` and `results.csv`.
///
/// # Errors
/// Whatever the file system answers.
pub fn collect(plan: &Plan, results: &ResultsDir) -> Result<Vec<Record>, ResultsError> {
    let mut records = Vec::new();
    for cell in &plan.cells {
        if let Some(mut record) = results.record(&cell.id) {
            // the same cell may have stood elsewhere in the grid when it ran
            record.experiment.clone_from(&plan.name);
            record.profile.clone_from(&plan.profile);
            record.description.clone_from(&plan.description);
            record.cell = info(cell);
            records.push(record);
        }
    }
    results.collect(&records)?;
    Ok(records)
}

/// The record of a cell, whatever becomes of it.
fn one(plan: &Plan, executor: &dyn Execute, cell: &Cell, progress: &Progress) -> Record {
    let result = catch_unwind(AssertUnwindSafe(|| {
        executor.execute(&plan.name, cell, progress)
    }));
    let mut record = match result {
        Ok(Ok(record)) => record,
        Ok(Err(error)) => failed(&plan.name, cell, executor.provenance(), error),
        Err(panic) => failed(
            &plan.name,
            cell,
            executor.provenance(),
            format!("panic: {}", panic_message(&*panic)),
        ),
    };
    if let Some(error) = &record.error {
        tracing::warn!(cell = cell.id, error, "the cell failed");
    }
    record.profile.clone_from(&plan.profile);
    record.description.clone_from(&plan.description);
    record
}

/// Encodes the images of cells, once for those that share them; other cells have nothing to prepare. So that images whose
/// latents are not finite end a run before its first record.
///
/// # Errors
/// Images that cannot be encoded, as a sentence.
pub fn encode_images<'c>(
    cells: impl IntoIterator<Item = &'c Cell>,
    device: DeviceChoice,
    root: &Path,
) -> Result<(), String> {
    let place = Place::new(root, device, false);
    let mut done = BTreeSet::new();
    for cell in cells {
        let reads = cell.settings.task.reads();
        if reads == Reads::Images && done.insert(forecast::encoded(cell)) {
            tuning::examples(cell, Encoding::By(device, &place.cache))?;
        }
    }
    Ok(())
}

/// A cell's place in its grid, for its record.
pub fn info(cell: &Cell) -> CellInfo {
    CellInfo {
        id: cell.id.clone(),
        index: cell.index,
        seed: cell.seed,
        axes: cell.axes.clone(),
    }
}

fn failed(experiment: &str, cell: &Cell, provenance: Provenance, error: String) -> Record {
    Record {
        schema: SCHEMA,
        experiment: experiment.to_owned(),
        profile: None,
        description: String::new(),
        cell: info(cell),
        status: Status::Failed,
        error: Some(error),
        config: serde_json::to_value(&cell.settings).expect("settings are plain JSON"),
        provenance,
        task: None,
        model: None,
        training: None,
        gradients: None,
        ground_truth: None,
        methods: Vec::new(),
        no_reference: Vec::new(),
        pairing: Vec::new(),
        by_token: Vec::new(),
        answers: Vec::new(),
        by_image: Vec::new(),
        samples: Vec::new(),
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Fails at one cell, panics at another, counts its calls.
    #[derive(Default)]
    struct Fake {
        calls: AtomicUsize,
        healed: bool,
    }

    impl Execute for Fake {
        fn execute(&self, experiment: &str, cell: &Cell, _: &Progress) -> Result<Record, String> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            match cell.index {
                1 if !self.healed => Err("no luck".to_owned()),
                2 if !self.healed => panic!("broken"),
                _ => Ok(Record {
                    status: Status::Ok,
                    error: None,
                    ..failed(experiment, cell, self.provenance(), String::new())
                }),
            }
        }

        fn provenance(&self) -> Provenance {
            Provenance::default()
        }
    }

    fn plan() -> Plan {
        let text = "name: t\nseeds: [0, 1, 2, 3]\ntask: gradients\n";
        crate::config::grid::parse("t.yaml", text, None, &[]).unwrap()
    }

    #[test]
    fn failures_are_recorded_counted_and_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let results = ResultsDir::create(folder.path()).unwrap();
        let (plan, quiet) = (plan(), Progress::quiet());
        let options = RunOptions {
            resume: true,
            limit: None,
        };
        let fake = Fake::default();
        let first = run(&plan, &fake, &results, options, &quiet).unwrap();
        assert_eq!(
            (first.ran, first.resumed, first.failed, first.records.len()),
            (4, 0, 2, 4)
        );
        assert_eq!(first.records[1].error.as_deref(), Some("no luck"));
        assert_eq!(first.records[2].error.as_deref(), Some("panic: broken"));
        let healed = Fake {
            healed: true,
            ..Fake::default()
        };
        let second = run(&plan, &healed, &results, options, &quiet).unwrap();
        assert_eq!((second.ran, second.resumed, second.failed), (2, 2, 0));
        let again = run(
            &plan,
            &healed,
            &results,
            RunOptions {
                resume: false,
                limit: Some(3),
            },
            &quiet,
        )
        .unwrap();
        assert_eq!((again.ran, again.left, again.records.len()), (3, 1, 4));
        assert_eq!(crate::results::load(folder.path()).unwrap().len(), 4);
    }
}
