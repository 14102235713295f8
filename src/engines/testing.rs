//! Units of a small plan, and an engine without a cluster.

use std::cell::RefCell;
use std::path::Path;

use super::engine::{Engine, EngineError, Placed, Task, TaskState};
use super::jobs::{Job, Packing, Work};
use crate::runner::forecast::Cost;
use crate::runner::units::{Kind, Unit, UnitId};

pub(super) fn packing() -> Packing {
    Packing {
        task_seconds: 60.0,
        margin: 2.0,
        least_seconds: 30.0,
        least_memory: 1e6,
        seconds: None,
        memory: None,
        cpus: 1,
        gpus: 1,
    }
}

fn unit(id: UnitId, seconds: f64, needs: &[&UnitId]) -> Unit {
    Unit {
        on_device: id.kind != Kind::Collect,
        id,
        cells: vec![0],
        needs: needs.iter().map(|id| (*id).clone()).collect(),
        cost: Cost {
            seconds,
            memory: 1e8,
            ..Cost::default()
        },
        done: false,
    }
}

/// Two cells: two bases of 40 s, two fine-tunes of 10 s, a retraining in two slices of 60 s, scores, collection.
pub(super) fn units() -> Vec<Unit> {
    let base = ["0a", "0b"].map(|cell| UnitId::new(Kind::Base, cell));
    let tune = ["0a", "0b"].map(|cell| UnitId::new(Kind::Tune, cell));
    let slice = [1, 2].map(|number| UnitId::slice("0a", number, 2));
    let score = ["0a", "0b"].map(|cell| UnitId::new(Kind::Score, cell));
    vec![
        unit(base[0].clone(), 40.0, &[]),
        unit(base[1].clone(), 40.0, &[]),
        unit(tune[0].clone(), 10.0, &[&base[0]]),
        unit(tune[1].clone(), 10.0, &[&base[1]]),
        unit(slice[0].clone(), 60.0, &[&base[0]]),
        unit(slice[1].clone(), 60.0, &[&base[0]]),
        unit(score[0].clone(), 5.0, &[&tune[0], &slice[0], &slice[1]]),
        unit(score[1].clone(), 5.0, &[&tune[1]]),
        unit(UnitId::collect(), 1.0, &[&score[0], &score[1]]),
    ]
}

/// Remembers what it is asked, and says of tasks what it was told.
#[derive(Default)]
pub(super) struct Fake {
    /// Names of submitted jobs, what their tasks may take and the jobs before them, by id (from 1).
    pub submitted: RefCell<Vec<(Job, Vec<String>)>>,
    /// Where the tasks stand.
    pub tasks: RefCell<Vec<Task>>,
    /// Jobs that were told to wait, and for which.
    pub delayed: RefCell<Vec<(Vec<String>, Vec<String>)>>,
    /// Jobs that were cancelled.
    pub cancelled: RefCell<Vec<String>>,
    /// The command that refuses.
    pub refuses: Option<&'static str>,
}

impl Fake {
    /// Sets where a task stands.
    pub(super) fn tell(&self, job: &str, index: usize, state: TaskState) {
        let mut tasks = self.tasks.borrow_mut();
        tasks.retain(|task| !(task.job == job && task.index == index));
        tasks.push(Task {
            job: job.to_owned(),
            index,
            state,
            before: Vec::new(),
        });
    }
}

impl Engine for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn files(&self, jobs: &[Job], _: &Work) -> Vec<(String, String)> {
        let file = |job: &Job| (format!("{}.txt", job.name), job.kind.clone());
        jobs.iter().map(file).collect()
    }

    fn submit(
        &self,
        jobs: &[Job],
        folder: &Path,
        after: &[String],
    ) -> Result<Vec<Placed>, EngineError> {
        if let Some(message) = self.refuses {
            return Err(EngineError::Failed {
                command: "submit".to_owned(),
                message: message.to_owned(),
            });
        }
        let mut ids: Vec<String> = Vec::new();
        for job in jobs {
            assert!(folder.join(format!("{}.txt", job.name)).is_file());
            let own = job.after.iter().map(|&index| ids[index].clone());
            let mut submitted = self.submitted.borrow_mut();
            submitted.push((job.clone(), after.iter().cloned().chain(own).collect()));
            ids.push(submitted.len().to_string());
        }
        let placed = ids.into_iter().map(|id| Placed {
            id,
            beside: Vec::new(),
        });
        Ok(placed.collect())
    }

    fn tasks(&self, ids: &[String]) -> Result<Vec<Task>, EngineError> {
        let tasks = self.tasks.borrow();
        let own = tasks.iter().filter(|task| ids.contains(&task.job));
        Ok(own.cloned().collect())
    }

    fn delay(&self, ids: &[String], after: &[String]) -> Result<(), EngineError> {
        self.delayed
            .borrow_mut()
            .push((ids.to_vec(), after.to_vec()));
        Ok(())
    }

    fn cancel(&self, ids: &[String]) -> Result<(), EngineError> {
        self.cancelled.borrow_mut().extend_from_slice(ids);
        Ok(())
    }
}
