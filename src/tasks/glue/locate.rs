//! Where the files of a GLUE task lie: in a folder of their own, or below one that holds many tasks.
//!
//! A split is one file (`train.jsonl`, `train.tsv`, `train.parquet`) or the shards of the hub
//! (`train-00000-of-00002.parquet`, …), read in order. Test files are not looked for.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::name::GlueName;
use crate::input::{expand_home, listed};

/// Kinds of files, the first found of a split wins.
const KINDS: [&str; 3] = ["jsonl", "tsv", "parquet"];
/// The training file of MRPC as its authors publish it.
const MSR: &str = "msr_paraphrase_train.txt";

/// Why there are no files for a task.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GlueFilesError {
    /// No such folder.
    #[error(
        "there is no folder {folder}; it is relative to the folder that infbench is started in"
    )]
    NoFolder {
        /// The path given.
        folder: PathBuf,
    },
    /// A folder cannot be listed.
    #[error("cannot read {folder}: {reason}")]
    Read {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Neither training files nor a folder of the task.
    #[error(
        "{folder} has no training file of {task} and no folder of it; it has {found}. Allowed: train.jsonl, train.tsv, train.parquet, train-00000-of-….parquet, a single train*.jsonl, train*.tsv or train*.parquet, or a folder with these named {names}"
    )]
    Nothing {
        /// The folder.
        folder: PathBuf,
        /// The task.
        task: &'static str,
        /// What was found.
        found: String,
        /// Names of the task's folder.
        names: String,
    },
    /// Several folders or training files, none of which comes first.
    #[error("{folder} has several {kind} of {task}: {found}; give the path of one")]
    Several {
        /// The folder.
        folder: PathBuf,
        /// `folders` or `training files`.
        kind: &'static str,
        /// The task.
        task: &'static str,
        /// What was found.
        found: String,
    },
    /// Shards of a split that do not make a whole.
    #[error("{folder}: the shards of `{split}` are not complete: {found}")]
    Shards {
        /// The folder.
        folder: PathBuf,
        /// The split.
        split: &'static str,
        /// What was found.
        found: String,
    },
}

/// The files of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlueFiles {
    /// The training examples, in order.
    pub train: Vec<PathBuf>,
    /// The validation examples, in order; `None` when the folder has none.
    pub validation: Option<Vec<PathBuf>>,
}

impl GlueFiles {
    /// The files of `task` in `folder` itself or, when it has no training file, in the one folder in it
    /// that bears a usual name of the task.
    ///
    /// # Errors
    /// No such folder, no or several training files or folders, shards that are missing.
    pub fn find(folder: &Path, task: GlueName) -> Result<Self, GlueFilesError> {
        let folder = &expand_home(folder);
        let (files, folders) = list(folder)?;
        if let Some(found) = splits(folder, &files, task)? {
            return Ok(found);
        }
        let named: Vec<&String> = folders.iter().filter(|n| is_of(n, task)).collect();
        let (place, found) = match named.as_slice() {
            [one] => {
                let place = folder.join(one);
                let (files, folders) = list(&place)?;
                if let Some(found) = splits(&place, &files, task)? {
                    return Ok(found);
                }
                (place, [files, folders].concat())
            }
            [] => (folder.to_owned(), [files, folders].concat()),
            _ => {
                return Err(GlueFilesError::Several {
                    folder: folder.to_owned(),
                    kind: "folders",
                    task: task.name(),
                    found: listed(&named),
                });
            }
        };
        Err(GlueFilesError::Nothing {
            folder: place,
            task: task.name(),
            found: listed(&found),
            names: names(task),
        })
    }
}

/// The archive's name of a task.
fn archive(task: GlueName) -> &'static str {
    match task {
        GlueName::Mrpc => "MRPC",
        GlueName::Qqp => "QQP",
        GlueName::Sst2 => "SST-2",
        GlueName::Wnli => "WNLI",
        GlueName::Rte => "RTE",
        GlueName::Cola => "CoLA",
        GlueName::Qnli => "QNLI",
    }
}

fn names(task: GlueName) -> String {
    format!(
        "{0}, {1}, glue_{0} or glue_{0}_*",
        task.name(),
        archive(task)
    )
}

