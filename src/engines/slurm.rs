//! Slurm: a job is an array, its script a batch script; dependencies are `afterany`, so that a task that fails holds up
//! nobody else, and each unit looks itself whether what it needs is there.
//!
//! Beside every array stands a job with the dependency `afternotok`, which Slurm starts only when a task failed: it tells
//! the causes from sacct and submits again what ran out of time or memory (see [`super::settle`]).

use std::path::Path;

use super::engine::{Engine, EngineError, Task, command, quoted};
use super::jobs::{Job, Work};

mod accounting;

/// Tasks of an array where the configuration does not say: Slurm's `MaxArraySize` less one.
const MOST_TASKS: usize = 1000;

/// Ending of the names of jobs that settle.
const SETTLE: &str = "-settle";

/// The commands of Slurm.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slurm;

const NAME: &str = "slurm";

fn run(program: &str, arguments: &[String]) -> Result<String, EngineError> {
    command(NAME, program, arguments)
}

/// Requests in Slurm's words.
fn directives(job: &Job, work: &Work, tasks: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut add = |key: &str, value: String| all.push((key.to_owned(), value));
    add("job-name", format!("infbench-{}", job.name));
    let limit = work
        .array_limit
        .map_or_else(String::new, |n| format!("%{n}"));
    add("array", format!("{tasks}{limit}"));
    add("time", job.request.minutes().to_string());
    add("mem", format!("{}M", job.request.mebibytes()));
    add("ntasks", "1".to_owned());
    add("cpus-per-task", job.request.cpus.to_string());
    if job.request.gpus > 0 {
        add("gpus", job.request.gpus.to_string());
    }
    add(
        "output",
        format!("{}/logs/{}.%A_%a.out", work.folder, job.name),
    );
    add("open-mode", "append".to_owned());
    add("requeue", String::new());
    site(&mut all, work);
    all
}

/// What the site wants; an option that is given with `--sbatch` replaces ours.
fn site(all: &mut Vec<(String, String)>, work: &Work) {
    let own = [
        ("partition", &work.partition),
        ("account", &work.account),
        ("constraint", &work.constraint),
    ];
    for (key, value) in own {
        if let Some(value) = value {
            all.push((key.to_owned(), value.clone()));
        }
    }
    for (key, value) in &work.sbatch {
        all.retain(|(known, _)| known != key);
        all.push((key.clone(), value.clone()));
    }
}

fn header(directives: &[(String, String)]) -> String {
    let line = |(key, value): &(String, String)| match value.as_str() {
        "" => format!("#SBATCH --{key}\n"),
        value => format!("#SBATCH --{key}={value}\n"),
    };
    let lines: String = directives.iter().map(line).collect();
    format!("#!/bin/bash\n{lines}")
}

