//! Files of JSON lines: an object a line, and what they are instead.

use std::path::Path;

use serde_json::{Map, Value};

use crate::input;

/// The objects of the text of `path`, each with its line, from 1, or what is wrong with it; empty lines are passed over.
pub(super) fn objects<'a>(
    path: &'a Path,
    text: &'a str,
) -> impl Iterator<Item = (usize, Result<Map<String, Value>, String>)> + 'a {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    lines.map(move |(number, line)| (number + 1, object(path, line)))
}

/// The object of a line, or what the line is instead.
fn object(path: &Path, line: &str) -> Result<Map<String, Value>, String> {
    if line.trim_start().starts_with('[') {
        return Err(format!(
            "a JSON array, not JSON lines: one object a line is needed; `jq -c '.[]' {}` makes them",
            path.display()
        ));
    }
    let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| {
        if error.is_eof() && line.trim_start().starts_with('{') {
            return format!(
                "the object does not end on its line: one object a line is needed; `jq -c . {}` makes them",
                path.display()
            );
        }
        format!("column {}: {}", error.column(), input::json_problem(&error))
    })?;
    let mut lengths = object.values().map(length);
    if object.len() > 1
        && let Some(Some(rows)) = lengths.next()
        && lengths.all(|length| length == Some(rows))
    {
        return Err(columns_instead(path, rows));
    }
    Ok(object)
}

/// Values in a column: a list, or as pandas writes it a mapping by row.
fn length(value: &Value) -> Option<usize> {
    match value {
        Value::Array(list) => Some(list.len()),
        Value::Object(map) => Some(map.len()),
        _ => None,
    }
}

/// What to say of an object whose fields are columns.
fn columns_instead(path: &Path, rows: usize) -> String {
    format!(
        "a dictionary of columns ({rows} values each), not JSON lines: one object a line is needed; in pandas, `DataFrame(json.load(open(\"{}\"))).to_json(NEW, orient=\"records\", lines=True)` makes them",
        path.display()
    )
}
