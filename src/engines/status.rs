//! Where everything stands: from the files in the folder of the results, and from the engine where it can be asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::engine::{Engine, Task, TaskState};
use super::ledger::{self, Entry};
use crate::runner::units::report::{self, State, UnitReport};
use crate::runner::units::{Kind, UnitId};

/// Where a unit stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Done, in so many seconds.
    Done(f64),
    /// At work: where.
    Running(String),
    /// Not started: why.
    Waiting(String),
    /// Failed: why.
    Failed(String),
}

/// Where the units of all submissions stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// By unit, in the order of the submissions.
    pub units: Vec<(UnitId, Standing)>,
    /// Seconds to go, where there is something to tell it from.
    pub seconds: Option<f64>,
    /// Tasks that the engine itself started again, and how their earlier attempts ended.
    pub again: Vec<(String, Vec<String>)>,
    /// Why the engine could not be asked.
    pub unasked: Option<String>,
}

/// Looks at the files in `root`, and asks `engine` when there is one.
pub fn status(engine: Option<&dyn Engine>, root: &Path) -> Status {
    let entries = ledger::read(root);
    let mut status = Status::default();
    let mut tasks = None;
    if let Some(engine) = engine {
        let ids = ledger::ids(&ledger::of(root, engine.name()));
        match engine.tasks(&ids) {
            Ok(found) => tasks = Some(found),
            Err(error) => status.unasked = Some(error.to_string()),
        }
    }
    let mut standings: BTreeMap<UnitId, Standing> = BTreeMap::new();
    let mut order = Vec::new();
    for entry in &entries {
        for submitted in &entry.jobs {
            for (index, units) in submitted.job.tasks.iter().enumerate() {
                let task = tasks.as_ref().and_then(|tasks: &Vec<Task>| {
                    let own = |task: &&Task| task.job == submitted.id && task.index == index;
                    tasks.iter().find(own)
                });
                if let Some(task) = task.filter(|task| !task.before.is_empty()) {
                    let name = format!("{}_{index} ({})", submitted.id, submitted.job.name);
                    status.again.push((name, task.before.clone()));
                }
                for unit in units.iter().filter_map(|unit| unit.parse::<UnitId>().ok()) {
                    let told = report::read(root, &unit);
                    let told =
                        told.filter(|told| told.state == State::Done || entry.is_followed_by(told));
                    let found = standing(told.as_ref(), task.map(|task| &task.state));
                    if standings.insert(unit.clone(), found).is_none() {
                        order.push(unit);
                    }
                }
            }
        }
    }
    status.seconds = left(&entries, &standings);
    let of = |unit: UnitId| {
        let standing = standings[&unit].clone();
        (unit, standing)
    };
    status.units = order.into_iter().map(of).collect();
    status
}

/// A unit by its own report and by what the engine says of its task; a later submission has the last word.
fn standing(told: Option<&UnitReport>, task: Option<&TaskState>) -> Standing {
    if let Some(told) = told.filter(|told| told.state == State::Done) {
        return Standing::Done(told.seconds);
    }
    let running = told.filter(|told| told.state == State::Running);
    let place = running.map(|told| format!("on {} since {}", told.host, told.started));
    let failed = told.filter(|told| told.state == State::Failed);
    match (task, place) {
        (Some(TaskState::Running(_)), Some(place)) => Standing::Running(place),
        // its task is at work on another of its units
        (Some(TaskState::Running(node)), None) => match failed {
            Some(told) => Standing::Failed(reason(told)),
            None => Standing::Waiting(format!("its task runs on {node}")),
        },
        (Some(TaskState::Waiting(why)), _) => Standing::Waiting(why.clone()),
        (Some(TaskState::Failed(_, word)), _) => {
            Standing::Failed(failed.map_or_else(|| word.clone(), reason))
        }
        (_, _) if failed.is_some() => Standing::Failed(failed.map_or_else(String::new, reason)),
        (None, Some(place)) => Standing::Running(place),
        (Some(TaskState::Completed), _) => {
            Standing::Failed("its task ended and left nothing".to_owned())
        }
        (None, None) => Standing::Waiting("not started".to_owned()),
    }
}

fn reason(told: &UnitReport) -> String {
    let message = told.message.as_deref().unwrap_or("no reason recorded");
    match &told.job {
        Some(job) => format!("{message} (job {job} on {})", told.host),
        None => message.to_owned(),
    }
}

