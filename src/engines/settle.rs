//! Tasks that ended otherwise than well: why, in the units' reports; and once more, with twice the time and memory, what
//! ran out of either.

use std::collections::BTreeMap;
use std::path::Path;

use super::engine::{Engine, EngineError, Task, TaskState};
use super::jobs::Job;
use super::ledger::{self, Entry, Submitted};
use super::submit::submit;
use crate::results::environment;
use crate::runner::units::UnitId;
use crate::runner::units::report::{self, Cause, State, UnitReport};

/// What was found and done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settled {
    /// Units that failed since, with the cause and the engine's word for it.
    pub failed: Vec<(String, Cause, String)>,
    /// Jobs that were submitted again, by id, with the number of their units.
    pub again: Vec<(String, usize)>,
}

/// Whether a unit is done, by its report.
fn is_done(root: &Path, unit: &str) -> bool {
    let id = unit.parse::<UnitId>();
    let told = id.ok().and_then(|id| report::read(root, &id));
    told.is_some_and(|told| told.state == State::Done)
}

/// Asks the engine about the jobs in `jobs/` of the results, notes why units failed, and submits again what ran out of
/// time or memory in its first attempt and has not been submitted again; jobs that need these wait for them.
///
/// # Errors
/// What the engine or the file system answers.
pub fn settle(engine: &dyn Engine, root: &Path) -> Result<Settled, EngineError> {
    let entries = ledger::read(root);
    let entries: Vec<&Entry> = entries
        .iter()
        .filter(|e| e.engine == engine.name())
        .collect();
    let ids: Vec<String> = entries.iter().flat_map(|entry| entry.ids()).collect();
    let tasks = engine.tasks(&ids)?;
    let mut settled = Settled::default();
    // units that have had their second attempt
    let jobs = entries.iter().flat_map(|entry| &entry.jobs);
    let second = jobs.filter(|submitted| submitted.job.attempt > 1);
    let second = second.flat_map(|submitted| submitted.job.tasks.iter().flatten());
    let second: Vec<&String> = second.collect();
    for entry in &entries {
        for (index, submitted) in entry.jobs.iter().enumerate() {
            let failed = failures(root, submitted, &tasks);
            for (unit, cause, word) in &failed {
                note(root, unit, *cause, word, submitted)?;
            }
            let mut again: Vec<Vec<String>> = Vec::new();
            for (unit, cause, _) in &failed {
                let more = matches!(cause, Cause::Timeout | Cause::OutOfMemory);
                if more && submitted.job.attempt == 1 && !second.contains(&unit) {
                    again.push(vec![unit.clone()]);
                }
            }
            settled.failed.extend(failed);
            if again.is_empty() {
                continue;
            }
            let job = Job {
                name: format!("{}-again", submitted.job.name),
                request: submitted.job.request.doubled(),
                attempt: 2,
                after: Vec::new(),
                needs: vec![Vec::new(); again.len()],
                tasks: again,
                kind: submitted.job.kind.clone(),
            };
            let count = job.tasks.len();
            let seconds = BTreeMap::new();
            let made = submit(engine, &[job], &entry.work, root, &[], seconds)?;
            let waiting = entry
                .jobs
                .iter()
                .filter(|other| other.job.after.contains(&index));
            let waiting: Vec<String> = waiting.map(|other| other.id.clone()).collect();
            engine.delay(&waiting, &made.ids())?;
            let made = made.ids().into_iter();
            settled.again.extend(made.map(|id| (id, count)));
        }
    }
    Ok(settled)
}

/// The units of a job that failed: of every task that ended, those that are not done. Of a task that ran out of time or
/// memory only the first was at work; the others come with the next submission, or are told again.
fn failures(root: &Path, submitted: &Submitted, tasks: &[Task]) -> Vec<(String, Cause, String)> {
    let mut found = Vec::new();
    for task in tasks.iter().filter(|task| task.job == submitted.id) {
        let TaskState::Failed(cause, word) = &task.state else {
            continue;
        };
        let Some(units) = submitted.job.tasks.get(task.index) else {
            continue;
        };
        for unit in units.iter().filter(|unit| !is_done(root, unit)) {
            found.push((unit.clone(), *cause, word.clone()));
        }
    }
    found
}

