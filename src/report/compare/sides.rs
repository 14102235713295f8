//! One side of a comparison: what is compared, cell by cell, and which cells of two sides belong together.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::error::CompareError;
use super::tensors::{self, TensorFile};
use super::text::{plural, setting};
use crate::results::files::{Entry, entries};
use crate::results::record::Record;
use crate::results::theory;

/// Cells named that only one side has.
const NAMED: usize = 8;

/// One thing that has a twin on the other side: a cell, the findings of a theory experiment, a file of scores.
pub struct Item {
    /// File and cell, for messages.
    pub place: String,
    /// What was asked for.
    pub settings: Value,
    /// Where it was computed.
    pub environment: Value,
    /// What was found.
    pub results: Value,
    /// Files of tensors that belong to it: their name without what identifies the cell, and where they are.
    pub tensors: Vec<TensorFile>,
    /// The record of a cell.
    pub record: Option<Record>,
}

/// One side.
pub struct Side {
    path: PathBuf,
    kind: &'static str,
    items: Vec<Item>,
}

impl Side {
    /// Reads a folder or a file.
    ///
    /// # Errors
    /// What is no result, and what cannot be read.
    pub fn read(path: &Path) -> Result<Self, CompareError> {
        let unknown = || CompareError::Unknown {
            path: path.to_owned(),
        };
        let side = |kind, items| Self {
            path: path.to_owned(),
            kind,
            items,
        };
        if path.is_file() {
            let is_tensors = path.extension().is_some_and(|e| e == "safetensors");
            return match path.file_name().and_then(|name| name.to_str()) {
                Some(
                    "theory.json" | "theory.json.gz" | "records.jsonl" | "records.jsonl.gz"
                    | "results.jsonl",
                ) => Self::read(
                    path.parent()
                        .filter(|p| p.is_dir())
                        .unwrap_or(Path::new(".")),
                ),
                _ if is_tensors => Ok(side("scores", vec![scores(path)?])),
                _ => Err(unknown()),
            };
        }
        if let Some(findings) = theory::load_json(path)? {
            return Ok(side("theory.json", vec![findings_item(path, findings)]));
        }
        let records = entries(path)?;
        let items = records.into_iter().map(|entry| cell(path, entry));
        Ok(side("records of cells", items.collect()))
    }

    /// What is compared.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Path and size.
    pub fn title(&self) -> String {
        let count = self.items.len();
        match self.items.first().and_then(|item| item.record.as_ref()) {
            Some(record) => format!(
                "{} ({}, {count} cell{})",
                self.path.display(),
                record.experiment,
                plural(count)
            ),
            None => format!("{} ({})", self.path.display(), self.kind),
        }
    }
}

/// A cell's record in parts.
fn cell(root: &Path, entry: Entry) -> Item {
    let Entry {
        place,
        mut value,
        record,
    } = entry;
    let id = record.cell.id.clone();
    let mut settings = Map::new();
    for key in ["schema", "experiment", "profile", "description"] {
        settings.insert(key.to_owned(), take(&mut value, key));
    }
    settings.insert("cell.index".to_owned(), json!(record.cell.index));
    if let Value::Object(config) = take(&mut value, "config") {
        settings.extend(config);
    }
    take(&mut value, "cell");
    Item {
        place: format!("{place}, {} ({id})", title(&record)),
        settings: settings.into(),
        environment: environment(take(&mut value, "provenance")),
        results: value,
        tensors: tensors::of_cell(root, &id),
        record: Some(record),
    }
}

/// `lora.rank=1 seed=0`
fn title(record: &Record) -> String {
    let axes = record.cell.axes.iter();
    let axes = axes.map(|(axis, value)| format!("{axis}={} ", setting(Some(value))));
    format!("{}seed={}", axes.collect::<String>(), record.cell.seed)
}

/// A theory experiment in parts. Table 1 is measured anew: only what it says of which method is compared.
fn findings_item(root: &Path, mut value: Value) -> Item {
    let mut settings = Map::new();
    for key in [
        "schema",
        "experiment",
        "description",
        "base",
        "base_axes",
        "varied",
    ] {
        settings.insert(key.to_owned(), take(&mut value, key));
    }
    let environment = environment(take(&mut value, "provenance"));
    let list = |value: &mut Value, key: &str| match take(value, key) {
        Value::Array(list) => list,
        _ => Vec::new(),
    };
    let growth = list(&mut value, "growth").into_iter().map(|mut entry| {
        for key in ["points", "slope", "interval", "verdict", "reason"] {
            take(&mut entry, key);
        }
        entry
    });
    let growth: Vec<Value> = growth.collect();
    let timed = theory::TIMED;
    let claims = list(&mut value, "claims").into_iter().map(|mut claim| {
        if claim["name"] == timed {
            for key in ["verdict", "held", "violated", "untested", "reason", "worst"] {
                take(&mut claim, key);
            }
        }
        claim
    });
    let claims: Vec<Value> = claims.collect();
    value["claims"] = claims.into();
    value["growth"] = growth.into();
    Item {
        place: root.join("theory.json").display().to_string(),
        settings: settings.into(),
        environment,
        results: value,
        tensors: Vec::new(),
        record: None,
    }
}

