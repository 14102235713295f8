//! Tasks that ended otherwise than well: why, in the units' reports; and once more what ran out of time or memory, with
//! twice of both, or lost its place or its node.

use std::collections::BTreeMap;
use std::path::Path;

use super::engine::{Engine, EngineError, Task, TaskState};
use super::jobs::Job;
use super::ledger::{self, Claim, Entry, Submitted};
use super::submit::{fitted, submit};
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

/// Asks the engine about the jobs in `jobs/` of the results, notes why units failed, and submits once more what ran out of
/// time or memory in its first attempt, with twice the request, and what lost its place or its node, with the same; jobs
/// that need these wait for them. Any number of processes may do so at a time: each unit is submitted by one of them.
///
/// # Errors
/// What the engine or the file system answers.
pub fn settle(engine: &dyn Engine, root: &Path) -> Result<Settled, EngineError> {
    let entries = ledger::of(root, engine.name());
    let tasks = engine.tasks(&ledger::ids(&entries))?;
    let mut settled = Settled::default();
    for entry in &entries {
        for (index, submitted) in entry.jobs.iter().enumerate() {
            let failures = failures(engine, root, entry, submitted, &tasks);
            for failure in &failures {
                note(root, failure, submitted)?;
            }
            if submitted.job.attempt == 1 {
                for job in again(root, submitted, &failures)? {
                    let made = once_more(engine, root, entry, index, job)?;
                    settled.again.extend(made);
                }
            }
            let told = |failure: Failure| (failure.unit, failure.cause, failure.word);
            settled.failed.extend(failures.into_iter().map(told));
        }
    }
    Ok(settled)
}

/// A unit of a task that ended otherwise than well and that is not done.
struct Failure {
    unit: String,
    /// The task's number in its job.
    task: usize,
    cause: Cause,
    word: String,
    /// Whether the unit's own report says why it failed.
    is_reported: bool,
}

/// The units of a job that failed.
fn failures(
    engine: &dyn Engine,
    root: &Path,
    entry: &Entry,
    submitted: &Submitted,
    tasks: &[Task],
) -> Vec<Failure> {
    let mut found = Vec::new();
    for task in tasks.iter().filter(|task| task.job == submitted.id) {
        let TaskState::Failed(cause, word) = &task.state else {
            continue;
        };
        let Some(units) = submitted.job.tasks.get(task.index) else {
            continue;
        };
        // the engine's messages tell what its accounting may have missed
        let told = match cause {
            Cause::Timeout | Cause::OutOfMemory => None,
            _ => engine.told(
                &submitted.job,
                &submitted.id,
                task.index,
                &ledger::folder(root),
            ),
        };
        let (cause, word) = match told {
            Some((cause, message)) => (cause, format!("{message}; {word}")),
            None => (*cause, word.clone()),
        };
        for unit in units {
            let id = unit.parse::<UnitId>();
            let told = id.ok().and_then(|id| report::read(root, &id));
            if told.as_ref().is_some_and(|told| told.state == State::Done) {
                continue;
            }
            let own = told.filter(|told| entry.is_followed_by(told) && told.state == State::Failed);
            let own = own.filter(|told| matches!(told.cause, Some(Cause::Error | Cause::Blocked)));
            let is_reported = own.is_some();
            let (cause, word) = match own {
                Some(told) => (
                    told.cause.unwrap_or(Cause::Error),
                    told.message.unwrap_or_else(|| word.clone()),
                ),
                None => (cause, word.clone()),
            };
            found.push(Failure {
                unit: unit.clone(),
                task: task.index,
                cause,
                word,
                is_reported,
            });
        }
    }
    found
}

/// The jobs that do what failed of a job once more, with the claims on their units: the units of a task stay together.
fn again(
    root: &Path,
    submitted: &Submitted,
    failures: &[Failure],
) -> Result<Vec<(Job, Vec<Claim>)>, EngineError> {
    let mut jobs = Vec::new();
    for (causes, factor) in [
        ([Cause::Timeout, Cause::OutOfMemory], 2.0),
        ([Cause::Preempted, Cause::NodeFail], 1.0),
    ] {
        let mut tasks: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let mut claims = Vec::new();
        for failure in failures.iter().filter(|f| causes.contains(&f.cause)) {
            if let Some(claim) = Claim::take(root, &submitted.id, &failure.unit)? {
                claims.push(claim);
                let units = tasks.entry(failure.task).or_default();
                units.push(failure.unit.clone());
            }
        }
        if tasks.is_empty() {
            continue;
        }
        let tasks: Vec<Vec<String>> = tasks.into_values().collect();
        // the units are this process's alone, and so is the name
        let units = tasks.concat().join(",");
        let name = blake3::hash(format!("{},{units}", submitted.id).as_bytes()).to_hex();
        let job = Job {
            name: format!("{}-again-{}", submitted.job.name, &name[..8]),
            request: submitted.job.request.times(factor),
            attempt: 2,
            after: Vec::new(),
            needs: vec![Vec::new(); tasks.len()],
            tasks,
            kind: submitted.job.kind.clone(),
        };
        jobs.push((job, claims));
    }
    Ok(jobs)
}