fn words(command: &[String]) -> String {
    let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

/// The batch script of an array with these task numbers.
fn script(job: &Job, work: &Work, tasks: &str) -> String {
    let list = format!("{}/{}.tasks", work.folder, job.name);
    format!(
        r#"{header}
# one line of the list for every task: its units
cd {directory} || exit 2
{preamble}units=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" {list})
{command} --unit "$units" &
work=$!
stopped=
trap 'stopped=1; kill -TERM "$work" 2>/dev/null' TERM USR1
code=
while [ -z "$code" ]; do
  wait "$work"; code=$?
  # a signal ended the wait and not the work
  if [ "$code" -gt 128 ] && kill -0 "$work" 2>/dev/null; then code=; fi
done
if [ -n "$stopped" ] && [ "$code" -gt 128 ]; then
  wait "$work"; again=$?
  [ "$again" = 127 ] || code=$again
fi
# 75: interrupted before it was done. Started again, unless the time is over
if [ "$code" = 75 ] && [ "$SECONDS" -lt {limit} ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"#,
        header = header(&directives(job, work, tasks)),
        directory = quoted(&work.directory),
        preamble = lines(&work.preamble),
        list = quoted(&list),
        command = words(&work.command),
        limit = 60 * job.request.minutes(),
    )
}

/// A preamble that ends with its line.
fn lines(preamble: &str) -> String {
    match preamble.trim_end() {
        "" => String::new(),
        text => format!("{text}\n"),
    }
}

/// The batch script that settles what failed of a job.
fn settling(job: &Job, work: &Work) -> String {
    let mut all = vec![
        (
            "job-name".to_owned(),
            format!("infbench-{}{SETTLE}", job.name),
        ),
        ("time".to_owned(), "10".to_owned()),
        ("mem".to_owned(), "256M".to_owned()),
        ("ntasks".to_owned(), "1".to_owned()),
        ("kill-on-invalid-dep".to_owned(), "yes".to_owned()),
        (
            "output".to_owned(),
            format!("{}/logs/{}{SETTLE}.%j.out", work.folder, job.name),
        ),
        ("open-mode".to_owned(), "append".to_owned()),
        ("requeue".to_owned(), String::new()),
    ];
    let time = all[1].clone();
    site(&mut all, work);
    // what the site says of arrays and sizes is not about this one
    all.retain(|(key, _)| !["time", "mem", "array", "gpus", "cpus-per-task"].contains(&&**key));
    all.push(time);
    all.push(("mem".to_owned(), "256M".to_owned()));
    format!(
        "{}\ncd {} || exit 2\n{}exec {}\n",
        header(&all),
        quoted(&work.directory),
        lines(&work.preamble),
        words(&work.settle),
    )
}

impl Slurm {
    /// Most tasks of an array here.
    fn most_tasks(self) -> usize {
        let told = run("scontrol", &["show".to_owned(), "config".to_owned()]);
        told.ok()
            .and_then(|text| accounting::max_array_size(&text))
            .map_or(MOST_TASKS, |size| size.saturating_sub(1).max(1))
    }

    fn sbatch(self, file: &Path, options: &[String]) -> Result<String, EngineError> {
        let mut arguments = vec!["--parsable".to_owned()];
        arguments.extend_from_slice(options);
        arguments.push(file.display().to_string());
        let answer = run("sbatch", &arguments)?;
        let id = answer.trim().split(';').next().unwrap_or_default();
        if !id.is_empty() && id.chars().all(|c| c.is_ascii_digit()) {
            return Ok(id.to_owned());
        }
        Err(EngineError::Answer {
            command: "sbatch".to_owned(),
            answer,
        })
    }
}

fn dependency(kind: &str, ids: &[String]) -> Option<String> {
    (!ids.is_empty()).then(|| format!("--dependency={kind}:{}", ids.join(":")))
}

/// The numbers of the tasks, at most `most` a range.
fn ranges(tasks: usize, most: usize) -> Vec<String> {
    let starts = (0..tasks).step_by(most);
    let range = |first: usize| format!("{first}-{}", (first + most).min(tasks) - 1);
    starts.map(range).collect()
}

impl Engine for Slurm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn files(&self, jobs: &[Job], work: &Work) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for job in jobs {
            let tasks: String = job
                .tasks
                .iter()
                .map(|units| units.join(",") + "\n")
                .collect();
            files.push((format!("{}.tasks", job.name), tasks));
            let all = format!("0-{}", job.tasks.len() - 1);
            files.push((format!("{}.sbatch", job.name), script(job, work, &all)));
            if settles(job) {
                files.push((format!("{}{SETTLE}.sbatch", job.name), settling(job, work)));
            }
        }
        files
    }

    fn submit(
        &self,
        jobs: &[Job],
        folder: &Path,
        after: &[String],
    ) -> Result<Vec<String>, EngineError> {
        let most = self.most_tasks();
        let mut ids: Vec<String> = Vec::new();
        // what a later job waits for: the arrays and what settles them
        let mut ends: Vec<Vec<String>> = Vec::new();
        for job in jobs {
            let before = job.after.iter().flat_map(|&index| ends[index].clone());
            let before: Vec<String> = after.iter().cloned().chain(before).collect();
            let file = folder.join(format!("{}.sbatch", job.name));
            let mut arrays = Vec::new();
            for range in ranges(job.tasks.len(), most) {
                let mut options: Vec<String> =
                    dependency("afterany", &before).into_iter().collect();
                if job.tasks.len() > most {
                    options.push(format!("--array={range}"));
                }
                arrays.push(self.sbatch(&file, &options)?);
            }
            let mut own = arrays.clone();
            if settles(job) {
                let file = folder.join(format!("{}{SETTLE}.sbatch", job.name));
                for array in &arrays {
                    let options: Vec<String> =
                        dependency("afternotok", std::slice::from_ref(array))
                            .into_iter()
                            .collect();
                    own.push(self.sbatch(&file, &options)?);
                }
            }
            ends.push(own);
            ids.push(arrays.join("+"));
        }
        Ok(ids)
    }

    fn tasks(&self, ids: &[String]) -> Result<Vec<Task>, EngineError> {
        let arrays = arrays(ids);
        if arrays.is_empty() {
            return Ok(Vec::new());
        }
        let jobs = arrays.join(",");
        let format = "--format=JobID,State,ExitCode,Timelimit,ReqMem,NodeList,MaxRSS".to_owned();
        let sacct = ["--noheader", "--parsable2", "--jobs"].map(str::to_owned);
        let sacct = [&sacct[..], &[jobs, format]].concat();
        let found = match run("sacct", &sacct) {
            Ok(text) => accounting::of_sacct(&text),
            // without accounting, as long as the controller remembers
            Err(EngineError::Failed { .. } | EngineError::Missing { .. }) => {
                let mut found = Vec::new();
                for array in &arrays {
                    let show = ["show", "job", "--oneliner", array.as_str()].map(str::to_owned);
                    match run("scontrol", &show) {
                        Ok(text) => found.extend(accounting::of_scontrol(&text)),
                        Err(EngineError::Failed { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
                found
            }
            Err(error) => return Err(error),
        };
        // a job of many tasks is several arrays, and known by all of their ids
        let whole = |array: &str| ids.iter().find(|id| id.split('+').any(|own| own == array));
        let named = found.into_iter().filter_map(|task| {
            Some(Task {
                job: whole(&task.job)?.clone(),
                ..task
            })
        });
        Ok(named.collect())
    }

    /// One that has begun or ended waits for nobody.
    fn delay(&self, ids: &[String], after: &[String]) -> Result<(), EngineError> {
        for id in arrays(ids) {
            let asked = ["--noheader", "--jobs", id.as_str(), "--format=%E"].map(str::to_owned);
            let before = match run("squeue", &asked) {
                Ok(text) => accounting::unfulfilled(&text),
                Err(EngineError::Failed { .. }) => continue,
                Err(error) => return Err(error),
            };
            let all: Vec<String> = before.into_iter().chain(arrays(after)).collect();
            let list = format!("Dependency=afterany:{}", all.join(":"));
            let update = ["update".to_owned(), format!("JobId={id}"), list];
            match run("scontrol", &update) {
                Ok(_) | Err(EngineError::Failed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn cancel(&self, ids: &[String]) -> Result<(), EngineError> {
        let arrays = arrays(ids);
        if arrays.is_empty() {
            return Ok(());
        }
        run("scancel", &arrays).map(drop)
    }
}

/// Whether a job has one beside it that settles: the second attempt is the last, and collecting needs none.
fn settles(job: &Job) -> bool {
    job.attempt == 1 && !job.collects()
}

/// The ids of the arrays of some jobs.
fn arrays(ids: &[String]) -> Vec<String> {
    ids.iter()
        .flat_map(|id| id.split('+').map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::jobs::jobs;
    use super::super::testing::{packing, units};
    use super::*;

    fn work() -> Work {
        Work {
            command: ["/opt/in fbench", "run", "it's.yaml"]
                .map(str::to_owned)
                .to_vec(),
            settle: ["infbench", "settle", "out"].map(str::to_owned).to_vec(),
            directory: "/home/me".to_owned(),
            folder: "/scratch/out/jobs".to_owned(),
            preamble: "module load gcc\n".to_owned(),
            partition: Some("main".to_owned()),
            array_limit: Some(4),
            sbatch: vec![
                ("qos".to_owned(), "low".to_owned()),
                ("time".to_owned(), "7".to_owned()),
            ],
            ..Work::default()
        }
    }

    #[test]
    fn a_script_asks_for_what_the_description_says_and_is_right_shell() {
        let jobs = jobs(&units(), "t", packing());
        let files = Slurm.files(&jobs, &work());
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains(&"t-base.tasks") && names.contains(&"t-base-settle.sbatch"));
        assert!(!names.contains(&"t-collect-settle.sbatch"));
        let text = |name: &str| &files.iter().find(|(own, _)| own == name).unwrap().1;
        let base = text("t-base.sbatch");
        for line in [
            "#SBATCH --array=0-1%4\n",
            "#SBATCH --mem=191M\n",
            "#SBATCH --gpus=1\n",
            "#SBATCH --partition=main\n",
            "#SBATCH --qos=low\n",
            "#SBATCH --time=7\n",
            "#SBATCH --requeue\n",
            "module load gcc\n",
            r#"'/opt/in fbench' run 'it'\''s.yaml' --unit "$units""#,
        ] {
            assert!(base.contains(line), "{line} is not in {base}");
        }
        assert!(
            !base.contains("--time=2\n"),
            "the site's time replaces ours"
        );
        assert_eq!(text("t-base.tasks"), "base-0a\nbase-0b\n");
        let settle = text("t-base-settle.sbatch");
        assert!(settle.contains("#SBATCH --time=10\n") && !settle.contains("--gpus"));
        for (name, text) in files.iter().filter(|(name, _)| name.ends_with(".sbatch")) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            if let Ok(checked) = std::process::Command::new("bash")
                .arg("-n")
                .arg(&path)
                .output()
            {
                assert!(checked.status.success(), "{text}");
            }
        }
    }

    #[test]
    fn more_tasks_than_an_array_takes_are_several_arrays() {
        assert_eq!(ranges(3, 1000), ["0-2"]);
        assert_eq!(ranges(5, 2), ["0-1", "2-3", "4-4"]);
    }
}
