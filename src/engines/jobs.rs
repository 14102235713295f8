//! The one description of jobs that every engine is handed.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::runner::units::{Kind, Unit, UnitId};

/// What a task of a job may take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Wall time, seconds.
    pub seconds: f64,
    /// Main memory, bytes; 0: all that a node has.
    pub memory: f64,
    /// Processor cores.
    pub cpus: u16,
    /// GPUs.
    pub gpus: u16,
}

impl Request {
    /// The same with so many times the time and the memory.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self {
            seconds: factor * self.seconds,
            memory: factor * self.memory,
            ..self
        }
    }

    /// Whole minutes, at least one.
    pub fn minutes(&self) -> u64 {
        (self.seconds / 60.0).ceil().max(1.0) as u64
    }

    /// Whole MiB; 0: all that a node has.
    pub fn mebibytes(&self) -> u64 {
        (self.memory / f64::from(1 << 20)).ceil() as u64
    }
}

/// Units of one kind, as one job with a task for every few of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its name, which its files have, too.
    pub name: String,
    /// Kind of its units, as ids begin.
    pub kind: String,
    /// The units of every task, in the order in which they run.
    pub tasks: Vec<Vec<String>>,
    /// What every task may take.
    pub request: Request,
    /// 1, or 2 for what ran out of time or memory.
    pub attempt: u32,
    /// Which of the jobs submitted together have to end before this one begins, by index.
    pub after: Vec<usize>,
    /// For every task, which tasks of those jobs it really needs, as (job, task): for engines that know dependencies
    /// between tasks.
    pub needs: Vec<Vec<(usize, usize)>>,
}

impl Job {
    /// Whether its tasks collect.
    pub fn collects(&self) -> bool {
        self.kind == Kind::Collect.name()
    }
}

/// What a task runs, and what the site wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// The program and its arguments up to `--unit`.
    pub command: Vec<String>,
    /// The program and its arguments that settle what failed, see [`super::settle`].
    pub settle: Vec<String>,
    /// Where it runs.
    pub directory: String,
    /// Where the engine's files and the output of the tasks go.
    pub folder: String,
    /// Lines of shell before the command: modules, environment.
    pub preamble: String,
    /// Slurm's partition.
    pub partition: Option<String>,
    /// Slurm's account.
    pub account: Option<String>,
    /// Slurm's constraint.
    pub constraint: Option<String>,
    /// Most tasks of a job at a time.
    pub array_limit: Option<usize>,
    /// Further options of sbatch, as (key, value).
    pub sbatch: Vec<(String, String)>,
}

/// How units become jobs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packing {
    /// Units are packed until a task takes about so many seconds.
    pub task_seconds: f64,
    /// Time and memory are requested as the forecast times this.
    pub margin: f64,
    /// Least request of time, seconds.
    pub least_seconds: f64,
    /// Least request of memory, bytes.
    pub least_memory: f64,
    /// Time that is requested whatever the forecast says, seconds.
    pub seconds: Option<f64>,
    /// Memory that is requested whatever the forecast says, bytes.
    pub memory: Option<f64>,
    /// Cores of a task.
    pub cpus: u16,
    /// GPUs of a task that computes with the model.
    pub gpus: u16,
}

/// The jobs of what is to do, each after those that it needs: one a kind of unit. Names begin with `name`.
pub fn jobs(units: &[Unit], name: &str, packing: Packing) -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    // where the units are that are in a job already
    let mut places: std::collections::HashMap<&UnitId, (usize, usize)> = Default::default();
    for kind in Kind::ALL {
        let todo: Vec<&Unit> = units
            .iter()
            .filter(|unit| unit.id.kind == kind && !unit.done)
            .collect();
        let tasks = pack(&todo, packing.task_seconds);
        if tasks.is_empty() {
            continue;
        }
        let seconds = |task: &Vec<&Unit>| task.iter().map(|unit| unit.cost.seconds).sum::<f64>();
        let longest = tasks.iter().map(seconds).fold(0.0, f64::max);
        let memory = todo.iter().map(|unit| unit.cost.memory).fold(0.0, f64::max);
        let on_device = todo.iter().any(|unit| unit.on_device);
        let mut after: Vec<usize> = Vec::new();
        let mut needs = Vec::new();
        for task in &tasks {
            let own = task.iter().flat_map(|unit| &unit.needs);
            let mut own: Vec<(usize, usize)> =
                own.filter_map(|id| places.get(id).copied()).collect();
            own.sort_unstable();
            own.dedup();
            after.extend(own.iter().map(|(job, _)| job));
            needs.push(own);
        }
        after.sort_unstable();
        after.dedup();
        for (index, task) in tasks.iter().enumerate() {
            places.extend(task.iter().map(|unit| (&unit.id, (jobs.len(), index))));
        }
        let ids = |task: &Vec<&Unit>| {
            let ids = task.iter().map(|unit| unit.id.to_string());
            ids.collect::<Vec<_>>()
        };
        jobs.push(Job {
            name: format!("{name}-{}", kind.name()),
            kind: kind.name().to_owned(),
            tasks: tasks.iter().map(ids).collect(),
            request: Request {
                seconds: packing
                    .seconds
                    .unwrap_or((packing.margin * longest).max(packing.least_seconds)),
                memory: packing
                    .memory
                    .unwrap_or((packing.margin * memory).max(packing.least_memory)),
                cpus: packing.cpus,
                gpus: if on_device { packing.gpus } else { 0 },
            },
            attempt: 1,
            after,
            needs,
        });
    }
    jobs
}

