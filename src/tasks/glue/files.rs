//! GLUE's files: JSON lines or Parquet with the hub's field names, or the tab-separated files of the
//! original archive (no quotes, a header in every task but CoLA).
//!
//! A row that is not as its task has it is an error with its line, never a guess: a tab inside a text would move all
//! that follows into the wrong column. The one exception are the rows of QQP's archive that a newline inside a question
//! broke; they are too short, are passed over, and are counted.

use std::path::{Path, PathBuf};

use super::error::TextError;
use super::name::GlueName;
use super::parquet;
use super::rows::{Example, Rows, label, names};
use crate::input::{self, quote};
use crate::tasks::json_lines;

/// The examples of several files, one after the other.
///
/// # Errors
/// As [`read`].
pub fn read_all(paths: &[PathBuf], task: GlueName) -> Result<Rows, TextError> {
    let mut all = Rows::default();
    for path in paths {
        let rows = read(path, task)?;
        all.examples.extend(rows.examples);
        all.passed_over += rows.passed_over;
    }
    Ok(all)
}

/// The examples of a file, in order.
///
/// # Errors
/// When the file cannot be read, or a row is not as the task has it.
pub fn read(path: &Path, task: GlueName) -> Result<Rows, TextError> {
    let whole = |examples| Rows {
        examples,
        passed_over: 0,
    };
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("parquet") => parquet::read(path, task).map(whole),
        Some("jsonl") => json_lines(path, &input::text(path)?, task).map(whole),
        Some("tsv") => tab_separated(path, &input::text(path)?, task),
        // msr_paraphrase_train.txt
        Some("txt") if task == GlueName::Mrpc => tab_separated(path, &input::text(path)?, task),
        _ => Err(TextError::Kind {
            path: path.to_owned(),
        }),
    }
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
    json_lines::objects(path, text)
        .map(|(line, object)| {
            let wrong = at(path, line);
            let map = object.map_err(&wrong)?;
            let field = |names: &[&str]| {
                names.iter().find_map(|name| map.get(*name)).ok_or_else(|| {
                    let found: Vec<&str> = map.keys().map(String::as_str).collect();
                    wrong(format!(
                        "the field `{}` of {} is missing; found: {}",
                        names[0],
                        task.name(),
                        quote(&found.join(", "))
                    ))
                })
            };
            let words = |names: &[&str]| {
                let value = field(names)?;
                value.as_str().map(str::to_owned).ok_or_else(|| {
                    let found = quote(&value.to_string());
                    wrong(format!("`{}` is {found}, not a text", names[0]))
                })
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

fn tab_separated(path: &Path, text: &str, task: GlueName) -> Result<Rows, TextError> {
    let mut lines = text.lines().enumerate().peekable();
    let header: Vec<&str> = lines
        .peek()
        .map(|(_, line)| line.split('\t').collect())
        .unwrap_or_default();
    let column = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| header.iter().position(|found| found == name))
            .ok_or_else(|| {
                let found = quote(&header.join(", "));
                at(path, 1)(format!(
                    "the header has no column `{}`; it has: {found}",
                    names[0]
                ))
            })
    };
    let names = names(task);
    let headless = task == GlueName::Cola && !header.contains(&"sentence");
    let (columns, width, whose) = if headless {
        // source, label, the author's mark, sentence
        let columns = Columns {
            first: 3,
            second: None,
            label: 1,
        };
        (columns, 4, "cola without a header")
    } else {
        lines.next();
        let columns = Columns {
            first: column(names.first)?,
            second: match names.second {
                [] => None,
                names => Some(column(names)?),
            },
            label: column(names.label)?,
        };
        (columns, header.len(), "the header")
    };
    let mut rows = Rows::default();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let wrong = at(path, number + 1);
        let cells: Vec<&str> = line.split('\t').collect();
        if cells.len() < width && task == GlueName::Qqp {
            rows.passed_over += 1;
            continue;
        }
        if cells.len() != width {
            let why = if cells.len() > width {
                "; is there a tab inside a text?"
            } else {
                ""
            };
            return Err(wrong(format!(
                "{} cells, where {whose} has {width}{why}",
                cells.len()
            )));
        }
        rows.examples.push(Example {
            first: cells[columns.first].to_owned(),
            second: columns.second.map(|column| cells[column].to_owned()),
            label: label(cells[columns.label], task).map_err(&wrong)?,
        });
    }
    if rows.passed_over > 0 {
        let (path, count) = (path.display(), rows.passed_over);
        tracing::warn!("{path}: {count} broken lines passed over");
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, text: &str, task: GlueName) -> Result<Vec<Example>, TextError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path, task).map(|rows| rows.examples)
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
                "t.jsonl:1: the field `sentence1` of rte is missing; found: sentence, label",
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
                "t.tsv:1: the header has no column `sentence2`; it has: index, sentence1, label",
            ),
            (
                "t.tsv",
                "sentence\tlabel\n\nfine\n",
                GlueName::Sst2,
                "t.tsv:3: 1 cells, where the header has 2",
            ),
            (
                "t.tsv",
                "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tA\tquoted\tB\n",
                GlueName::Mrpc,
                "t.tsv:2: 6 cells, where the header has 5; is there a tab inside a text?",
            ),
            (
                "t.tsv",
                "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\ta\tb\tc\t1\n",
                GlueName::Qqp,
                "t.tsv:2: 7 cells, where the header has 6; is there a tab inside a text?",
            ),
            (
                "t.tsv",
                "gj04\t1\t\tfine\ngj04\t1\t\tfine\tly\n",
                GlueName::Cola,
                "t.tsv:2: 5 cells, where cola without a header has 4; is there a tab inside a text?",
            ),
            (
                "t.jsonl",
                "\n[\n{\"sentence\": \"a\", \"label\": 1}]",
                GlueName::Sst2,
                "t.jsonl` makes them",
            ),
            (
                "t.jsonl",
                "{\n\"sentence\": \"a\", \"label\": 1}",
                GlueName::Sst2,
                "t.jsonl` makes them",
            ),
            (
                "t.jsonl",
                "{\"sentence\": [\"a\", \"b\"], \"label\": [0, 1]}",
                GlueName::Sst2,
                "lines=True)` makes them",
            ),
            (
                "t.jsonl",
                "{\"sentence\": \"a\", \"label\": NaN}",
                GlueName::Sst2,
                "t.jsonl:1: column 28: not JSON: expected value",
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

    #[test]
    fn what_is_quoted_is_cut() {
        let long = "x".repeat(100_000);
        for text in [
            format!("{{\"sentence\": [\"{long}\"], \"label\": 1}}"),
            format!("{{\"sentence\": \"a\", \"label\": \"{long}\"}}"),
            format!("{{\"{long}\": 1}}"),
            format!("{{\"sentence\": \"a\", {long}"),
            format!("\"{long}\""),
        ] {
            let error = parse("t.jsonl", &text, GlueName::Sst2)
                .unwrap_err()
                .to_string();
            assert!(error.matches('x').count() < 200, "{error}");
        }
        for text in [format!("{long}\n"), format!("sentence\tlabel\na\t{long}\n")] {
            let error = parse("t.tsv", &text, GlueName::Sst2)
                .unwrap_err()
                .to_string();
            assert!(error.matches('x').count() < 200, "{error}");
        }
    }

    #[test]
    fn broken_rows_of_qqp_are_counted_over_files() {
        let folder = tempfile::tempdir().unwrap();
        let header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n";
        let paths = ["a.tsv", "b.tsv"].map(|name| folder.path().join(name));
        std::fs::write(
            &paths[0],
            format!("{header}0\t1\t2\tbroken\nin two\t0\n1\t2\t3\tA\tB\t1\n"),
        )
        .unwrap();
        std::fs::write(&paths[1], format!("{header}0\t1\t2\tbroken\n")).unwrap();
        let rows = read_all(&paths, GlueName::Qqp).unwrap();
        assert_eq!(
            (rows.examples, rows.passed_over),
            (vec![pair("A", "B", 1)], 3)
        );
    }
}
