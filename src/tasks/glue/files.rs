//! GLUE's files: JSON lines or Parquet with the hub's field names, or the tab-separated files of the
//! original archive (no quotes, a header in every task but CoLA).

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use thiserror::Error;

use super::parquet;
use crate::config::glue_files::GlueFilesError;
use crate::config::task::GlueName;

/// Why texts cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TextError {
    /// A file cannot be read.
    #[error("cannot read {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A line is not as its task has it.
    #[error("{path}:{line}: {problem}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A row of a Parquet file is not as its task has it.
    #[error("{path}: row {row}: {problem}")]
    Row {
        /// The file.
        path: PathBuf,
        /// Row, from 1.
        row: usize,
        /// What is wrong.
        problem: String,
    },
    /// A Parquet file lacks a column of its task.
    #[error("{path}: the column `{name}` of {task} is missing; the file has {found}")]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        name: &'static str,
        /// The task.
        task: &'static str,
        /// Columns of the file.
        found: String,
    },
    /// The files cannot be found.
    #[error(transparent)]
    Files(#[from] GlueFilesError),
    /// A file of another kind.
    #[error("{path}: not a .jsonl, .tsv or .parquet file")]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// The tokenizer cannot be used.
    #[error("{path}: {reason}")]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// One or two texts and a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The first text.
    pub first: String,
    /// The second text of a pair.
    pub second: Option<String>,
    /// The label, 0 or 1.
    pub label: usize,
}

/// What a task calls its fields: the hub's name first, then the archive's.
pub(super) struct Names {
    pub(super) first: &'static [&'static str],
    pub(super) second: &'static [&'static str],
    pub(super) label: &'static [&'static str],
}

pub(super) fn names(task: GlueName) -> Names {
    let (first, second, label): (&[_], &[_], &[_]) = match task {
        GlueName::Mrpc => (
            &["sentence1", "#1 String"],
            &["sentence2", "#2 String"],
            &["label", "Quality"],
        ),
        GlueName::Qqp => (&["question1"], &["question2"], &["label", "is_duplicate"]),
        GlueName::Qnli => (&["question"], &["sentence"], &["label"]),
        GlueName::Rte | GlueName::Wnli => (&["sentence1"], &["sentence2"], &["label"]),
        GlueName::Sst2 | GlueName::Cola => (&["sentence"], &[], &["label"]),
    };
    Names {
        first,
        second,
        label,
    }
}

/// 0 and 1, or what the archive writes instead.
pub(super) fn label(text: &str, task: GlueName) -> Result<usize, String> {
    match (text, task) {
        ("0", _) => Ok(0),
        ("1", _) => Ok(1),
        ("entailment", GlueName::Rte | GlueName::Qnli) => Ok(0),
        ("not_entailment", GlueName::Rte | GlueName::Qnli) => Ok(1),
        (_, GlueName::Rte | GlueName::Qnli) => Err(format!(
            "the label is {text}; allowed: 0, 1, entailment, not_entailment"
        )),
        _ => Err(format!("the label is {text}; allowed: 0, 1")),
    }
}

/// The examples of several files, one after the other.
///
/// # Errors
/// As [`read`].
pub fn read_all(paths: &[PathBuf], task: GlueName) -> Result<Vec<Example>, TextError> {
    let parts: Result<Vec<_>, _> = paths.iter().map(|path| read(path, task)).collect();
    Ok(parts?.concat())
}