/// The same jobs with at most `most` tasks each: a longer one becomes several, `name-1`, `name-2`, …, which run one after
/// another when `in_turn`, so that a limit of tasks at a time holds over all of them.
pub fn cut(jobs: &[Job], most: usize, in_turn: bool) -> Vec<Job> {
    let mut parts: Vec<Job> = Vec::new();
    // the parts of every job
    let mut places: Vec<Range<usize>> = Vec::new();
    for job in jobs {
        let first = parts.len();
        let several = job.tasks.len() > most;
        let chunks = job.tasks.chunks(most).zip(job.needs.chunks(most));
        for (number, (tasks, needs)) in chunks.enumerate() {
            let mut after: Vec<usize> = job.after.iter().flat_map(|&j| places[j].clone()).collect();
            if in_turn && number > 0 {
                after.push(parts.len() - 1);
            }
            let of_part =
                |&(j, task): &(usize, usize)| (places[j].start + task / most, task % most);
            let needs = needs
                .iter()
                .map(|needs| needs.iter().map(of_part).collect());
            parts.push(Job {
                name: if several {
                    format!("{}-{}", job.name, number + 1)
                } else {
                    job.name.clone()
                },
                tasks: tasks.to_vec(),
                after,
                needs: needs.collect(),
                ..job.clone()
            });
        }
        places.push(first..parts.len());
    }
    parts
}

/// Consecutive units together until they take `seconds`.
fn pack<'u>(units: &[&'u Unit], seconds: f64) -> Vec<Vec<&'u Unit>> {
    let mut tasks: Vec<Vec<&Unit>> = Vec::new();
    let mut filled = f64::INFINITY;
    for &unit in units {
        if filled + unit.cost.seconds > seconds {
            tasks.push(Vec::new());
            filled = 0.0;
        }
        filled += unit.cost.seconds;
        tasks.last_mut().expect("there is one").push(unit);
    }
    tasks
}

#[cfg(test)]
mod tests {
    use super::super::testing::{packing, units};
    use super::*;

    #[test]
    fn short_units_are_packed_and_jobs_follow_their_needs() {
        let found = jobs(&units(), "t", packing());
        let names: Vec<&str> = found.iter().map(|job| job.name.as_str()).collect();
        assert_eq!(
            names,
            ["t-base", "t-tune", "t-retrain", "t-score", "t-collect"]
        );
        // 2 bases of 40 s in a task of 60 s; the slices are as long as a task
        let sizes = |job: &Job| job.tasks.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(&found[0]), [1, 1]);
        assert_eq!(sizes(&found[1]), [2]);
        assert_eq!(sizes(&found[2]), [1, 1]);
        assert_eq!(found[2].after, [0]);
        assert_eq!(found[3].after, [1, 2]);
        assert_eq!(found[3].needs[0], [(1, 0), (2, 0), (2, 1)]);
        assert_eq!(found[4].after, [3]);
        // the longest task times the margin, and the largest unit's memory
        assert_eq!(
            (found[0].request.seconds, found[0].request.memory),
            (80.0, 2e8)
        );
        assert_eq!(found[0].request.minutes(), 2);
        assert_eq!(found[0].request.mebibytes(), 191);
        assert_eq!((found[0].request.gpus, found[4].request.gpus), (1, 0));
        assert_eq!(found[4].request.seconds, 30.0);
    }

    #[test]
    fn a_long_job_becomes_several_that_keep_their_needs() {
        let whole = jobs(&units(), "t", packing());
        assert_eq!(cut(&whole, 2, true), whole);
        let found = cut(&whole, 1, true);
        let names: Vec<&str> = found.iter().map(|job| job.name.as_str()).collect();
        let expected = [
            "t-base-1",
            "t-base-2",
            "t-tune",
            "t-retrain-1",
            "t-retrain-2",
            "t-score",
            "t-collect",
        ];
        assert_eq!(names, expected);
        assert!(found.iter().all(|job| job.tasks.len() == 1));
        assert_eq!(found[1].tasks, [["base-0b"]]);
        // the second part of the bases waits for the first, the second slice for the bases and the first slice
        assert_eq!(
            (&found[1].after[..], &found[4].after[..]),
            (&[0][..], &[0, 1, 3][..])
        );
        assert_eq!(found[2].needs[0], [(0, 0), (1, 0)]);
        assert_eq!(found[5].needs[0], [(2, 0), (3, 0), (4, 0)]);
        assert_eq!(cut(&whole, 1, false)[1].after, [0; 0]);
    }

    #[test]
    fn time_and_memory_that_are_given_replace_the_forecast() {
        let given = Packing {
            seconds: Some(7200.0),
            memory: Some(0.0),
            ..packing()
        };
        let request = jobs(&units(), "t", given)[0].request;
        assert_eq!((request.minutes(), request.mebibytes()), (120, 0));
        assert_eq!(request.times(2.0).minutes(), 240);
    }

    #[test]
    fn what_is_done_is_not_submitted() {
        let mut units = units();
        units.iter_mut().for_each(|unit| unit.done = true);
        assert_eq!(jobs(&units, "t", packing()), []);
        units[0].done = false;
        let found = jobs(&units, "t", packing());
        assert_eq!((found.len(), found[0].tasks.len()), (1, 1));
    }
}
