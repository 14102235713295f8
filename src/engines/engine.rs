//! What an engine is: the seam between jobs and what places them.

use std::path::Path;

use thiserror::Error;

use super::jobs::{Job, Work};
use crate::runner::units::report::Cause;

/// Why an engine did not do what it was asked.
#[derive(Debug, Error)]
pub enum EngineError {
    /// A command of the engine that is not there.
    #[error("cannot run `{command}`: {source}; is {engine} installed here?")]
    Missing {
        /// The command.
        command: String,
        /// The engine.
        engine: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A command of the engine that failed.
    #[error("`{command}` failed: {message}")]
    Failed {
        /// The command.
        command: String,
        /// What it said.
        message: String,
    },
    /// An answer that is not as expected.
    #[error("`{command}` answered `{answer}`, which is not understood")]
    Answer {
        /// The command.
        command: String,
        /// The answer.
        answer: String,
    },
    /// A file of the submission.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: String,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// Where a task of a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Not started, and why.
    Waiting(String),
    /// At work, and where.
    Running(String),
    /// Ended with exit code 0.
    Completed,
    /// Ended otherwise, with the engine's own word for it.
    Failed(Cause, String),
}

impl TaskState {
    /// Whether it will not run any more.
    pub fn has_ended(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed(..))
    }
}

/// A task of a submitted job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Id of the job.
    pub job: String,
    /// Which task of it, from 0.
    pub index: usize,
    /// Where it stands.
    pub state: TaskState,
    /// How earlier attempts ended that the engine itself started again, in its own words: `PREEMPTED on n3`.
    pub before: Vec<String>,
}

/// What an engine made of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The engine's id of it.
    pub id: String,
    /// Ids of jobs that stand beside it and settle what fails.
    pub beside: Vec<String>,
}

/// What places jobs. Ids are the engine's own.
pub trait Engine {
    /// Its name, as `--engine` takes it.
    fn name(&self) -> &'static str;

    /// Most tasks of a job.
    fn most_tasks(&self) -> usize {
        usize::MAX
    }

    /// What is handed to the engine for jobs that are submitted together, by the names of the files.
    fn files(&self, jobs: &[Job], work: &Work) -> Vec<(String, String)>;

    /// Submits jobs, each after those before it that it names, from their files in `folder`; `after` are jobs that were
    /// submitted before.
    ///
    /// # Errors
    /// What the engine says; then none of the jobs is left in its queue.
    fn submit(
        &self,
        jobs: &[Job],
        folder: &Path,
        after: &[String],
    ) -> Result<Vec<Placed>, EngineError>;

    /// Where the tasks of submitted jobs stand; of jobs that the engine has forgotten there are none.
    ///
    /// # Errors
    /// What the engine says.
    fn tasks(&self, ids: &[String]) -> Result<Vec<Task>, EngineError>;

    /// Why a task failed, as far as the engine's messages among its output in `folder` say.
    fn told(
        &self,
        _job: &Job,
        _id: &str,
        _index: usize,
        _folder: &Path,
    ) -> Option<(Cause, String)> {
        None
    }

    /// Lets submitted jobs that have not begun wait for others, too.
    ///
    /// # Errors
    /// What the engine says.
    fn delay(&self, ids: &[String], after: &[String]) -> Result<(), EngineError>;

    /// Cancels what has not ended of submitted jobs; of those that the engine has forgotten nothing is left to cancel.
    ///
    /// # Errors
    /// What the engine says.
    fn cancel(&self, ids: &[String]) -> Result<(), EngineError>;
}

/// Runs a command of an engine and returns what it prints.
pub(super) fn command(
    engine: &'static str,
    program: &str,
    arguments: &[String],
) -> Result<String, EngineError> {
    let shown = || format!("{program} {}", arguments.join(" "));
    let output = std::process::Command::new(program).args(arguments).output();
    let output = output.map_err(|source| EngineError::Missing {
        command: program.to_owned(),
        engine,
        source,
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(EngineError::Failed {
        command: shown(),
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// A text as one word of a POSIX shell.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
