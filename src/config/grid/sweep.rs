//! The combinations of a sweep.

use serde_json::Value;

use crate::config::ConfigError;
use crate::config::document::{self, Document, Path};
use crate::input::{Problem, quote};

/// Most cells of an experiment.
pub(super) const MOST_CELLS: usize = 10_000;

/// One swept setting in one combination: its dotted path, and where in the document its value stands.
#[derive(Clone)]
pub(super) struct Axis {
    pub(super) path: String,
    pub(super) source: Path,
}

/// All combinations of the sweep, in the order of the file, the last axis fastest; each runs with `seeds` seeds.
pub(super) fn combinations(
    document: &Document,
    seeds: usize,
) -> Result<Vec<Vec<Axis>>, Box<ConfigError>> {
    let mut all: Vec<Vec<Axis>> = vec![Vec::new()];
    let Some(Value::Object(sweep)) = document.value.get("sweep") else {
        return Ok(all);
    };
    for (path, values) in sweep {
        // one axis: at each of its points, the settings that it fixes
        let points: Vec<Vec<Axis>> = if path == "zip" {
            zipped(document, values)?
        } else {
            let source = vec!["sweep".to_owned(), path.clone()];
            let length = axis_length(document, &source, path, values)?;
            (0..length).map(|i| vec![point(&source, path, i)]).collect()
        };
        let cells = all.len() * points.len() * seeds;
        if cells > MOST_CELLS {
            let problem = Problem::new(format!(
                "the sweep makes {cells} cells up to here; at most {MOST_CELLS} are allowed"
            ));
            return Err(document.error(&["sweep".to_owned(), path.clone()], true, problem));
        }
        all = all
            .iter()
            .flat_map(|head| points.iter().map(move |p| [head.as_slice(), p].concat()))
            .collect();
    }
    Ok(all)
}

fn point(source: &[String], path: &str, index: usize) -> Axis {
    Axis {
        path: path.to_owned(),
        source: [source, &[index.to_string()]].concat(),
    }
}

fn zipped(document: &Document, values: &Value) -> Result<Vec<Vec<Axis>>, Box<ConfigError>> {
    let mut points: Vec<Vec<Axis>> = Vec::new();
    let mut first: Option<(&String, usize)> = None;
    for (path, list) in values.as_object().into_iter().flatten() {
        let source = vec!["sweep".to_owned(), "zip".to_owned(), path.clone()];
        if document.get(&["sweep".to_owned(), path.clone()]).is_some() {
            let problem = Problem::new("this setting is swept twice: in `zip` and beside it");
            return Err(document.error(&source, true, problem));
        }
        let length = axis_length(document, &source, path, list)?;
        let (other, expected) = *first.get_or_insert((path, length));
        if length != expected {
            let problem = Problem::new(format!(
                "zipped lists are equally long: `{other}` has {expected} values, this one {length}"
            ));
            return Err(document.error(&source, true, problem));
        }
        points.resize(length, Vec::new());
        for (index, settings) in points.iter_mut().enumerate() {
            settings.push(point(&source, path, index));
        }
    }
    Ok(if points.is_empty() {
        vec![Vec::new()]
    } else {
        points
    })
}

/// Checks one axis and returns its number of values.
fn axis_length(
    document: &Document,
    source: &[String],
    path: &str,
    values: &Value,
) -> Result<usize, Box<ConfigError>> {
    let root = path.split('.').next().unwrap_or_default();
    const ROOTS: [&str; 7] = [
        "task",
        "model",
        "lora",
        "train",
        "influence",
        "ground_truth",
        "store",
    ];
    if !ROOTS.contains(&root) {
        let problem = match root {
            "seed" | "seeds" => Problem::new("seeds are given by `seeds: [...]`, not swept"),
            _ => Problem::unknown("setting to sweep", root, ROOTS),
        };
        return Err(document.error(source, true, problem));
    }
    match values {
        Value::Array(list) if !list.is_empty() => {
            for (index, value) in list.iter().enumerate() {
                if list[..index].contains(value) {
                    let text = quote(&value.to_string());
                    let problem = Problem::new(format!("{text} is given twice"));
                    return Err(document.error(
                        &[source, &[index.to_string()]].concat(),
                        false,
                        problem,
                    ));
                }
            }
            Ok(list.len())
        }
        other => {
            let problem = Problem::new(format!(
                "expected a list of values with at least one item, found {}",
                document::describe(other)
            ));
            Err(document.error(source, false, problem))
        }
    }
}
