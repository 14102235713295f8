//! The files of a run: one JSON record a cell, written when the cell is done, collected at the end.
//!
//! ```text
//! runs/<name>/
//!   cells/<id>.json     one record a cell: written to a temporary file, synced, renamed
//!   records.jsonl       the records of the experiment's grid, one a line, in the order of the grid: what everything else
//!                       is drawn from; `records.jsonl.gz` where it is kept
//!   results.csv         tidy: one row a cell, method and metric
//!   cache/              pretrained bases and fine-tuned adapters, by content hash
//! ```

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use thiserror::Error;

use crate::atomic;
use crate::input::{self, InputError};

use super::packed;
use super::record::{Record, SCHEMA, Status};

/// The records of a run.
pub const RECORDS: &str = "records.jsonl";
/// What [`RECORDS`] was called by earlier versions.
const RECORDS_BEFORE: &str = "results.jsonl";
/// The tidy table.
const TABLE: &str = "results.csv";

/// Why results could not be written or read.
#[derive(Debug, Error)]
pub enum ResultsError {
    /// The file system said no.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file that is not what its name says.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A record that cannot be read.
    #[error("{} is not a record of infbench: {message}", path.display())]
    Broken {
        /// The file, with the line where it holds several records.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A record of another layout.
    #[error("{} has record layout {found}; this version reads layout {SCHEMA}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: u64,
    },
    /// Nothing there.
    #[error("{} holds no results: neither records.jsonl (or records.jsonl.gz) nor cells/*.json", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// Another run holds the folder.
    #[error("another infbench run is writing to {}; wait for it or give another --out", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
}

fn io<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> ResultsError + 'a {
    move |source| ResultsError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// A folder of results.
#[derive(Debug)]
pub struct ResultsDir {
    root: PathBuf,
    _lock: Option<File>,
}

impl ResultsDir {
    /// Opens a folder for writing, making it when it is not there, and locks it against other runs.
    ///
    /// # Errors
    /// [`ResultsError::Busy`] when another run holds it; whatever the file system answers.
    pub fn create(root: &Path) -> Result<Self, ResultsError> {
        let cells = root.join("cells");
        fs::create_dir_all(&cells).map_err(io("make the folder", &cells))?;
        let path = cells.join(".lock");
        let lock = File::create(&path).map_err(io("make the lock", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(ResultsError::Busy {
                    path: root.to_owned(),
                });
            }
            // NFS and Lustre are often mounted without locks (ENOLCK, ENOSYS, EOPNOTSUPP)
            Err(fs::TryLockError::Error(error)) => tracing::warn!(
                "cannot lock {} ({error}): this file system keeps no locks, so nothing stops a second run in this folder; start only one",
                path.display()
            ),
        }
        Ok(Self {
            root: root.to_owned(),
            _lock: Some(lock),
        })
    }

    /// Opens a folder that several processes write to at a time, on several hosts; makes it when it is not there. Nothing is
    /// locked: records, and what lies in the cache, are written whole or not at all, and [`collect`](Self::collect) is left
    /// to one of them.
    ///
    /// # Errors
    /// Whatever the file system answers.
    pub fn share(root: &Path) -> Result<Self, ResultsError> {
        let cells = root.join("cells");
        fs::create_dir_all(&cells).map_err(io("make the folder", &cells))?;
        Ok(Self::read(root))
    }

    /// A folder for reading: not made, not locked, and need not be there.
    pub fn read(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            _lock: None,
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a cell's record is.
    pub fn record_path(&self, id: &str) -> PathBuf {
        self.root.join("cells").join(format!("{id}.json"))
    }

    /// The record of a cell, when there is a readable one; a broken or older one counts as none.
    pub fn record(&self, id: &str) -> Option<Record> {
        let entry = read_record(&self.record_path(id)).ok()?;
        Some(entry.record)
    }

    /// Whether a cell is finished: its record says so, and no method of it failed.
    pub fn is_finished(&self, id: &str) -> bool {
        self.record(id).is_some_and(|record| record.is_whole())
    }

    /// Ids of the finished cells that were collected last.
    pub fn collected(&self) -> Vec<String> {
        if !self.root.join(RECORDS).is_file() {
            return Vec::new();
        }
        let records = load(&self.root).unwrap_or_default().into_iter();
        let finished = records.filter(|record| record.status == Status::Ok);
        finished.map(|record| record.cell.id).collect()
    }

    /// Writes a cell's record atomically.
    ///
    /// # Errors
    /// Whatever the file system answers.
    pub fn write_record(&self, record: &Record) -> Result<(), ResultsError> {
        let path = self.record_path(&record.cell.id);
        atomic::write_json(&path, record).map_err(io("write", &path))
    }

    /// Writes `records.jsonl` and `results.csv` from records in the order given.
    ///
    /// # Errors
    /// Whatever the file system answers.
    pub fn collect(&self, records: &[Record]) -> Result<(), ResultsError> {
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record).expect("a record is plain JSON");
            lines.push(b'\n');
        }
        let path = self.root.join(RECORDS);
        atomic::write(&path, &lines).map_err(io("write", &path))?;
        write_table(records, &self.root)
    }
}