/// Submits a second attempt, for which the jobs wait that need the first; returns its id and the number of its units.
fn once_more(
    engine: &dyn Engine,
    root: &Path,
    entry: &Entry,
    index: usize,
    (job, claims): (Job, Vec<Claim>),
) -> Result<Vec<(String, usize)>, EngineError> {
    let jobs = fitted(engine, std::slice::from_ref(&job), &entry.work);
    let made = submit(engine, &jobs, &entry.work, root, &[], BTreeMap::new());
    let made = made.inspect_err(|_| claims.into_iter().for_each(Claim::release))?;
    let waiting = entry.jobs.iter();
    let waiting = waiting.filter(|other| other.job.after.contains(&index));
    let waiting: Vec<String> = waiting.map(|other| other.id.clone()).collect();
    let ids = ledger::ids(std::slice::from_ref(&made));
    engine.delay(&waiting, &ids)?;
    let units = jobs.iter().map(|job| job.tasks.iter().map(Vec::len).sum());
    Ok(ids.into_iter().zip(units).collect())
}

/// Writes why a unit failed, unless it said so itself.
fn note(root: &Path, failure: &Failure, submitted: &Submitted) -> Result<(), EngineError> {
    let (false, Ok(id)) = (failure.is_reported, failure.unit.parse::<UnitId>()) else {
        return Ok(());
    };
    let told = report::read(root, &id);
    let report = UnitReport {
        state: State::Failed,
        cause: Some(failure.cause),
        message: Some(format!(
            "{}, job {}_{}, attempt {}",
            failure.word, submitted.id, failure.task, submitted.job.attempt
        )),
        ..told.unwrap_or_else(|| UnitReport::new(&id, &environment::now()))
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

    /// A folder of results whose jobs were submitted to a fake engine.
    fn submitted() -> (tempfile::TempDir, Fake, Vec<Job>) {
        let folder = tempfile::tempdir().unwrap();
        let fake = Fake::default();
        let all = jobs(&units(), "t", packing());
        let work = Work::default();
        submit(&fake, &all, &work, folder.path(), &[], BTreeMap::new()).unwrap();
        (folder, fake, all)
    }

    fn timeout() -> TaskState {
        TaskState::Failed(Cause::Timeout, "TIMEOUT".to_owned())
    }

    #[test]
    fn what_ran_out_of_time_or_memory_is_submitted_once_more_with_twice_the_request() {
        let (folder, fake, all) = submitted();
        let root = folder.path();
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
        assert_eq!(again.request, all[0].request.times(2.0));
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
        // the other base later: another job, with files of its own
        fake.tell("1", 1, timeout());
        assert_eq!(settle(&fake, root).unwrap().again, [("7".to_owned(), 1)]);
        let names = |index: usize| fake.submitted.borrow()[index].0.name.clone();
        assert!(names(5).starts_with("t-base-again-") && names(6).starts_with("t-base-again-"));
        assert_ne!(names(5), names(6));
    }

    #[test]
    fn what_lost_its_node_is_submitted_once_more_with_the_same_request() {
        let (folder, fake, all) = submitted();
        let root = folder.path();
        let lost = TaskState::Failed(Cause::NodeFail, "NODE_FAIL".to_owned());
        fake.tell("2", 0, lost);
        assert_eq!(settle(&fake, root).unwrap().again, [("6".to_owned(), 2)]);
        let again = fake.submitted.borrow()[5].0.clone();
        // both units of the task in one
        assert_eq!(again.tasks, [["tune-0a", "tune-0b"]]);
        assert_eq!(again.request, all[1].request);
    }

    #[test]
    fn a_unit_is_submitted_again_by_one_of_many_processes() {
        let (folder, ..) = submitted();
        let root = folder.path();
        let made: usize = std::thread::scope(|scope| {
            let settling = || {
                let fake = Fake::default();
                fake.tell("1", 0, timeout());
                fake.tell("3", 1, timeout());
                settle(&fake, root).unwrap().again.len()
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(settling)).collect();
            all.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(made, 2);
    }

    #[test]
    fn a_second_attempt_that_is_refused_may_be_made_later() {
        let (folder, fake, _) = submitted();
        let root = folder.path();
        fake.tell("1", 0, timeout());
        let refusing = Fake {
            refuses: Some("limit of jobs"),
            tasks: fake.tasks.clone(),
            ..Fake::default()
        };
        settle(&refusing, root).unwrap_err();
        assert_eq!(settle(&fake, root).unwrap().again.len(), 1);
    }

    #[test]
    fn a_unit_that_failed_by_itself_before_its_task_ran_out_of_time_is_not_done_again() {
        let (folder, fake, _) = submitted();
        let root = folder.path();
        let id: UnitId = "tune-0a".parse().unwrap();
        let failed = UnitReport {
            state: State::Failed,
            cause: Some(Cause::Error),
            message: Some("no convergence".to_owned()),
            ..UnitReport::new(&id, "2999-01-01T00:00:00Z")
        };
        failed.write(root, &id).unwrap();
        fake.tell("2", 0, timeout());
        settle(&fake, root).unwrap();
        assert_eq!(fake.submitted.borrow()[5].0.tasks, [["tune-0b"]]);
        assert_eq!(report::read(root, &id), Some(failed));
        // a report of before the submission is not about it
        let old = UnitReport::new(&id, "2000-01-01T00:00:00Z");
        old.write(root, &id).unwrap();
        let settled = settle(&fake, root).unwrap();
        assert!(
            settled
                .failed
                .iter()
                .any(|(unit, cause, _)| unit == "tune-0a" && *cause == Cause::Timeout)
        );
    }

    #[test]
    fn what_was_done_before_its_task_ended_has_not_failed() {
        let (folder, fake, _) = submitted();
        let root = folder.path();
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