/// Writes why a unit failed, unless it said so itself.
fn note(
    root: &Path,
    unit: &str,
    cause: Cause,
    word: &str,
    submitted: &Submitted,
) -> Result<(), EngineError> {
    let Ok(id) = unit.parse::<UnitId>() else {
        return Ok(());
    };
    let told = report::read(root, &id);
    if told
        .as_ref()
        .is_some_and(|told| told.state == State::Failed)
    {
        return Ok(());
    }
    let now = environment::now();
    let report = UnitReport {
        state: State::Failed,
        cause: Some(cause),
        message: Some(format!(
            "{word}, job {}, attempt {}",
            submitted.id, submitted.job.attempt
        )),
        ..told.unwrap_or_else(|| UnitReport::new(&id, &now))
    };
    report
        .write(root, &id)
        .map_err(|message| EngineError::Failed {
            command: "settle".to_owned(),
            message,
        })
}

#[cfg(test)]
mod tests {
    use super::super::jobs::{Work, jobs};
    use super::super::testing::{Fake, packing, units};
    use super::*;

    fn timeout() -> TaskState {
        TaskState::Failed(Cause::Timeout, "TIMEOUT".to_owned())
    }

    #[test]
    fn what_ran_out_of_time_or_memory_is_submitted_once_more_with_twice_the_request() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let fake = Fake::default();
        let all = jobs(&units(), "t", packing());
        submit(&fake, &all, &Work::default(), root, &[], BTreeMap::new()).unwrap();
        assert_eq!(fake.submitted.borrow()[3].1, ["2", "3"]);
        // a base that ran out of time, and a slice that failed by itself
        fake.tell("1", 0, timeout());
        fake.tell("1", 1, TaskState::Completed);
        fake.tell("3", 0, TaskState::Failed(Cause::Error, "FAILED".to_owned()));
        let settled = settle(&fake, root).unwrap();
        assert_eq!(settled.again, [("6".to_owned(), 1)]);
        assert_eq!(settled.failed.len(), 2);
        let again = fake.submitted.borrow()[5].0.clone();
        assert_eq!(again.tasks, [["base-0a"]]);
        assert_eq!(again.request, all[0].request.doubled());
        // what needs bases waits for the second attempt
        let waiting = ["2", "3"].map(str::to_owned).to_vec();
        assert_eq!(*fake.delayed.borrow(), [(waiting, vec!["6".to_owned()])]);
        let id = "base-0a".parse().unwrap();
        let told = report::read(root, &id).unwrap();
        assert_eq!(
            (told.state, told.cause),
            (State::Failed, Some(Cause::Timeout))
        );
        // told again, it is not submitted a third time, whatever became of the second
        assert_eq!(settle(&fake, root).unwrap().again, []);
        fake.tell("6", 0, timeout());
        assert_eq!(settle(&fake, root).unwrap().again, []);
        assert_eq!(fake.submitted.borrow().len(), 6);
    }

    #[test]
    fn what_was_done_before_its_task_ended_has_not_failed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let fake = Fake::default();
        let all = jobs(&units(), "t", packing());
        submit(&fake, &all, &Work::default(), root, &[], BTreeMap::new()).unwrap();
        let id: UnitId = "tune-0a".parse().unwrap();
        let done = UnitReport {
            state: State::Done,
            ..UnitReport::new(&id, "")
        };
        done.write(root, &id).unwrap();
        fake.tell("2", 0, timeout());
        let settled = settle(&fake, root).unwrap();
        let failed: Vec<&str> = settled
            .failed
            .iter()
            .map(|(unit, ..)| unit.as_str())
            .collect();
        assert_eq!(failed, ["tune-0b"]);
    }

    #[test]
    fn an_engine_that_refuses_is_no_submission() {
        let folder = tempfile::tempdir().unwrap();
        let fake = Fake {
            refuses: Some("no such partition"),
            ..Fake::default()
        };
        let all = jobs(&units(), "t", packing());
        let work = Work::default();
        let error = submit(&fake, &all, &work, folder.path(), &[], BTreeMap::new()).unwrap_err();
        assert!(error.to_string().contains("no such partition"), "{error}");
        assert_eq!(ledger::read(folder.path()), []);
    }
}
