//! One unit, done by this process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Instant;

use super::id::{Kind, UnitId};
use super::report::{Cause, State, UnitReport};
use super::shared::{Bases, Shared};
use crate::config::{Cell, Plan, TaskConfig};
use crate::device::DeviceChoice;
use crate::ground_truth::RetrainContext;
use crate::interrupt;
use crate::measure;
use crate::progress::Progress;
use crate::results::record::Record;
use crate::results::{ResultsDir, environment};
use crate::runner::cell::CellRunner;
use crate::runner::latents::Encoding;
use crate::runner::tuning::{Place, examples};
use crate::runner::{one, panic_message};

/// Does units of a plan, one after the other.
pub struct Worker<'a> {
    /// The experiment.
    pub plan: &'a Plan,
    /// Where everything is kept.
    pub results: &'a ResultsDir,
    /// Where models are computed.
    pub device: DeviceChoice,
    /// The job of an engine that this process is, e.g. `1234_7`.
    pub job: Option<String>,
    /// Where progress is shown.
    pub progress: &'a Progress,
}

/// What became of a unit.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was done before.
    Found,
    /// Done now.
    Done,
    /// Failed, as its report says.
    Failed(String),
    /// It needs these, which are not done.
    Lacks(Vec<UnitId>),
    /// This process was asked to stop before it was done.
    Interrupted,
}

impl Worker<'_> {
    /// Does a unit unless it is done; `collect` is not done here, since it draws a report.
    ///
    /// # Errors
    /// A unit of no cell of the plan, or a file that cannot be written.
    pub fn run(&self, id: &UnitId) -> Result<Outcome, String> {
        let mut cells = self.plan.cells.iter();
        let known = cells.find(|cell| cell.id == id.cell);
        let cell = known.ok_or_else(|| {
            format!(
                "{id}: the experiment has no cell {}; was it changed since the units were listed?",
                id.cell
            )
        })?;
        if interrupt::requested() {
            return Ok(Outcome::Interrupted);
        }
        let place = Place::new(self.results.root(), self.device, self.plan.outputs.adapters);
        let encoding = Encoding::By(self.device, &place.cache);
        let data = match cell.settings.task {
            TaskConfig::Gradients(_) => None,
            _ => Some(Rc::new(examples(cell, encoding)?)),
        };
        let shared = data.map(|data| Shared::of(&place, cell, data, encoding, &mut Bases::new()));
        let shared = shared.transpose()?;
        let root = self.results.root();
        if self.is_done(id, cell, shared.as_ref()) {
            let told = super::report::read(root, id);
            if told.is_none_or(|report| report.state != State::Done) {
                let report = UnitReport {
                    state: State::Done,
                    ..self.report(id)
                };
                report.write(root, id)?;
            }
            return Ok(Outcome::Found);
        }
        let lacking = shared
            .as_ref()
            .map_or_else(Vec::new, |shared| shared.lacking(id.kind));
        if !lacking.is_empty() {
            let names: Vec<String> = lacking.iter().map(UnitId::to_string).collect();
            let report = UnitReport {
                state: State::Failed,
                cause: Some(Cause::Blocked),
                message: Some(format!("it needs {}, not done", names.join(", "))),
                ..self.report(id)
            };
            report.write(root, id)?;
            return Ok(Outcome::Lacks(lacking));
        }
        let running = self.report(id);
        running.write(root, id)?;
        let (start, before) = (Instant::now(), measure::processor_seconds());
        let (made, peak_bytes) = measure::peak_above_resident(|| {
            catch_unwind(AssertUnwindSafe(|| self.make(id, cell, shared.as_ref())))
        });
        let made =
            made.unwrap_or_else(|panic| Ok(Err(format!("panic: {}", panic_message(&*panic)))))?;
        if made.is_err() && interrupt::requested() {
            let _ = std::fs::remove_file(super::report::path(root, id));
            return Ok(Outcome::Interrupted);
        }
        let spent = measure::processor_seconds().zip(before);
        let report = UnitReport {
            state: if made.is_ok() {
                State::Done
            } else {
                State::Failed
            },
            cause: made.is_err().then_some(Cause::Error),
            message: made.clone().err(),
            seconds: start.elapsed().as_secs_f64(),
            cpu_seconds: spent.map(|(now, before)| now - before),
            peak_bytes,
            resident_bytes: measure::peak_resident(),
            ..running
        };
        report.write(root, id)?;
        Ok(made.map_or_else(Outcome::Failed, |()| Outcome::Done))
    }

    fn is_done(&self, id: &UnitId, cell: &Cell, shared: Option<&Shared>) -> bool {
        match (id.kind, shared) {
            (Kind::Score, _) => self.results.is_finished(&cell.id),
            (Kind::Base, Some(shared)) => !shared.lacks_base(),
            (Kind::Tune, Some(shared)) => !shared.lacks_tune(),
            (Kind::Retrain, Some(shared)) => {
                let jobs = shared.jobs();
                !shared.lacks_outcome(id, &jobs[id.range(jobs.len())])
            }
            // a cell without a model has nothing to fine-tune
            _ => true,
        }
    }

    /// The unit's work: the outer error is a file that cannot be written, the inner one the unit's own.
    fn make(
        &self,
        id: &UnitId,
        cell: &Cell,
        shared: Option<&Shared>,
    ) -> Result<Result<(), String>, String> {
        let progress = self.progress;
        match (id.kind, shared) {
            (Kind::Base, Some(shared)) => Ok(shared.make_base(progress).map(drop)),
            (Kind::Tune, Some(shared)) => Ok(tune(shared, progress)),
            (Kind::Retrain, Some(shared)) => Ok(retrain(id, cell, shared, progress)),
            (Kind::Score, _) => {
                let runner = CellRunner::new(self.results, self.device, self.plan);
                let record = one(self.plan, &runner, cell, progress);
                if !record.is_whole() && interrupt::requested() {
                    return Ok(Err("interrupted".to_owned()));
                }
                let written = self.results.write_record(&record);
                written.map_err(|error| error.to_string())?;
                Ok(failure(&record).map_or(Ok(()), Err))
            }
            _ => Ok(Ok(())),
        }
    }

    fn report(&self, id: &UnitId) -> UnitReport {
        UnitReport {
            job: self.job.clone(),
            ..UnitReport::new(id, &environment::now())
        }
    }
}

fn tune(shared: &Shared, progress: &Progress) -> Result<(), String> {
    let base = shared.make_base(progress)?;
    let recipe = shared.recipe();
    let tuned = recipe.tuned(&base, &shared.data, shared.checkpoints(), progress);
    tuned.map(drop)
}

fn retrain(id: &UnitId, cell: &Cell, shared: &Shared, progress: &Progress) -> Result<(), String> {
    let base = shared.make_base(progress)?;
    let retrainer = shared.recipe().retrainer(&base, &shared.data)?;
    let jobs = shared.jobs();
    let bench = RetrainContext {
        retrain: &retrainer,
        seed: cell.seed,
        cache: shared.cache(),
        progress,
    };
    let (number, count) = id.slice;
    let what = format!("slice {number} of {count}");
    bench.run(&what, &jobs[id.range(jobs.len())]).map(drop)
}

/// Why a cell or its methods failed.
fn failure(record: &Record) -> Option<String> {
    let failed = record.methods.iter().find_map(|method| {
        let error = method.error.as_ref()?;
        Some(format!("{}: {error}", method.label))
    });
    (!record.is_whole()).then(|| {
        let own = record.error.clone().or(failed);
        own.unwrap_or_else(|| "no reason recorded".to_owned())
    })
}
