//! HyperQueue: all jobs that are submitted together are one HyperQueue job, whose tasks depend on one another, written
//! as a job definition file in TOML.
//!
//! A task that fails ends those that need it, collecting included, and holds up nobody else. Time limits are HyperQueue's own; memory is a
//! resource that workers have to declare (`--resource mem=sum(…)`, in MiB), and nobody watches it. A worker that is lost has its
//! tasks done by another. `infbench submit` again submits what is missing.

use std::path::Path;

use serde_json::Value;

use super::engine::{Engine, EngineError, Placed, Task, TaskState, command, quoted};
use super::jobs::{Job, Work};
use crate::runner::units::report::Cause;

/// The command of HyperQueue.
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperQueue;

const NAME: &str = "hq";
/// The file of a submission, after the name of its first job.
const ENDING: &str = ".hq.toml";

fn run(arguments: &[&str]) -> Result<String, EngineError> {
    let arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
    command(NAME, "hq", &arguments)
}

/// A text in TOML: basic strings are escaped as in JSON.
fn toml(text: &str) -> String {
    Value::from(text).to_string()
}

fn file_name(jobs: &[Job]) -> String {
    let first = jobs.first().map_or("none", |job| job.name.as_str());
    format!("{first}{ENDING}")
}

/// Number of a task among all of its submission.
fn number(jobs: &[Job], job: usize, task: usize) -> usize {
    jobs[..job].iter().map(|job| job.tasks.len()).sum::<usize>() + task
}

/// The definition of some jobs.
fn definition(jobs: &[Job], work: &Work) -> String {
    let name = jobs.first().map_or("none", |job| job.name.as_str());
    let mut text = format!("name = {}\n", toml(&format!("infbench-{name}")));
    let words: Vec<String> = work.command.iter().map(|word| quoted(word)).collect();
    for (j, job) in jobs.iter().enumerate() {
        for (t, units) in job.tasks.iter().enumerate() {
            let id = number(jobs, j, t);
            let output = |ending| format!("{}/logs/{}.{t}.{ending}", work.folder, job.name);
            let preamble = work.preamble.trim_end();
            let shell = format!(
                "{preamble}{}exec {} --unit {}",
                if preamble.is_empty() { "" } else { "\n" },
                words.join(" "),
                units.join(",")
            );
            let needs = job.needs[t].iter();
            let needs: Vec<String> = needs
                .map(|&(j, t)| number(jobs, j, t).to_string())
                .collect();
            text += &format!(
                "\n[[task]]\nid = {id}\ncommand = [\"/bin/bash\", \"-c\", {}]\ncwd = {}\nstdout = {}\nstderr = {}\ntime_limit = \"{}m\"\n",
                toml(&shell),
                toml(&work.directory),
                toml(&output("out")),
                toml(&output("err")),
                job.request.minutes(),
            );
            if !needs.is_empty() {
                text += &format!("deps = [{}]\n", needs.join(", "));
            }
            text += &format!(
                "[task.env]\nINFBENCH_JOB = {}\n[[task.request]]\nresources = {{ \"cpus\" = {}{} }}\n",
                toml(&format!("{}.{t}", job.name)),
                job.request.cpus,
                match job.request.gpus {
                    0 => String::new(),
                    gpus => format!(", \"gpus/nvidia\" = {gpus}"),
                }
            );
        }
    }
    text
}

impl Engine for HyperQueue {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, jobs: &[Job], work: &Work) -> Vec<(String, String)> {
        vec![(file_name(jobs), definition(jobs, work))]
    }

    /// One HyperQueue job; ours are known by its id and their first task and number of tasks, `7:0+12`.
    fn submit(
        &self,
        jobs: &[Job],
        folder: &Path,
        _: &[String],
    ) -> Result<Vec<Placed>, EngineError> {
        let file = folder.join(file_name(jobs)).display().to_string();
        let answer = run(&["job", "submit-file", &file, "--output-mode", "quiet"])?;
        let id = answer.trim();
        if id.is_empty() || !id.chars().all(|c| c.is_ascii_digit()) {
            return Err(EngineError::Answer {
                command: "hq job submit-file".to_owned(),
                answer,
            });
        }
        let of_job = |(index, job): (usize, &Job)| Placed {
            id: format!("{id}:{}+{}", number(jobs, index, 0), job.tasks.len()),
            beside: Vec::new(),
        };
        Ok(jobs.iter().enumerate().map(of_job).collect())
    }

    fn tasks(&self, ids: &[String]) -> Result<Vec<Task>, EngineError> {
        let mut found = Vec::new();
        let mut told: Option<(String, Vec<(usize, TaskState)>)> = None;
        for id in ids {
            let Some((job, first, count)) = parts(id) else {
                continue;
            };
            if told.as_ref().is_none_or(|(known, _)| known != job) {
                let text = run(&["task", "list", job, "--output-mode", "json"])?;
                told = Some((job.to_owned(), states(&text)?));
            }
            let states = told.iter().flat_map(|(_, states)| states);
            let own = states.filter(|(task, _)| (first..first + count).contains(task));
            found.extend(own.map(|(task, state)| Task {
                job: id.clone(),
                index: task - first,
                state: state.clone(),
                before: Vec::new(),
            }));
        }
        Ok(found)
    }

    /// Tasks that need one that failed have ended with it: there is nothing to delay.
    fn delay(&self, _: &[String], _: &[String]) -> Result<(), EngineError> {
        Ok(())
    }

    fn cancel(&self, ids: &[String]) -> Result<(), EngineError> {
        let mut jobs: Vec<&str> = ids.iter().filter_map(|id| Some(parts(id)?.0)).collect();
        jobs.dedup();
        jobs.iter()
            .try_for_each(|&job| run(&["job", "cancel", job]).map(drop))
    }
}

