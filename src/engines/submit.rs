//! Jobs on their way to an engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::engine::{Engine, EngineError};
use super::jobs::{Job, Work, cut};
use super::ledger::{self, Entry, Submitted};
use crate::atomic;
use crate::results::environment;

/// Writes what the engine is handed for some jobs into `jobs/` of the results; returns the files.
///
/// # Errors
/// What the file system answers.
pub fn written(
    engine: &dyn Engine,
    jobs: &[Job],
    work: &Work,
    root: &Path,
) -> Result<Vec<PathBuf>, EngineError> {
    let folder = ledger::folder(root);
    let wrong = |path: &Path| {
        let path = path.display().to_string();
        move |source| EngineError::Write { path, source }
    };
    // tasks write their output here, and engines do not make the folder
    let logs = folder.join("logs");
    std::fs::create_dir_all(&logs).map_err(wrong(&logs))?;
    let mut paths = Vec::new();
    for (name, text) in engine.files(jobs, work) {
        let path = folder.join(name);
        atomic::write(&path, text.as_bytes()).map_err(wrong(&path))?;
        paths.push(path);
    }
    Ok(paths)
}

/// Jobs as an engine takes them: with as many tasks as it allows.
pub fn fitted(engine: &dyn Engine, jobs: &[Job], work: &Work) -> Vec<Job> {
    cut(jobs, engine.most_tasks(), work.array_limit.is_some())
}

/// Submits jobs that are [`fitted`] and remembers them; `after` are jobs that were submitted before, `seconds` the forecast of the units.
///
/// # Errors
/// What the engine or the file system answers.
pub fn submit(
    engine: &dyn Engine,
    jobs: &[Job],
    work: &Work,
    root: &Path,
    after: &[String],
    seconds: BTreeMap<String, f64>,
) -> Result<Entry, EngineError> {
    written(engine, jobs, work, root)?;
    // before the first task can begin
    let time = environment::now_precisely();
    let placed = engine.submit(jobs, &ledger::folder(root), after)?;
    let submitted = placed.into_iter().zip(jobs).map(|(placed, job)| Submitted {
        id: placed.id,
        beside: placed.beside,
        job: job.clone(),
    });
    let entry = Entry {
        engine: engine.name().to_owned(),
        submitted: time,
        work: work.clone(),
        jobs: submitted.collect(),
        seconds,
    };
    entry.write(root)?;
    Ok(entry)
}
