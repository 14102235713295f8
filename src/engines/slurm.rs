//! Slurm: a job is an array, its script a batch script; dependencies are `afterany`, so that a task that fails holds up
//! nobody else, and each unit looks itself whether what it needs is there.
//!
//! Beside every array stands a job with the dependency `afternotok`, which Slurm starts only when a task failed: it tells
//! the causes from sacct and submits again what ran out of time or memory (see [`super::settle`]).

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::engine::{Engine, EngineError, Placed, Task, TaskState, command, quoted};
use super::jobs::{Job, Work};
use crate::runner::units::report::Cause;

mod accounting;
mod options;

pub use options::Given;

/// Slurm's default of `MaxArraySize`, which is above every number of a task.
const MOST_TASKS: usize = 1001;

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
fn directives(job: &Job, work: &Work) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut add = |key: &str, value: String| all.push((key.to_owned(), value));
    add("job-name", format!("infbench-{}", job.name));
    let limit = work
        .array_limit
        .map_or_else(String::new, |n| format!("%{n}"));
    add("array", format!("0-{}{limit}", job.tasks.len() - 1));
    add("time", job.request.minutes().to_string());
    add("mem", format!("{}M", job.request.mebibytes()));
    add("ntasks", "1".to_owned());
    add("cpus-per-task", job.request.cpus.to_string());
    if job.request.gpus > 0 {
        add("gpus", job.request.gpus.to_string());
    }
    add("open-mode", "append".to_owned());
    add("requeue", String::new());
    all.push(output(work, &job.name, "%A_%a"));
    site(&mut all, work, |_| true);
    all
}

/// What the site wants, of the options with these names; one that is given with `--sbatch` replaces ours.
fn site(all: &mut Vec<(String, String)>, work: &Work, wanted: impl Fn(&str) -> bool) {
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
    for (key, value) in work.sbatch.iter().filter(|(key, _)| wanted(key)) {
        all.retain(|(known, _)| known != key);
        all.push((key.clone(), value.clone()));
    }
}

fn header(directives: &[(String, String)]) -> String {
    let line = |(key, value): &(String, String)| match value.as_str() {
        "" => format!("#SBATCH --{key}\n"),
        value => format!("#SBATCH --{key}={}\n", directive(value)),
    };
    let lines: String = directives.iter().map(line).collect();
    format!("#!/bin/bash\n{lines}")
}

/// A value as sbatch reads it: blanks end it unless it is quoted, and a backslash takes the next character as it is.
fn directive(value: &str) -> String {
    if !value.contains([' ', '\t', '"', '\'', '\\']) {
        return value.to_owned();
    }
    let escaped = value.replace('\\', r"\\").replace('"', r#"\""#);
    format!("\"{escaped}\"")
}

/// Where the output of a job with this name goes; `pattern` is what Slurm replaces, which it does in the folder's name, too.
fn output(work: &Work, name: &str, pattern: &str) -> (String, String) {
    let folder = work.folder.replace('%', "%%");
    let path = format!("{folder}/logs/{name}.{pattern}.out");
    ("output".to_owned(), path)
}

fn words(command: &[String]) -> String {
    let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

/// Seconds of a job's run after which an interruption counts as the end of its time: with `--sbatch signal=…@60` Slurm sends
/// the signal so long before the end, and up to a minute earlier.
fn nearly_over(job: &Job, work: &Work) -> u64 {
    let signal = work.sbatch.iter().find(|(key, _)| key == "signal");
    let early = signal.map_or(0, |(_, value)| {
        let seconds = value.split_once('@').map(|(_, seconds)| seconds.parse());
        60 + seconds.and_then(Result::ok).unwrap_or(60)
    });
    (60 * job.request.minutes()).saturating_sub(early)
}

/// The batch script of an array.
fn script(job: &Job, work: &Work) -> String {
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
# 75: interrupted before it was done. Started again, unless the time is over or Slurm ends the job: then it is Slurm that
# starts a preempted job again, and one that was cancelled stays so
if [ "$code" = 75 ] && [ "$SECONDS" -lt {limit} ] &&
  scontrol show job "$SLURM_JOB_ID" | grep -q JobState=RUNNING; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"#,
        header = header(&directives(job, work)),
        directory = quoted(&work.directory),
        preamble = lines(&work.preamble),
        list = quoted(&list),
        command = words(&work.command),
        limit = nearly_over(job, work),
    )
}

/// A preamble that ends with its line.
fn lines(preamble: &str) -> String {
    match preamble.trim_end() {
        "" => String::new(),
        text => format!("{text}\n"),
    }
}

/// Options of the site that are about any job and not about the size of ours.
const OF_ANY_JOB: [&str; 9] = [
    "account",
    "constraint",
    "exclude",
    "export",
    "nodelist",
    "partition",
    "qos",
    "reservation",
    "wckey",
];

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
        output(work, &format!("{}{SETTLE}", job.name), "%j"),
        ("open-mode".to_owned(), "append".to_owned()),
        ("requeue".to_owned(), String::new()),
    ];
    site(&mut all, work, |key| OF_ANY_JOB.contains(&key));
    format!(
        "{}\ncd {} || exit 2\n{}exec {}\n",
        header(&all),
        quoted(&work.directory),
        lines(&work.preamble),
        words(&work.settle),
    )
}