/// HyperQueue's job, the first task and the number of tasks of an id of ours.
fn parts(id: &str) -> Option<(&str, usize, usize)> {
    let (job, tasks) = id.split_once(':')?;
    let (first, count) = tasks.split_once('+')?;
    Some((job, first.parse().ok()?, count.parse().ok()?))
}

/// Where tasks stand, from `hq task list JOB --output-mode json`: a list of tasks of each job.
fn states(text: &str) -> Result<Vec<(usize, TaskState)>, EngineError> {
    let wrong = || EngineError::Answer {
        command: "hq task list".to_owned(),
        answer: crate::input::quote(text),
    };
    let value: Value = serde_json::from_str(text).map_err(|_| wrong())?;
    let lists = value.as_object().ok_or_else(wrong)?;
    let tasks = lists.values().filter_map(Value::as_array).flatten();
    let of_task = |task: &Value| {
        let id = usize::try_from(task["id"].as_u64()?).ok()?;
        let error = || task["error"].as_str().unwrap_or("failed").to_owned();
        let state = match task["state"].as_str()? {
            "finished" => TaskState::Completed,
            "running" => TaskState::Running(task["worker"].to_string()),
            "waiting" => TaskState::Waiting("waiting".to_owned()),
            "canceled" => TaskState::Failed(Cause::Cancelled, "canceled".to_owned()),
            _ if error().contains("ime limit") => TaskState::Failed(Cause::Timeout, error()),
            _ => TaskState::Failed(Cause::Error, error()),
        };
        Some((id, state))
    };
    Ok(tasks.filter_map(of_task).collect())
}

#[cfg(test)]
mod tests {
    use super::super::jobs::jobs;
    use super::super::testing::{packing, units};
    use super::*;

    #[test]
    fn tasks_depend_on_those_that_make_what_they_need() {
        let jobs = jobs(&units(), "t", packing());
        let work = Work {
            command: ["infbench", "run", "a \"b\".yaml"]
                .map(str::to_owned)
                .to_vec(),
            preamble: "module load gcc".to_owned(),
            folder: "/my.output/jobs".to_owned(),
            ..Work::default()
        };
        let text = definition(&jobs, &work);
        let blocks: Vec<&str> = text.split("\n[[task]]\n").collect();
        assert_eq!(blocks.len(), 1 + 2 + 1 + 2 + 1 + 1);
        let of = |id: usize| blocks[id + 1];
        assert!(!of(0).contains("deps"));
        assert!(of(2).contains("deps = [0, 1]\n"), "{}", of(2));
        assert!(of(3).contains("deps = [0]\n"));
        // scores of both cells need the fine-tunes and the slices of the first
        assert!(of(5).contains("deps = [2, 3, 4]\n"), "{}", of(5));
        assert!(of(6).contains("deps = [5]\n"));
        let shell = r#""module load gcc\nexec infbench run 'a \"b\".yaml' --unit base-0a""#;
        assert!(of(0).contains(shell), "{}", of(0));
        for (stream, ending) in [("stdout", "out"), ("stderr", "err")] {
            let line = format!("{stream} = \"/my.output/jobs/logs/t-base.0.{ending}\"");
            assert!(of(0).contains(&line), "{}", of(0));
        }
        assert!(of(0).contains(r#""gpus/nvidia" = 1"#) && !of(6).contains("gpus"));
    }

    #[test]
    fn answers_of_hyperqueue_are_read() {
        let text = r#"{"7": [
            {"id": 0, "state": "finished"},
            {"id": 1, "state": "failed", "error": "Time limit reached"},
            {"id": 2, "state": "waiting"}]}"#;
        let found = states(text).unwrap();
        assert_eq!(found[0], (0, TaskState::Completed));
        let timeout = TaskState::Failed(Cause::Timeout, "Time limit reached".to_owned());
        assert_eq!(found[1], (1, timeout));
        assert!(states("no").is_err());
        assert_eq!(parts("7:3+12"), Some(("7", 3, 12)));
    }
}
