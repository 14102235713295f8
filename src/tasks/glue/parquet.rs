//! GLUE's files as the Hugging Face hub serves them: Parquet, one row an example.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use super::error::TextError;
use super::name::GlueName;
use super::rows::{Example, Names, label, names};
use crate::input::{InputError, explain, quote, shorten};

/// The examples of a file, in order; only the columns that the task has are read.
///
/// # Errors
/// When the file is no Parquet, lacks a column, or a row is not as the task has it.
pub fn read(path: &Path, task: GlueName) -> Result<Vec<Example>, TextError> {
    let broken = |reason: String| {
        TextError::Input(InputError::Read {
            path: path.to_owned(),
            reason,
        })
    };
    let file = File::open(path).map_err(|e| broken(e.to_string()))?;
    let damaged = |error: ParquetError| {
        let reason = shorten(&error.to_string(), 100);
        broken(format!(
            "{reason}; the file is damaged, incomplete or not Parquet"
        ))
    };
    let reader = SerializedFileReader::new(file).map_err(|error| {
        let mut start = Vec::new();
        let read = File::open(path).and_then(|file| file.take(512).read_to_end(&mut start));
        let found = read
            .ok()
            .and_then(|_| explain(path, &start, "a Parquet file"));
        // Parquet that is cut off still begins like Parquet
        match found.filter(|_| !start.starts_with(b"PAR1")) {
            Some(found) => found.into(),
            None => damaged(error),
        }
    })?;
    let (projection, columns) = columns(path, task, &reader)?;
    let rows = reader.get_row_iter(Some(projection)).map_err(damaged)?;
    rows.enumerate()
        .map(|(index, row)| {
            let row = row.map_err(damaged)?;
            let wrong = |problem: String| TextError::Row {
                path: path.to_owned(),
                row: index + 1,
                problem,
            };
            let field = |name: &str| {
                let mut fields = row.get_column_iter();
                let found = fields.find(|(found, _)| *found == name);
                found.expect("a column of the projection").1
            };
            // Hive, Impala and older Spark write texts without saying that they are texts
            let words = |name: &str| match field(name) {
                Field::Str(text) => Ok(text.clone()),
                Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
                    Ok(text) => Ok(text.to_owned()),
                    Err(error) => Err(wrong(format!(
                        "`{name}` is binary, and not UTF-8 from byte {} on",
                        error.valid_up_to() + 1
                    ))),
                },
                other => {
                    let found = quote(&other.to_string());
                    Err(wrong(format!("`{name}` is {found}, not a text")))
                }
            };
            let given = match field(columns.label) {
                Field::Str(_) | Field::Bytes(_) => words(columns.label)?,
                whole @ (Field::Byte(_)
                | Field::Short(_)
                | Field::Int(_)
                | Field::Long(_)
                | Field::UByte(_)
                | Field::UShort(_)
                | Field::UInt(_)
                | Field::ULong(_)) => whole.to_string(),
                other => {
                    let (name, found) = (columns.label, quote(&other.to_string()));
                    return Err(wrong(format!("`{name}` is {found}, not a whole number")));
                }
            };
            Ok(Example {
                first: words(columns.first)?,
                second: columns.second.map(words).transpose()?,
                label: label(&given, task).map_err(wrong)?,
            })
        })
        .collect()
}

/// Names of the columns in a file.
struct Columns {
    first: &'static str,
    second: Option<&'static str>,
    label: &'static str,
}

/// The task's columns as the file names them, and the part of the file's schema that they are.
fn columns(
    path: &Path,
    task: GlueName,
    reader: &SerializedFileReader<File>,
) -> Result<(Type, Columns), TextError> {
    let root = reader.metadata().file_metadata().schema();
    let has = |name: &str| root.get_fields().iter().any(|field| field.name() == name);
    let find = |names: &[&'static str]| {
        let found = names.iter().copied().find(|name| has(name));
        found.ok_or_else(|| TextError::Column {
            path: path.to_owned(),
            name: names[0],
            task: task.name(),
            found: {
                let names = root.get_fields().iter().map(|field| field.name());
                shorten(&names.collect::<Vec<_>>().join(", "), 100)
            },
        })
    };
    let Names {
        first,
        second,
        label,
    } = names(task);
    let columns = Columns {
        first: find(first)?,
        second: match second {
            [] => None,
            names => Some(find(names)?),
        },
        label: find(label)?,
    };
    let wanted = [Some(columns.first), columns.second, Some(columns.label)];
    let fields = root
        .get_fields()
        .iter()
        .filter(|field| wanted.contains(&Some(field.name())))
        .map(Arc::clone)
        .collect();
    let projection = Type::group_type_builder(root.name())
        .with_fields(fields)
        .build()
        .map_err(|error| InputError::Read {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    Ok((projection, columns))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::tasks::glue::GlueFiles;
    use crate::tasks::glue::files;

    /// Written by pyarrow: scripts/parity/glue_parquet.py.
    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/glue")
            .join(name)
    }

    #[test]
    fn the_layout_of_the_hub_holds_the_same_as_json_lines() {
        let task = GlueName::Rte;
        let found = GlueFiles::find(&fixture("hub"), task).unwrap();
        assert_eq!(found.train.len(), 2);
        let train = files::read_all(&found.train, task).unwrap().examples;
        assert_eq!(train.len(), 5);
        assert_eq!(
            train,
            files::read(&fixture("lines/train.jsonl"), task)
                .unwrap()
                .examples
        );
        let validation = files::read_all(&found.validation.unwrap(), task)
            .unwrap()
            .examples;
        assert_eq!(
            validation,
            files::read(&fixture("lines/validation.jsonl"), task)
                .unwrap()
                .examples
        );
    }

    #[test]
    fn mistakes_name_file_and_row() {
        let error = |path: &Path, task| read(path, task).unwrap_err().to_string();
        for (name, expected) in [
            (
                "hidden",
                "hidden.parquet: row 2: the label is -1; allowed: 0, 1, entailment, not_entailment",
            ),
            (
                "null",
                "null.parquet: row 1: `sentence2` is null, not a text",
            ),
            (
                "real",
                "real.parquet: row 1: `label` is 1.0, not a whole number",
            ),
            (
                "names",
                "names.parquet: the column `sentence1` of rte is missing; the file has text1, text2, label, idx",
            ),
        ] {
            let found = error(&fixture(&format!("wrong/{name}.parquet")), GlueName::Rte);
            assert!(found.ends_with(expected), "{found}");
        }
        let shard = fixture("hub/rte/train-00000-of-00002.parquet");
        assert!(error(&shard, GlueName::Qnli).contains("the column `question` of qnli"));
        let folder = tempfile::tempdir().unwrap();
        let broken = folder.path().join("t.parquet");
        let bytes = std::fs::read(shard).unwrap();
        std::fs::write(&broken, &bytes[..bytes.len() - 20]).unwrap();
        assert!(error(&broken, GlueName::Rte).starts_with("cannot read "));
        assert!(error(&folder.path().join("none.parquet"), GlueName::Rte).contains("none.parquet"));
    }
}