/// Writes `results.csv` into a folder: a row per cell, method and metric.
///
/// # Errors
/// Whatever the file system answers.
pub fn write_table(records: &[Record], folder: &Path) -> Result<(), ResultsError> {
    let path = folder.join(TABLE);
    atomic::write(&path, &super::tidy::csv(records)).map_err(io("write", &path))
}

/// Reads a record file.
fn read_record(path: &Path) -> Result<Entry, ResultsError> {
    parse_record(&input::text(path)?, path.display().to_string())
}

fn parse_record(text: &str, place: String) -> Result<Entry, ResultsError> {
    let path = Path::new(&place).to_owned();
    let broken = |error: serde_json::Error| ResultsError::Broken {
        path: path.clone(),
        message: input::json_problem(&error),
    };
    let value: serde_json::Value = serde_json::from_str(text).map_err(broken)?;
    match value.get("schema").and_then(serde_json::Value::as_u64) {
        Some(found) if found == u64::from(SCHEMA) => Ok(Entry {
            place,
            record: Record::deserialize(&value).map_err(broken)?,
            value,
        }),
        Some(found) => Err(ResultsError::Layout { path, found }),
        None => Err(ResultsError::Broken {
            path,
            message: "it has no field `schema`".to_owned(),
        }),
    }
}

/// A record and the JSON that it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The file, with the line where it holds several records.
    pub place: String,
    /// The record as written, fields of other versions included.
    pub value: serde_json::Value,
    /// The record.
    pub record: Record,
}

/// All records of a results folder, in the order of the grid: `records.jsonl` or `records.jsonl.gz`, or else
/// `cells/*.json` of a run that has not come to its end.
///
/// # Errors
/// No folder, no records, a broken record.
pub fn load(root: &Path) -> Result<Vec<Record>, ResultsError> {
    let all = entries(root)?.into_iter();
    Ok(all.map(|entry| entry.record).collect())
}

/// The records of [`load`] with the JSON that they were read from.
///
/// # Errors
/// As of [`load`].
pub fn entries(root: &Path) -> Result<Vec<Entry>, ResultsError> {
    let mut records = Vec::new();
    let kept = match packed::text(root, RECORDS)? {
        None => packed::text(root, RECORDS_BEFORE)?,
        found => found,
    };
    if let Some((path, text)) = kept {
        for (number, line) in text.lines().enumerate() {
            if !line.is_empty() {
                let place = format!("{}:{}", path.display(), number + 1);
                records.push(parse_record(line, place)?);
            }
        }
    } else {
        let cells = root.join("cells");
        if !cells.is_dir() {
            return Err(ResultsError::Empty {
                path: root.to_owned(),
            });
        }
        for entry in fs::read_dir(&cells).map_err(io("read", &cells))? {
            let path = entry.map_err(io("read", &cells))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                records.push(read_record(&path)?);
            }
        }
    }
    if records.is_empty() {
        return Err(ResultsError::Empty {
            path: root.to_owned(),
        });
    }
    records.sort_by_key(|entry| entry.record.cell.index);
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one_run() {
        let folder = tempfile::tempdir().unwrap();
        let first = ResultsDir::create(folder.path()).unwrap();
        assert!(matches!(
            ResultsDir::create(folder.path()),
            Err(ResultsError::Busy { .. })
        ));
        drop(first);
        assert!(ResultsDir::create(folder.path()).is_ok());
    }

    #[test]
    fn what_is_no_record_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            load(folder.path()),
            Err(ResultsError::Empty { .. })
        ));
        fs::write(folder.path().join(RECORDS), "{\"schema\": 999}\n").unwrap();
        assert!(matches!(
            load(folder.path()),
            Err(ResultsError::Layout { found: 999, .. })
        ));
        fs::write(folder.path().join(RECORDS), "{\"schema\": 1\n").unwrap();
        assert!(matches!(
            load(folder.path()),
            Err(ResultsError::Broken { .. })
        ));
    }
}
