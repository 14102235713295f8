//! Folders of the same experiment from hosts that share no disk, as one.
//!
//! In: two folders. Out: a third with the records of both, and with what lies beside them, under the same names. Both
//! sides may have the same cell when it says the same outside of what is measured anew; where one side failed, the
//! other's is taken.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;

use super::difference::{Difference, Differences};
use super::files::{Entry, ResultsDir, ResultsError, entries};
use crate::atomic;

/// Why two folders cannot be one.
#[derive(Debug, Error)]
pub enum MergeError {
    /// Results that cannot be read or written.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// A file that cannot be copied.
    #[error("cannot copy {} to {}: {source}", from.display(), to.display())]
    Copy {
        /// The file.
        from: PathBuf,
        /// Its place.
        to: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Folders of two experiments.
    #[error(
        "{a} is of experiment `{first}` and {b} of `{second}`: only folders of one experiment are merged"
    )]
    Experiments {
        /// A record of the one.
        a: String,
        /// Its experiment.
        first: String,
        /// A record of the other.
        b: String,
        /// Its experiment.
        second: String,
    },
    /// Records of one cell that contradict each other.
    #[error("cell {cell}: {a} and {b} contradict each other{difference}")]
    Contradiction {
        /// The cell's id.
        cell: String,
        /// The one record.
        a: String,
        /// The other.
        b: String,
        /// Where, and both values.
        difference: String,
    },
    /// The folder to be made has something in it.
    #[error("{} is not empty; --into names a new folder", path.display())]
    Full {
        /// The folder.
        path: PathBuf,
    },
}

/// What was merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Records.
    pub records: usize,
    /// Those that both had.
    pub both: usize,
    /// Other files.
    pub files: usize,
}

/// Folders beside the records whose files have names by content or by cell.
const BESIDE: [&str; 5] = ["cache", "scores", "gradients", "adapters", "units"];
/// Fields that say where and when a record was made.
const ABOUT: [&str; 3] = ["provenance", "profile", "description"];

/// Merges `a` and `b` into the new folder `into`. Nothing is written before all records are known to agree.
///
/// # Errors
/// See [`MergeError`].
pub fn merge(a: &Path, b: &Path, into: &Path) -> Result<Merged, MergeError> {
    let is_full = fs::read_dir(into).is_ok_and(|mut entries| entries.next().is_some());
    if is_full {
        let path = into.to_owned();
        return Err(MergeError::Full { path });
    }
    let sides = [entries(a)?, entries(b)?];
    let mut merged = Merged::default();
    let mut all: Vec<Entry> = Vec::new();
    for entry in sides.into_iter().flatten() {
        let experiment = |entry: &Entry| entry.record.experiment.clone();
        if let Some(first) = all
            .first()
            .filter(|first| experiment(first) != experiment(&entry))
        {
            return Err(MergeError::Experiments {
                a: first.place.clone(),
                first: experiment(first),
                b: entry.place.clone(),
                second: experiment(&entry),
            });
        }
        let known = all
            .iter_mut()
            .find(|k| k.record.cell.id == entry.record.cell.id);
        let Some(known) = known else {
            all.push(entry);
            continue;
        };
        merged.both += 1;
        match (known.record.is_whole(), entry.record.is_whole()) {
            (true, true) => {
                if let Some(found) = contradiction(known, &entry) {
                    return Err(MergeError::Contradiction {
                        cell: entry.record.cell.id.clone(),
                        a: known.place.clone(),
                        b: entry.place.clone(),
                        difference: shown(&found),
                    });
                }
            }
            (false, true) => *known = entry,
            _ => {}
        }
    }
    merged.records = all.len();
    all.sort_by_key(|entry| entry.record.cell.index);
    for side in [a, b] {
        for name in BESIDE {
            merged.files += copy(&side.join(name), &into.join(name))?;
        }
    }
    let results = ResultsDir::create(into)?;
    let records: Vec<_> = all.into_iter().map(|entry| entry.record).collect();
    for record in &records {
        results.write_record(record)?;
    }
    results.collect(&records)?;
    Ok(merged)
}

/// The first value that two records of a cell do not share, of those that are not measured anew.
fn contradiction(a: &Entry, b: &Entry) -> Option<Difference> {
    let plain = |entry: &Entry| {
        let mut value = entry.value.clone();
        if let Value::Object(fields) = &mut value {
            ABOUT.iter().for_each(|name| {
                fields.shift_remove(*name);
            });
        }
        // the same cell may stand elsewhere in another grid
        value["cell"] = entry.record.cell.id.clone().into();
        value
    };
    let mut differences = Differences::new(0.0);
    differences.values("", &plain(a), &plain(b));
    differences.first
}

fn shown(difference: &Difference) -> String {
    let value = |value: &Option<Value>| {
        let text = value
            .as_ref()
            .map_or_else(|| "nothing".to_owned(), Value::to_string);
        crate::input::quote(&text)
    };
    let [a, b] = &difference.values;
    let place = difference.place.trim_start_matches(", ");
    format!(": {place} is {} and {}", value(a), value(b))
}

/// Copies the files below a folder that are not in the other yet; unfinished ones are left. Returns how many.
fn copy(from: &Path, to: &Path) -> Result<usize, MergeError> {
    let mut count = 0;
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let (source, target) = (entry.path(), to.join(&name));
        if source.is_dir() {
            count += copy(&source, &target)?;
        } else if !name.display().to_string().starts_with('.') && !target.exists() {
            let whole = |source_error| MergeError::Copy {
                from: source.clone(),
                to: target.clone(),
                source: source_error,
            };
            fs::create_dir_all(to).map_err(whole)?;
            let mut file = atomic::AtomicFile::create(&target).map_err(whole)?;
            let mut read = fs::File::open(&source).map_err(whole)?;
            std::io::copy(&mut read, file.file()).map_err(whole)?;
            file.commit().map_err(whole)?;
            count += 1;
        }
    }
    Ok(count)
}