impl Slurm {
    /// Submits an array, and beside it what settles its failures.
    fn place(self, job: &Job, folder: &Path, before: &[String]) -> Result<Placed, EngineError> {
        let file = |ending: &str| folder.join(format!("{}{ending}.sbatch", job.name));
        let id = self.sbatch(&file(""), dependency("afterany", before))?;
        let mut placed = Placed {
            id,
            beside: Vec::new(),
        };
        if settles(job) {
            let after = dependency("afternotok", std::slice::from_ref(&placed.id));
            match self.sbatch(&file(SETTLE), after) {
                Ok(id) => placed.beside.push(id),
                Err(error) => {
                    let _ = self.cancel(&[placed.id]);
                    return Err(error);
                }
            }
        }
        Ok(placed)
    }

    /// What the controller says of a job, which it knows at once and forgets some minutes after the end.
    fn controlled(self, id: &str) -> Result<Vec<Task>, EngineError> {
        let show = ["show", "job", "--oneliner", id].map(str::to_owned);
        match run("scontrol", &show) {
            Ok(text) => Ok(accounting::of_scontrol(&text)),
            Err(EngineError::Failed { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn sbatch(self, file: &Path, option: Option<String>) -> Result<String, EngineError> {
        let mut arguments = vec!["--parsable".to_owned()];
        arguments.extend(option);
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

impl Engine for Slurm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn most_tasks(&self) -> usize {
        let told = run("scontrol", &["show".to_owned(), "config".to_owned()]);
        let told = told.ok().and_then(|text| accounting::max_array_size(&text));
        told.unwrap_or(MOST_TASKS).max(1)
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
            files.push((format!("{}.sbatch", job.name), script(job, work)));
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
    ) -> Result<Vec<Placed>, EngineError> {
        let mut all: Vec<Placed> = Vec::new();
        for job in jobs {
            // the arrays and what settles them
            let before = job.after.iter().flat_map(|&index| {
                let Placed { id, beside } = &all[index];
                std::iter::once(id).chain(beside)
            });
            let before: Vec<String> = after.iter().chain(before).cloned().collect();
            match self.place(job, folder, &before) {
                Ok(placed) => all.push(placed),
                Err(error) => {
                    let made = all.into_iter();
                    let made = made.flat_map(|placed| [placed.beside, vec![placed.id]].concat());
                    let _ = self.cancel(&made.collect::<Vec<_>>());
                    return Err(error);
                }
            }
        }
        Ok(all)
    }

    fn tasks(&self, ids: &[String]) -> Result<Vec<Task>, EngineError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let format = "--format=JobID,State,ExitCode,Timelimit,ReqMem,NodeList,MaxRSS".to_owned();
        let sacct = ["--noheader", "--parsable2", "--duplicates", "--jobs"].map(str::to_owned);
        let sacct = [&sacct[..], &[ids.join(","), format]].concat();
        let mut found = match run("sacct", &sacct) {
            Ok(text) => accounting::of_sacct(&text),
            Err(EngineError::Failed { .. } | EngineError::Missing { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        for id in ids {
            let own = || found.iter().filter(|task| task.job == *id);
            let is_over = own().all(|task| task.state == TaskState::Completed);
            if own().next().is_none() || !is_over {
                accounting::heard(&mut found, self.controlled(id)?);
            }
        }
        Ok(found)
    }

    fn told(&self, job: &Job, id: &str, index: usize, folder: &Path) -> Option<(Cause, String)> {
        let output = folder.join(format!("logs/{}.{id}_{index}.out", job.name));
        accounting::out_of_memory(&tail(&output)?)
    }

    /// One that has begun or ended waits for nobody.
    fn delay(&self, ids: &[String], after: &[String]) -> Result<(), EngineError> {
        for id in ids {
            let asked = ["--noheader", "--jobs", id.as_str(), "--format=%E"].map(str::to_owned);
            let before = match run("squeue", &asked) {
                Ok(text) => accounting::unfulfilled(&text),
                Err(EngineError::Failed { .. }) => continue,
                Err(error) => return Err(error),
            };
            let all: Vec<String> = before.into_iter().chain(after.to_vec()).collect();
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
        if ids.is_empty() {
            return Ok(());
        }
        // quiet: no error for one that has ended
        let quiet = std::iter::once("--quiet".to_owned());
        let arguments: Vec<String> = quiet.chain(ids.iter().cloned()).collect();
        run("scancel", &arguments).map(drop)
    }
}

/// Whether a job has one beside it that settles: the second attempt is the last, and collecting needs none.
fn settles(job: &Job) -> bool {
    job.attempt == 1 && !job.collects()
}

/// The last lines of a task's output.
fn tail(path: &Path) -> Option<String> {
    const BYTES: u64 = 8192;
    let mut file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))
        .ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::jobs::{cut, jobs};
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
                ("gpus".to_owned(), "a100:2".to_owned()),
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
            "#SBATCH --gpus=a100:2\n",
            "#SBATCH --partition=main\n",
            "#SBATCH --qos=low\n",
            "#SBATCH --time=2\n",
            "#SBATCH --requeue\n",
            "module load gcc\n",
            r#"'/opt/in fbench' run 'it'\''s.yaml' --unit "$units""#,
        ] {
            assert!(base.contains(line), "{line} is not in {base}");
        }
        assert!(
            !base.contains("--gpus=1\n"),
            "the site's option replaces ours"
        );
        assert_eq!(text("t-base.tasks"), "base-0a\nbase-0b\n");
        let settle = text("t-base-settle.sbatch");
        assert!(settle.contains("#SBATCH --time=10\n") && settle.contains("--qos=low\n"));
        assert!(!settle.contains("--gpus"), "{settle}");
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
    fn any_folder_and_any_option_reach_sbatch_as_they_are() {
        let jobs = jobs(&units(), "t", packing());
        let mut work = Work {
            folder: r#"/scratch/it's "50%" \done/jobs"#.to_owned(),
            ..work()
        };
        work.sbatch = vec![("comment".to_owned(), "two words".to_owned())];
        let files = Slurm.files(&jobs, &work);
        let text = |name: &str| &files.iter().find(|(own, _)| own == name).unwrap().1;
        let folder = r#"/scratch/it's \"50%%\" \\done/jobs/logs"#;
        for (file, output) in [
            ("t-base.sbatch", "t-base.%A_%a"),
            ("t-base-settle.sbatch", "t-base-settle.%j"),
        ] {
            let line = format!("#SBATCH --output=\"{folder}/{output}.out\"\n");
            assert!(text(file).contains(&line), "{}", text(file));
        }
        assert!(text("t-base.sbatch").contains("#SBATCH --comment=\"two words\"\n"));
    }

    #[test]
    fn more_tasks_than_an_array_takes_are_several_arrays_numbered_from_0() {
        let jobs = cut(&jobs(&units(), "t", packing()), 1, true);
        let files = Slurm.files(&jobs, &work());
        let text = |name: &str| &files.iter().find(|(own, _)| own == name).unwrap().1;
        for (number, unit) in [(1, "base-0a\n"), (2, "base-0b\n")] {
            let script = text(&format!("t-base-{number}.sbatch"));
            assert!(script.contains("#SBATCH --array=0-0%4\n"), "{script}");
            assert!(
                script.contains(&format!("/t-base-{number}.tasks)\n")),
                "{script}"
            );
            assert_eq!(text(&format!("t-base-{number}.tasks")), unit);
        }
    }

    #[test]
    fn a_signal_before_the_end_is_no_preemption() {
        let job = &jobs(&units(), "t", packing())[0];
        let limit = |signal: Option<&str>| {
            let signal = signal.map(|value| ("signal".to_owned(), value.to_owned()));
            let work = Work {
                sbatch: signal.into_iter().collect(),
                ..Work::default()
            };
            nearly_over(job, &work)
        };
        // two minutes are requested
        assert_eq!(limit(None), 120);
        assert_eq!(limit(Some("B:USR1@50")), 10);
        assert_eq!((limit(Some("USR1")), limit(Some("B:USR1@600"))), (0, 0));
    }
}
