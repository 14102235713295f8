//! One side of a comparison: what is compared, cell by cell, and which cells of two sides belong together.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::error::CompareError;
use super::tensors::{self, TensorFile};
use super::text::setting;
use crate::progress::count;
use crate::results::files::{Entry, entries};
use crate::results::record::Record;
use crate::results::theory;

/// Cells named that only one side has.
const NAMED: usize = 8;

/// Files of a folder that stand for it.
const FILES: [&str; 5] = [
    "theory.json",
    "theory.json.gz",
    "records.jsonl",
    "records.jsonl.gz",
    "results.jsonl",
];

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
        let side = |kind, items| Self {
            path: path.to_owned(),
            kind,
            items,
        };
        if path.is_file() {
            let is_tensors = path.extension().is_some_and(|e| e == "safetensors");
            let folder = path.parent().filter(|parent| parent.is_dir());
            return match path.file_name().and_then(|name| name.to_str()) {
                Some(name) if FILES.contains(&name) => Self::read(folder.unwrap_or(Path::new("."))),
                _ if is_tensors => Ok(side("scores", vec![scores(path)?])),
                _ => Err(CompareError::Unknown {
                    path: path.to_owned(),
                }),
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
        let path = self.path.display();
        match self.items.first().and_then(|item| item.record.as_ref()) {
            Some(record) => {
                let cells = count(self.items.len(), "cell");
                format!("{path} ({}, {cells})", record.experiment)
            }
            None => format!("{path} ({})", self.kind),
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
    let mut settings = taken(
        &mut value,
        &["schema", "experiment", "profile", "description"],
    );
    settings.insert("cell.index".to_owned(), json!(record.cell.index));
    if let Value::Object(config) = take(&mut value, "config") {
        settings.extend(config);
    }
    take(&mut value, "cell");
    let id = &record.cell.id;
    Item {
        place: format!("{place}, {} ({id})", title(&record)),
        settings: settings.into(),
        environment: environment(&mut value),
        results: value,
        tensors: tensors::of_cell(root, id),
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
    let asked = [
        "schema",
        "experiment",
        "description",
        "base",
        "base_axes",
        "varied",
    ];
    let settings = taken(&mut value, &asked).into();
    let environment = environment(&mut value);
    for entry in value["growth"].as_array_mut().into_iter().flatten() {
        taken(entry, &["points", "slope", "interval", "verdict", "reason"]);
    }
    let claims = value["claims"].as_array_mut().into_iter().flatten();
    for claim in claims.filter(|claim| claim["name"] == theory::TIMED) {
        taken(
            claim,
            &["verdict", "held", "violated", "untested", "reason", "worst"],
        );
    }
    Item {
        place: root.join("theory.json").display().to_string(),
        settings,
        environment,
        results: value,
        tensors: Vec::new(),
        record: None,
    }
}

/// A file of scores in parts; its metadata are JSON texts, and may be missing.
fn scores(path: &Path) -> Result<Item, CompareError> {
    let metadata = tensors::metadata(path)?.into_iter();
    let read = |text: String| serde_json::from_str(&text).unwrap_or(Value::from(text));
    let mut results: Value = metadata.map(|(key, text)| (key, read(text))).collect();
    Ok(Item {
        place: path.display().to_string(),
        settings: take(&mut results, "settings"),
        environment: take(&mut results, "infbench"),
        results,
        tensors: vec![("scores".to_owned(), path.to_owned())],
        record: None,
    })
}

/// The environment of a record or a theory experiment, without its times.
fn environment(value: &mut Value) -> Value {
    let mut provenance = take(value, "provenance");
    taken(&mut provenance, &["started", "seconds"]);
    provenance
}

/// Removes a field; null when there is none. The order of the others stays.
fn take(value: &mut Value, key: &str) -> Value {
    let map = value.as_object_mut();
    map.and_then(|map| map.shift_remove(key))
        .unwrap_or_default()
}

/// Removes fields; null for those that are not there.
fn taken(value: &mut Value, keys: &[&str]) -> Map<String, Value> {
    let keys = keys.iter().map(|key| ((*key).to_owned(), take(value, key)));
    keys.collect()
}

/// Which items of two sides belong together.
pub struct Matched<'s> {
    /// Those with a twin, in the order of the first side.
    pub pairs: Vec<[&'s Item; 2]>,
    /// How many of the pairs have the same content hash.
    same: usize,
    /// Those without.
    alone: [Vec<&'s Item>; 2],
}

/// Cells with the same content hash, then those at the same place of the grid: the same swept settings and seed.
pub fn matched([a, b]: &[Side; 2]) -> Matched<'_> {
    let id = |item: &Item| item.record.as_ref().map(|record| record.cell.id.clone());
    let place = |item: &Item| {
        let cell = item.record.as_ref().map(|record| &record.cell);
        cell.map(|cell| (cell.axes.clone(), cell.seed))
    };
    let mut left: Vec<(usize, &Item)> = a.items.iter().enumerate().collect();
    let mut right: Vec<&Item> = b.items.iter().collect();
    let (mut pairs, mut same) = (Vec::new(), 0);
    for by_hash in [true, false] {
        left.retain(|(at, item)| {
            let twin = right.iter().position(|other| match by_hash {
                true => id(item) == id(other),
                false => place(item) == place(other),
            });
            pairs.extend(twin.map(|twin| (*at, [*item, right.remove(twin)])));
            twin.is_none()
        });
        if by_hash {
            same = pairs.len();
        }
    }
    pairs.sort_by_key(|(at, _)| *at);
    Matched {
        pairs: pairs.into_iter().map(|(_, pair)| pair).collect(),
        same,
        alone: [left.into_iter().map(|(_, item)| item).collect(), right],
    }
}

impl Matched<'_> {
    /// Items that only one side has.
    pub fn alone(&self) -> usize {
        self.alone.iter().map(Vec::len).sum()
    }

    /// Which cells are compared, and which are not; nothing of what has no cells.
    pub fn text(&self) -> String {
        let pairs = self.pairs.iter().flatten();
        let mut items = pairs.chain(self.alone.iter().flatten());
        if items.all(|item| item.record.is_none()) {
            return String::new();
        }
        let mut text = format!(
            "Cells: {} with the same content hash, {} at the same place of the grid with other settings\n",
            self.same,
            self.pairs.len() - self.same
        );
        for (name, alone) in ["A", "B"].iter().zip(&self.alone) {
            let records = alone.iter().filter_map(|item| item.record.as_ref());
            let mut titles: Vec<String> = records.map(title).collect();
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