/// Whether a folder's name is a usual one of the task.
fn is_of(folder: &str, task: GlueName) -> bool {
    if folder == task.name() || folder == archive(task) {
        return true;
    }
    folder
        .strip_prefix("glue_")
        .and_then(|rest| rest.strip_prefix(task.name()))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// Names of the files and of the folders in a folder, sorted.
fn list(folder: &Path) -> Result<(Vec<String>, Vec<String>), GlueFilesError> {
    if !folder.is_dir() {
        return Err(GlueFilesError::NoFolder {
            folder: folder.to_owned(),
        });
    }
    let entries = std::fs::read_dir(folder).map_err(|e| GlueFilesError::Read {
        folder: folder.to_owned(),
        reason: e.to_string(),
    })?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    let (folders, files) = names
        .into_iter()
        .partition(|name| folder.join(name).is_dir());
    Ok((files, folders))
}

fn has_kind(name: &str) -> bool {
    KINDS.iter().any(|kind| name.ends_with(&format!(".{kind}")))
}

/// Training and validation files among the files of a folder; `None` without a training file.
fn splits(
    folder: &Path,
    files: &[String],
    task: GlueName,
) -> Result<Option<GlueFiles>, GlueFilesError> {
    let mut train = split(folder, files, "train")?;
    if train.is_none() && task == GlueName::Mrpc && files.iter().any(|name| name == MSR) {
        train = Some(vec![folder.join(MSR)]);
    }
    if train.is_none() {
        let alike: Vec<&String> = files
            .iter()
            .filter(|name| name.starts_with("train") && has_kind(name))
            .collect();
        train = match alike.as_slice() {
            [] => None,
            [one] => Some(vec![folder.join(one)]),
            several => {
                return Err(GlueFilesError::Several {
                    folder: folder.to_owned(),
                    kind: "training files",
                    task: task.name(),
                    found: listed(several),
                });
            }
        };
    }
    let Some(train) = train else { return Ok(None) };
    let validation = match split(folder, files, "validation")? {
        Some(files) => Some(files),
        None => split(folder, files, "dev")?,
    };
    Ok(Some(GlueFiles { train, validation }))
}

/// The file of a split, or its shards in order.
fn split(
    folder: &Path,
    files: &[String],
    stem: &'static str,
) -> Result<Option<Vec<PathBuf>>, GlueFilesError> {
    let whole = KINDS.map(|kind| format!("{stem}.{kind}"));
    if let Some(name) = whole.iter().find(|name| files.contains(name)) {
        return Ok(Some(vec![folder.join(name)]));
    }
    let mut shards: Vec<(usize, usize, &String)> = files
        .iter()
        .filter_map(|name| {
            let rest = name.strip_prefix(stem)?.strip_prefix('-')?;
            let (index, count) = rest.strip_suffix(".parquet")?.split_once("-of-")?;
            Some((index.parse().ok()?, count.parse().ok()?, name))
        })
        .collect();
    shards.sort_unstable();
    let Some(&(_, count, _)) = shards.first() else {
        return Ok(None);
    };
    let complete = shards.len() == count
        && shards
            .iter()
            .enumerate()
            .all(|(expected, &(index, of, _))| index == expected && of == count);
    if !complete {
        let found: Vec<&String> = shards.iter().map(|&(_, _, name)| name).collect();
        return Err(GlueFilesError::Shards {
            folder: folder.to_owned(),
            split: stem,
            found: listed(&found),
        });
    }
    let shards = shards.into_iter().map(|(_, _, name)| folder.join(name));
    Ok(Some(shards.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with empty files.
    fn with(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    /// What is found, relative to the folder.
    fn find(files: &[&str], task: GlueName) -> Result<(Vec<String>, Option<Vec<String>>), String> {
        let folder = with(files);
        let relative = |paths: Vec<PathBuf>| -> Vec<String> {
            let names = paths.iter().map(|path| {
                let name = path.strip_prefix(folder.path()).unwrap();
                name.to_str().unwrap().replace('\\', "/")
            });
            names.collect()
        };
        GlueFiles::find(folder.path(), task)
            .map(|found| (relative(found.train), found.validation.map(relative)))
            .map_err(|error| error.to_string())
    }

    fn found(train: &[&str], validation: &[&str]) -> (Vec<String>, Option<Vec<String>>) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let validation = (!validation.is_empty()).then(|| owned(validation));
        (owned(train), validation)
    }

    #[test]
    fn a_folder_of_one_task_shows_its_files() {
        use GlueName::{Mrpc, Rte};
        let case = |files: &[&str], task, train: &[&str], validation: &[&str]| {
            assert_eq!(find(files, task), Ok(found(train, validation)), "{files:?}");
        };
        case(
            &[
                "train.tsv",
                "dev.tsv",
                "test.tsv",
                "train_old.tsv",
                "mrpc/train.tsv",
            ],
            Mrpc,
            &["train.tsv"],
            &["dev.tsv"],
        );
        case(
            &["train_part.jsonl", "README.md"],
            Rte,
            &["train_part.jsonl"],
            &[],
        );
        case(
            &[
                "train-00001-of-00002.parquet",
                "train-00000-of-00002.parquet",
                "validation-00000-of-00001.parquet",
                "test-00000-of-00001.parquet",
            ],
            Rte,
            &[
                "train-00000-of-00002.parquet",
                "train-00001-of-00002.parquet",
            ],
            &["validation-00000-of-00001.parquet"],
        );
        case(
            &["train.parquet", "validation.parquet"],
            Rte,
            &["train.parquet"],
            &["validation.parquet"],
        );
        case(&[MSR, "msr_paraphrase_test.txt"], Mrpc, &[MSR], &[]);
        case(&[MSR, "train.tsv"], Mrpc, &["train.tsv"], &[]);
    }

    #[test]
    fn a_folder_of_many_tasks_is_entered() {
        let hub = [
            "README.md",
            "mrpc/train.parquet",
            "qqp/train.parquet",
            "sst2/train.parquet",
        ];
        let archive = [
            "MRPC/train.tsv",
            "QQP/train.tsv",
            "SST-2/train.tsv",
            "CoLA/train.tsv",
        ];
        let ours = [
            "glue_mrpc/train.jsonl",
            "glue_qqp_subset/train_part.jsonl",
            "glue_sst2/train.jsonl",
        ];
        for (files, task, train) in [
            (&hub[..], GlueName::Sst2, "sst2/train.parquet"),
            (&hub[..], GlueName::Qqp, "qqp/train.parquet"),
            (&archive[..], GlueName::Sst2, "SST-2/train.tsv"),
            (&archive[..], GlueName::Cola, "CoLA/train.tsv"),
            (&ours[..], GlueName::Qqp, "glue_qqp_subset/train_part.jsonl"),
            (&ours[..], GlueName::Mrpc, "glue_mrpc/train.jsonl"),
        ] {
            assert_eq!(find(files, task), Ok(found(&[train], &[])));
        }
    }

    #[test]
    fn what_is_missing_or_ambiguous_is_listed_with_what_is_allowed() {
        let rte = |files: &[&str]| find(files, GlueName::Rte).unwrap_err();
        let nothing = rte(&["notes.txt", "mrpc/train.tsv"]);
        assert!(
            nothing.contains("it has notes.txt, mrpc. Allowed: train.jsonl"),
            "{nothing}"
        );
        assert!(
            nothing.ends_with("named rte, RTE, glue_rte or glue_rte_*"),
            "{nothing}"
        );
        assert!(rte(&[]).contains("it has nothing."));
        let empty = rte(&["RTE/test.tsv"]);
        assert!(
            empty.contains("RTE has no training file of rte") && empty.contains("it has test.tsv."),
            "{empty}"
        );
        let two = rte(&["rte/train.tsv", "glue_rte/train.jsonl"]);
        assert!(
            two.contains("several folders of rte: glue_rte, rte; give the path of one"),
            "{two}"
        );
        let files = rte(&["train_a.jsonl", "train_b.parquet"]);
        assert!(
            files.contains("several training files of rte: train_a.jsonl, train_b.parquet"),
            "{files}"
        );
        for shards in [
            &["train-00001-of-00002.parquet"][..],
            &["train-00000-of-00002.parquet"],
            &[
                "train-00000-of-00001.parquet",
                "train-00000-of-00002.parquet",
            ],
        ] {
            let error = rte(shards);
            assert!(
                error.contains("the shards of `train` are not complete: train-0"),
                "{error}"
            );
        }
        let many: Vec<String> = (10..60).map(|n| format!("{n}.txt")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(rte(&many).contains("31.txt, and 28 more. Allowed"));
        let nowhere = GlueFiles::find(Path::new("nowhere"), GlueName::Rte).unwrap_err();
        assert!(
            nowhere
                .to_string()
                .starts_with("there is no folder nowhere")
        );
    }
}
