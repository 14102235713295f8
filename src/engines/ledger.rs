//! What was submitted, in `jobs/` of the folder of the results: a file for every submission, never changed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::engine::EngineError;
use super::jobs::{Job, Work};
use crate::atomic;
use crate::input;
use crate::runner::units::report::UnitReport;

/// A submitted job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submitted {
    /// The engine's id.
    pub id: String,
    /// Ids of the jobs beside it that settle what fails.
    #[serde(default)]
    pub beside: Vec<String>,
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

/// The submissions to an engine, in order.
pub fn of(root: &Path, engine: &str) -> Vec<Entry> {
    let mut entries = read(root);
    entries.retain(|entry| entry.engine == engine);
    entries
}

/// Ids of the jobs of some submissions.
pub fn ids(entries: &[Entry]) -> Vec<String> {
    let jobs = entries.iter().flat_map(|entry| &entry.jobs);
    jobs.map(|job| job.id.clone()).collect()
}

/// The one right to submit a unit of a job again: a file that only one process can make, on a shared folder, too.
#[derive(Debug)]
pub struct Claim(PathBuf);

impl Claim {
    /// Takes the right, unless it was taken before. A process that takes it and ends before it has submitted leaves the
    /// unit to the next `infbench submit`.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn take(root: &Path, job: &str, unit: &str) -> Result<Option<Self>, EngineError> {
        let claims = folder(root).join("again");
        let path = claims.join(format!("{job}.{unit}"));
        let made = std::fs::create_dir_all(&claims).and_then(|()| {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true).open(&path)
        });
        match made {
            Ok(_) => Ok(Some(Self(path))),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(None),
            Err(source) => Err(EngineError::Write {
                path: path.display().to_string(),
                source,
            }),
        }
    }

    /// Gives it back.
    pub fn release(self) {
        let _ = std::fs::remove_file(self.0);
    }
}

impl Entry {
    /// Whether a unit was begun after this submission; what was reported before is about an earlier one.
    pub fn is_followed_by(&self, report: &UnitReport) -> bool {
        // RFC 3339 in UTC: in the order of the texts, and `…:56Z` after all fractions of that second
        report.started >= self.submitted
    }

    /// Writes the submission beside the others.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn write(&self, root: &Path) -> Result<(), EngineError> {
        let first = self.jobs.first().map_or("none", |job| job.id.as_str());
        let path = folder(root).join(format!("{}-{first}{ENDING}", self.engine));
        atomic::write_json(&path, self).map_err(|source| EngineError::Write {
            path: path.display().to_string(),
            source,
        })
    }
}