/// The examples of a file, in order.
///
/// # Errors
/// When the file cannot be read, or a line is not as the task has it. (Lines of QQP's archive that are
/// too short, where a question was broken by a newline, are passed over with a warning.)
pub fn read(path: &Path, task: GlueName) -> Result<Vec<Example>, TextError> {
    type Parser = fn(&Path, &str, GlueName) -> Result<Vec<Example>, TextError>;
    let parse: Parser = match path.extension().and_then(|extension| extension.to_str()) {
        Some("parquet") => return parquet::read(path, task),
        Some("jsonl") => json_lines,
        Some("tsv") => tab_separated,
        // msr_paraphrase_train.txt
        Some("txt") if task == GlueName::Mrpc => tab_separated,
        _ => {
            return Err(TextError::Kind {
                path: path.to_owned(),
            });
        }
    };
    let text = std::fs::read_to_string(path).map_err(|e| TextError::Read {
        path: path.to_owned(),
        reason: e.to_string(),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    parse(path, text, task)
}

fn at(path: &Path, line: usize) -> impl Fn(String) -> TextError {
    move |problem| TextError::Line {
        path: path.to_owned(),
        line,
        problem,
    }
}

fn json_lines(path: &Path, text: &str, task: GlueName) -> Result<Vec<Example>, TextError> {
    let names = names(task);
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| {
            let wrong = at(path, number + 1);
            let map: Map<String, Value> =
                serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
            let field = |names: &[&str]| {
                names.iter().find_map(|name| map.get(*name)).ok_or_else(|| {
                    wrong(format!(
                        "the field `{}` of {} is missing",
                        names[0],
                        task.name()
                    ))
                })
            };
            let words = |names: &[&str]| {
                let value = field(names)?;
                value
                    .as_str()
                    .map(str::to_owned)
                    .ok_or_else(|| wrong(format!("`{}` is {value}, not a text", names[0])))
            };
            let given = field(names.label)?;
            let given = given
                .as_str()
                .map_or_else(|| given.to_string(), str::to_owned);
            Ok(Example {
                first: words(names.first)?,
                second: match names.second {
                    [] => None,
                    names => Some(words(names)?),
                },
                label: label(&given, task).map_err(&wrong)?,
            })
        })
        .collect()
}

/// Columns of the texts and the label.
struct Columns {
    first: usize,
    second: Option<usize>,
    label: usize,
}

fn tab_separated(path: &Path, text: &str, task: GlueName) -> Result<Vec<Example>, TextError> {
    let mut lines = text.lines().enumerate().peekable();
    let header: Vec<&str> = lines
        .peek()
        .map(|(_, line)| line.split('\t').collect())
        .unwrap_or_default();
    let column = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| header.iter().position(|found| found == name))
            .ok_or_else(|| at(path, 1)(format!("the header has no column `{}`", names[0])))
    };
    let names = names(task);
    let headless = task == GlueName::Cola && !header.contains(&"sentence");
    let columns = if headless {
        // source, label, the author's mark, sentence
        Columns {
            first: 3,
            second: None,
            label: 1,
        }
    } else {
        lines.next();
        Columns {
            first: column(names.first)?,
            second: match names.second {
                [] => None,
                names => Some(column(names)?),
            },
            label: column(names.label)?,
        }
    };
    let mut examples = Vec::new();
    let mut short = 0;
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let wrong = at(path, number + 1);
        let cells: Vec<&str> = line.split('\t').collect();
        let last = columns
            .label
            .max(columns.first)
            .max(columns.second.unwrap_or(0));
        if cells.len() <= last {
            if task == GlueName::Qqp {
                short += 1;
                continue;
            }
            return Err(wrong(format!(
                "{} columns; at least {} are needed",
                cells.len(),
                last + 1
            )));
        }
        examples.push(Example {
            first: cells[columns.first].to_owned(),
            second: columns.second.map(|column| cells[column].to_owned()),
            label: label(cells[columns.label], task).map_err(&wrong)?,
        });
    }
    if short > 0 {
        tracing::warn!("{}: {short} broken lines passed over", path.display());
    }
    Ok(examples)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, text: &str, task: GlueName) -> Result<Vec<Example>, TextError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path, task)
    }

    fn pair(first: &str, second: &str, label: usize) -> Example {
        Example {
            first: first.into(),
            second: Some(second.into()),
            label,
        }
    }

    #[test]
    fn every_layout_of_the_archive_and_the_hub_is_read() {
        let a = || pair("A \"quoted", "B", 1);
        for (name, text, task) in [
            (
                "t.tsv",
                "\u{feff}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t7\t8\tA \"quoted\tB\r\n",
                GlueName::Mrpc,
            ),
            (
                "t.tsv",
                "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\tbroken\n1\t2\t3\tA \"quoted\tB\t1\n",
                GlueName::Qqp,
            ),
            (
                "t.tsv",
                "index\tquestion\tsentence\tlabel\n0\tA \"quoted\tB\tnot_entailment\n",
                GlueName::Qnli,
            ),
            (
                "t.tsv",
                "index\tsentence1\tsentence2\tlabel\n0\tA \"quoted\tB\tnot_entailment\n",
                GlueName::Rte,
            ),
            (
                "t.tsv",
                "index\tsentence1\tsentence2\tlabel\n0\tA \"quoted\tB\t1\n",
                GlueName::Wnli,
            ),
            (
                "t.jsonl",
                "{\"idx\": 0, \"sentence1\": \"A \\\"quoted\", \"sentence2\": \"B\", \"label\": 1}\n\n",
                GlueName::Mrpc,
            ),
            (
                "t.jsonl",
                "{\"question\": \"A \\\"quoted\", \"sentence\": \"B\", \"label\": \"not_entailment\"}",
                GlueName::Qnli,
            ),
        ] {
            assert_eq!(parse(name, text, task), Ok(vec![a()]), "{text}");
        }
        let single = Example {
            first: "fine".into(),
            second: None,
            label: 0,
        };
        for (text, task) in [
            ("gj04\t0\t*\tfine\n", GlueName::Cola),
            ("sentence\tlabel\nfine\t0\n", GlueName::Cola),
            ("sentence\tlabel\nfine\t0\n", GlueName::Sst2),
        ] {
            assert_eq!(parse("t.tsv", text, task), Ok(vec![single.clone()]));
        }
    }

    #[test]
    fn mistakes_have_a_line() {
        for (name, text, task, expected) in [
            (
                "t.jsonl",
                "{\"sentence\": \"a\", \"label\": 1}\n{\"sentence\": \"a\", \"label\": -1}",
                GlueName::Sst2,
                "t.jsonl:2: the label is -1; allowed: 0, 1",
            ),
            (
                "t.jsonl",
                "{\"sentence\": \"a\", \"label\": 1}",
                GlueName::Rte,
                "t.jsonl:1: the field `sentence1` of rte is missing",
            ),
            (
                "t.jsonl",
                "{\"sentence\": 3, \"label\": 1}",
                GlueName::Sst2,
                "t.jsonl:1: `sentence` is 3, not a text",
            ),
            (
                "t.tsv",
                "index\tsentence1\tlabel\n",
                GlueName::Rte,
                "t.tsv:1: the header has no column `sentence2`",
            ),
            (
                "t.tsv",
                "sentence\tlabel\n\nfine\n",
                GlueName::Sst2,
                "t.tsv:3: 1 columns; at least 2 are needed",
            ),
            (
                "t.csv",
                "",
                GlueName::Rte,
                "not a .jsonl, .tsv or .parquet file",
            ),
            (
                "t.txt",
                "",
                GlueName::Rte,
                "not a .jsonl, .tsv or .parquet file",
            ),
        ] {
            let error = parse(name, text, task).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{error}");
        }
    }
}