/// A file of scores in parts; its metadata are JSON texts, and may be missing.
fn scores(path: &Path) -> Result<Item, CompareError> {
    let mut metadata = tensors::metadata(path)?;
    let mut text = |key: &str| {
        let text = metadata.remove(key);
        text.map_or(Value::Null, |text| {
            serde_json::from_str(&text).unwrap_or(Value::from(text))
        })
    };
    let (settings, environment) = (text("settings"), text("infbench"));
    Ok(Item {
        place: path.display().to_string(),
        settings,
        environment,
        results: serde_json::to_value(&metadata)
            .map(parsed)
            .unwrap_or_default(),
        tensors: vec![("scores".to_owned(), path.to_owned())],
        record: None,
    })
}

/// JSON texts read as JSON.
fn parsed(value: Value) -> Value {
    let Value::Object(map) = value else {
        return value;
    };
    let read = |value: Value| {
        let text = value
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok());
        text.unwrap_or(value)
    };
    map.into_iter()
        .map(|(key, value)| (key, read(value)))
        .collect()
}

/// An environment without its times.
fn environment(mut provenance: Value) -> Value {
    for key in ["started", "seconds"] {
        take(&mut provenance, key);
    }
    provenance
}

/// Removes a field; null when there is none. The order of the others stays.
fn take(value: &mut Value, key: &str) -> Value {
    let map = value.as_object_mut();
    map.and_then(|map| map.shift_remove(key))
        .unwrap_or_default()
}

/// Which items of two sides belong together.
pub struct Matched {
    /// Positions on both sides, and whether their content hashes agree.
    pairs: Vec<(usize, usize, bool)>,
    /// Positions that have no twin.
    alone: [Vec<usize>; 2],
}

/// Cells with the same content hash, then those at the same place of the grid: the same swept settings and seed.
pub fn matched(a: &Side, b: &Side) -> Matched {
    let mut free: Vec<usize> = (0..b.items.len()).collect();
    let mut twins: Vec<Option<(usize, bool)>> = vec![None; a.items.len()];
    let id = |item: &Item| item.record.as_ref().map(|record| record.cell.id.clone());
    let place = |item: &Item| {
        let record = item.record.as_ref();
        record.map(|record| (record.cell.axes.clone(), record.cell.seed))
    };
    for by_hash in [true, false] {
        for (i, twin) in twins
            .iter_mut()
            .enumerate()
            .filter(|(_, twin)| twin.is_none())
        {
            let item = &a.items[i];
            let found = free.iter().position(|&j| {
                let other = &b.items[j];
                if by_hash {
                    id(item) == id(other)
                } else {
                    place(item) == place(other)
                }
            });
            *twin = found.map(|at| (free.remove(at), by_hash));
        }
    }
    let pairs = twins.iter().enumerate();
    Matched {
        pairs: pairs
            .clone()
            .filter_map(|(i, twin)| twin.map(|(j, by_hash)| (i, j, by_hash)))
            .collect(),
        alone: [
            pairs
                .filter(|(_, twin)| twin.is_none())
                .map(|(i, _)| i)
                .collect(),
            free,
        ],
    }
}

impl Matched {
    /// The items that belong together.
    pub fn items<'s>(&'s self, sides: &'s [Side; 2]) -> impl Iterator<Item = [&'s Item; 2]> {
        let [a, b] = sides;
        let pairs = self.pairs.iter();
        pairs.map(|&(i, j, _)| [&a.items[i], &b.items[j]])
    }

    /// Items that only one side has.
    pub fn alone(&self) -> usize {
        self.alone.iter().map(Vec::len).sum()
    }

    /// Which cells are compared, and which are not.
    pub fn text(&self, sides: &[Side; 2]) -> String {
        if sides
            .iter()
            .flat_map(|side| &side.items)
            .all(|item| item.record.is_none())
        {
            return String::new();
        }
        let same = self.pairs.iter().filter(|(.., by_hash)| *by_hash).count();
        let mut text = format!(
            "Cells: {same} with the same content hash, {} at the same place of the grid with other settings\n",
            self.pairs.len() - same
        );
        for ((name, side), alone) in ["A", "B"].iter().zip(sides).zip(&self.alone) {
            let record = |i: &usize| side.items[*i].record.as_ref();
            let mut titles: Vec<String> = alone.iter().filter_map(record).map(title).collect();
            let more = titles.len().saturating_sub(NAMED);
            titles.truncate(NAMED);
            if more > 0 {
                titles.push(format!("and {more} more"));
            }
            if !titles.is_empty() {
                text.push_str(&format!("Only in {name}: {}\n", titles.join("; ")));
            }
        }
        text
    }
}