/// Seconds until all that can be done is: what is left by forecast, corrected by what units of their kind took, over
/// the tasks that run now.
fn left(entries: &[Entry], standings: &BTreeMap<UnitId, Standing>) -> Option<f64> {
    let mut forecast: BTreeMap<&str, f64> = BTreeMap::new();
    for entry in entries {
        forecast.extend(entry.seconds.iter().map(|(unit, s)| (unit.as_str(), *s)));
    }
    let mut total = 0.0;
    let mut running = 0;
    for kind in Kind::ALL {
        let (mut measured, mut expected, mut open) = (0.0, 0.0, 0.0);
        for (unit, standing) in standings.iter().filter(|(unit, _)| unit.kind == kind) {
            let seconds = forecast.get(unit.to_string().as_str()).copied()?;
            match standing {
                Standing::Done(took) => {
                    measured += took;
                    expected += seconds;
                }
                Standing::Running(_) => {
                    running += 1;
                    open += seconds;
                }
                Standing::Waiting(_) => open += seconds,
                Standing::Failed(_) => {}
            }
        }
        let scale = if expected > 0.0 && measured > 0.0 {
            measured / expected
        } else {
            1.0
        };
        total += scale * open;
    }
    Some(total / f64::from(running.max(1)))
}

impl Status {
    /// Units that failed.
    pub fn failed(&self) -> usize {
        let failed = |(_, standing): &&(UnitId, Standing)| matches!(standing, Standing::Failed(_));
        self.units.iter().filter(failed).count()
    }

    /// Whether nothing runs and nothing waits.
    pub fn has_ended(&self) -> bool {
        self.units
            .iter()
            .all(|(_, standing)| matches!(standing, Standing::Done(_) | Standing::Failed(_)))
    }

    /// For a reader: counts a kind, then what runs and what failed.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for kind in Kind::ALL {
            let own = self.units.iter().filter(|(unit, _)| unit.kind == kind);
            let mut counts = [0; 4];
            let mut all = 0;
            for (_, standing) in own {
                all += 1;
                counts[match standing {
                    Standing::Done(_) => 0,
                    Standing::Running(_) => 1,
                    Standing::Waiting(_) => 2,
                    Standing::Failed(_) => 3,
                }] += 1;
            }
            if all > 0 {
                let [done, running, waiting, failed] = counts;
                let _ = writeln!(
                    text,
                    "{:8} {done:>5} done {running:>5} running {waiting:>5} waiting {failed:>5} failed",
                    kind.name()
                );
            }
        }
        for (unit, standing) in &self.units {
            let _ = match standing {
                Standing::Running(place) => writeln!(text, "{unit}: running {place}"),
                Standing::Failed(why) => writeln!(text, "{unit}: FAILED: {why}"),
                _ => Ok(()),
            };
        }
        for (task, before) in &self.again {
            let _ = writeln!(text, "{task}: started again after {}", before.join(", "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::jobs::{Work, jobs};
    use super::super::submit::submit;
    use super::super::testing::{Fake, packing, units};
    use super::*;
    use crate::runner::units::report::Cause;

    #[test]
    fn units_are_done_running_waiting_or_failed_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let fake = Fake::default();
        let units = units();
        let all = jobs(&units, "t", packing());
        let seconds = units
            .iter()
            .map(|u| (u.id.to_string(), u.cost.seconds))
            .collect();
        submit(&fake, &all, &Work::default(), root, &[], seconds).unwrap();
        let [first, second] = ["base-0a", "base-0b"].map(|id| id.parse::<UnitId>().unwrap());
        let told = |state, seconds| UnitReport {
            state,
            seconds,
            ..UnitReport::new(&first, "2999-01-01T00:00:00Z")
        };
        // twice as slow as forecast
        told(State::Done, 80.0).write(root, &first).unwrap();
        told(State::Running, 0.0).write(root, &second).unwrap();
        fake.tell("1", 0, TaskState::Completed);
        fake.tell("1", 1, TaskState::Running("n2".to_owned()));
        fake.tell(
            "3",
            0,
            TaskState::Failed(Cause::NodeFail, "NODE_FAIL".to_owned()),
        );
        fake.tell("3", 1, TaskState::Waiting("Dependency".to_owned()));
        let found = status(Some(&fake), root);
        let of = |index: usize| found.units[index].1.clone();
        assert_eq!(of(0), Standing::Done(80.0));
        assert!(matches!(of(1), Standing::Running(_)));
        assert_eq!(of(4), Standing::Failed("NODE_FAIL".to_owned()));
        assert_eq!(of(5), Standing::Waiting("Dependency".to_owned()));
        assert_eq!((found.failed(), found.has_ended()), (1, false));
        // 80 s of the running base, and 20 + 60 + 10 + 1 s by forecast, at one task
        assert_eq!(found.seconds, Some(171.0));
        assert!(
            found
                .text()
                .contains(&format!("{:8} {:>5} done {:>5} running", "base", 1, 1)),
            "{}",
            found.text()
        );
        // what is there without an engine
        let alone = status(None, root);
        assert!(matches!(alone.units[1].1, Standing::Running(_)));
        assert!(matches!(alone.units[4].1, Standing::Waiting(_)));
    }
}
