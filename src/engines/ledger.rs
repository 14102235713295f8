//! What was submitted, in `jobs/` of the folder of the results: a file for every submission, never changed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::engine::EngineError;
use super::jobs::{Job, Work};
use crate::atomic;
use crate::input;

/// A submitted job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submitted {
    /// The engine's id.
    pub id: String,
    /// What was submitted.
    pub job: Job,
}

/// Jobs that were submitted together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The engine's name.
    pub engine: String,
    /// When, RFC 3339, UTC.
    pub submitted: String,
    /// What the tasks run, and what the site wants.
    pub work: Work,
    /// The jobs, each after those before it that it needs.
    pub jobs: Vec<Submitted>,
    /// Forecast seconds of the units, by id.
    pub seconds: std::collections::BTreeMap<String, f64>,
}

/// The folder of the files of submissions.
pub fn folder(root: &Path) -> PathBuf {
    root.join("jobs")
}

/// Ending of the names of the ledger's files.
const ENDING: &str = ".submitted.json";

/// All submissions, in order; unreadable files are passed over.
pub fn read(root: &Path) -> Vec<Entry> {
    let entries = std::fs::read_dir(folder(root))
        .into_iter()
        .flatten()
        .flatten();
    let paths = entries.map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.ends_with(ENDING))
        })
        .collect();
    paths.sort();
    let entries = paths.iter().filter_map(|path| input::json(path).ok());
    let mut entries: Vec<Entry> = entries.collect();
    entries.sort_by(|a, b| a.submitted.cmp(&b.submitted));
    entries
}

impl Entry {
    /// Writes the submission beside the others.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn write(&self, root: &Path) -> Result<(), EngineError> {
        let first = self.jobs.first().map_or("none", |job| job.id.as_str());
        let path = folder(root).join(format!("{}-{first}{ENDING}", self.engine));
        let mut text = serde_json::to_vec_pretty(self).expect("a submission is plain JSON");
        text.push(b'\n');
        atomic::write(&path, &text).map_err(|source| EngineError::Write {
            path: path.display().to_string(),
            source,
        })
    }

    /// Ids of the jobs.
    pub fn ids(&self) -> Vec<String> {
        self.jobs.iter().map(|job| job.id.clone()).collect()
    }
}
