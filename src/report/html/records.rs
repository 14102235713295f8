//! The records behind a page: one entry a setting with its cells, each environment and shared setting once.
//!
//! What a script needs to show a record whole (the numbers of every method, all settings) is JSON in columns,
//! rounded to [`DIGITS`] digits; the records themselves, with every digit, are in `records.jsonl`.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::environment::{Environments, gradients_text};
use super::markup::{bad, how};
use super::section::Section;
use super::table::{brief, of_class};
use crate::metrics::{Metric, find};
use crate::progress::count;
use crate::report::data::{ResultSet, anchor, distinct, failed_methods, value_text};
use crate::report::number::{self, MISSING};
use crate::report::tables::{Cell, Columns, Table, damping_text, record_anchor};
use crate::results::record::{MethodRecord, Record, Status};

/// Significant digits of the embedded numbers.
const DIGITS: usize = 5;
/// Those of the ends of an interval.
const END_DIGITS: usize = 4;

/// The sections of the records and of their settings and environments, and the data of the page's script.
pub fn sections(results: &ResultSet) -> ([Section; 2], Value) {
    let settings = Settings::new(results);
    let environments = Environments::new(results);
    let records = html! {
        (how("One entry a setting, with a cell for every seed. Points of figures and rows of tables lead here. \
              Numbers of single cells are rounded; `records.jsonl` has every digit."))
        (entries(results, &settings, &environments))
    };
    let shared = serde_json::to_string_pretty(&settings.shared).unwrap_or_default();
    let setup = html! {
        p.how { (damping_text(results)) }
        (environments.html())
        details { summary { "Settings that all cells share" } pre tabindex="0" { (shared) } }
    };
    let sections = [
        Section::new("records", "Records", records),
        Section::new("settings", "Settings and environment", setup),
    ];
    (sections, data(results, &settings, &environments))
}

/// Settings of all cells: what they share, and the leaves in which each differs.
struct Settings {
    /// The first cell's, complete.
    base: Value,
    /// Those leaves of it that every cell has.
    shared: Value,
    /// Of every cell, the leaves that differ from the first's; `None` for what it does not have.
    own: Vec<BTreeMap<String, Option<Value>>>,
}

impl Settings {
    /// Of the records, in their order.
    fn new(results: &ResultSet) -> Self {
        let leaves: Vec<_> = results.records.iter().map(|r| flat(r)).collect();
        let base = results.records.first().map(|record| record.config.clone());
        let base = base.unwrap_or_default();
        let first = leaves.first().cloned().unwrap_or_default();
        let differing = |own: &BTreeMap<String, Value>| {
            let paths = first.keys().chain(own.keys());
            let paths = paths.filter(|path| first.get(*path) != own.get(*path));
            paths.map(|p| (p.clone(), own.get(p).cloned())).collect()
        };
        let own: Vec<BTreeMap<_, _>> = leaves.iter().map(differing).collect();
        let mut shared = base.clone();
        for path in own.iter().flat_map(BTreeMap::keys) {
            remove(&mut shared, path);
        }
        Self { base, shared, own }
    }

    /// Leaves that are not the same in all cells.
    fn varying(&self) -> Vec<&String> {
        let mut paths: Vec<&String> = self.own.iter().flat_map(BTreeMap::keys).collect();
        paths.sort();
        paths.dedup();
        paths
    }
}

/// Settings of a cell by their dotted paths; a list is a leaf.
fn flat(record: &Record) -> BTreeMap<String, Value> {
    fn add(path: &str, value: &Value, leaves: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (key, value) in map {
                    let path = format!("{path}.{key}");
                    add(path.trim_start_matches('.'), value, leaves);
                }
            }
            leaf => {
                leaves.insert(path.to_owned(), leaf.clone());
            }
        }
    }
    let mut leaves = BTreeMap::new();
    add("", &record.config, &mut leaves);
    leaves
}

/// Takes a leaf out, and the objects that it leaves empty.
fn remove(value: &mut Value, path: &str) {
    let Some(map) = value.as_object_mut() else {
        return;
    };
    let (key, rest) = path.split_once('.').unwrap_or((path, ""));
    if let Some(inner) = map.get_mut(key).filter(|_| !rest.is_empty()) {
        remove(inner, rest);
    }
    let emptied = |value: &Value| value.as_object().is_some_and(Map::is_empty);
    if rest.is_empty() || map.get(key).is_some_and(emptied) {
        map.shift_remove(key);
    }
}

/// The entries, one a setting: `<details>` with a row a cell.
fn entries(results: &ResultSet, settings: &Settings, environments: &Environments) -> Markup {
    let varying = settings.varying();
    html! {
        @for group in &results.groups {
            details.entry id=(anchor(group.index)) {
                summary { (group.name()) " · " (count(group.records.len(), "record")) (trouble(&group.records)) }
                @if !varying.is_empty() {
                    @let leaves = flat(group.records[0]);
                    p.how {
                        "Its own settings: "
                        @for (i, path) in varying.iter().enumerate() {
                            @if i > 0 { ", " }
                            code { (path) " = " (leaves.get(*path).map_or(MISSING.to_owned(), value_text)) }
                        }
                        ". The others are " a href="#settings" { "shared by all cells" } "."
                    }
                }
                (of_class(&cells(&group.records, environments), "lead"))
            }
        }
    }
}

/// What failed among the records of a setting.
fn trouble(records: &[&Record]) -> Markup {
    let failed = records.iter().filter(|r| r.status == Status::Failed);
    let (cells, methods): (usize, usize) = (
        failed.count(),
        records.iter().map(|r| failed_methods(r)).sum(),
    );
    let mut parts = Vec::new();
    if cells > 0 {
        parts.push(format!("{} failed", count(cells, "cell")));
    }
    if methods > 0 {
        parts.push(format!("{} of a method", count(methods, "failure")));
    }
    html! { @if !parts.is_empty() { " " (bad(&parts.join(", "))) } }
}

/// A row a cell.
fn cells(records: &[&Record], environments: &Environments) -> Table {
    let status = |record: &&Record| {
        let reason = || record.error.as_deref().unwrap_or("no reason recorded");
        let (text, class) = match (record.status, failed_methods(record)) {
            (Status::Failed, _) => (format!("failed: {}", reason()), Some("bad")),
            (Status::Ok, 0) => ("ok".to_owned(), None),
            (Status::Ok, failed) => (format!("{} failed", count(failed, "method")), Some("bad")),
        };
        Cell {
            class,
            ..Cell::text(text)
        }
    };
    let table = Columns::new()
        .text("Cell", |record: &&Record| format!("`{}`", record.cell.id))
        .add("Seed", |record| {
            Cell::sorted(record.cell.seed.to_string(), record.cell.seed as f64)
        })
        .add("Status", status)
        .text("Started (UTC)", |record| &record.provenance.started)
        .number("Wall time", number::seconds, |record| {
            Some(record.provenance.seconds)
        })
        .add("Computed on", |record| {
            let environment = environments.of(record);
            Cell::text(format!("environment {environment}")).link(format!("env-{environment}"))
        })
        .text("Gradients", |record| gradients_text(record))
        .whole("Cells", "", records.iter().copied());
    Table {
        row_ids: records.iter().map(|record| record_anchor(record)).collect(),
        ..table
    }
}

/// Everything that the page's script shows of the records.
fn data(results: &ResultSet, settings: &Settings, environments: &Environments) -> Value {
    let values = || {
        let methods = results.records.iter().flat_map(|record| &record.methods);
        methods.flat_map(|method| &method.metrics)
    };
    // with its cases in most cells, which are said once
    let names = distinct(values().map(|value| value.metric.as_str()));
    let usual = |metric: &str| {
        let mut times: BTreeMap<usize, usize> = BTreeMap::new();
        for value in values().filter(|value| value.metric == metric) {
            *times.entry(value.cases).or_default() += 1;
        }
        let most = times.into_iter().max_by_key(|(_, times)| *times);
        most.map_or(0, |(cases, _)| cases)
    };
    let metrics: Vec<(&str, usize)> = names.into_iter().map(|name| (name, usual(name))).collect();
    let title = |name: &str| find(name).map_or(name.to_owned(), Metric::label);
    let name = |label: &String| results.palette.name(label);
    let records = results.records.iter();
    let axes = distinct(records.flat_map(|record| record.cell.axes.keys()));
    let of_record = |record: &&Record| {
        let own = results.records.iter().zip(&settings.own);
        let mut own = own.filter(|(other, _)| std::ptr::eq(**other, *record));
        let methods = record.methods.iter();
        let mut value = json!({
            "id": record.cell.id,
            "seed": record.cell.seed,
            "env": environments.of(record),
            "started": record.provenance.started,
            "seconds": short(record.provenance.seconds, DIGITS),
            "m": methods.map(|m| method(results, &metrics, m)).collect::<Vec<_>>(),
        });
        if let Some((_, own)) = own.next().filter(|(_, own)| !own.is_empty()) {
            let (mut set, mut unset) = (Map::new(), Vec::new());
            for (path, own) in own {
                match own {
                    Some(own) => _ = set.insert(path.clone(), own.clone()),
                    None => unset.push(path),
                }
            }
            value["set"] = set.into();
            if !unset.is_empty() {
                value["unset"] = json!(unset);
            }
        }
        if record.status == Status::Failed {
            value["failed"] = json!(record.error);
        }
        value
    };
    let entries = results.groups.iter().map(|group| {
        let own = &group.records[0].cell.axes;
        let entry = json!({
            "task": group.task,
            "axes": axes.iter().map(|axis| own.get(*axis)).collect::<Vec<_>>(),
            "records": group.records.iter().map(of_record).collect::<Vec<_>>(),
        });
        (anchor(group.index), entry)
    });
    let entries: Map<String, Value> = entries.collect();
    json!({
        "experiment": results.records.first().map(|record| &record.experiment),
        "methods": results.methods,
        "names": results.methods.iter().map(name).collect::<Vec<_>>(),
        "metrics": metrics.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "titles": metrics.iter().map(|(name, _)| title(name)).collect::<Vec<_>>(),
        "cases": metrics.iter().map(|(_, cases)| cases).collect::<Vec<_>>(),
        "axes": axes,
        "config": settings.base,
        "entries": entries,
    })
}

/// `[method, error, [[value, low, high, cases, undefined], …], [prepare, apply, score], [bytes …], residual,
/// iterations, solver, not converged, scores not finite]`, without the `null` and `0` at its end.
fn method(results: &ResultSet, metrics: &[(&str, usize)], record: &MethodRecord) -> Value {
    let error = match record.status {
        Status::Ok => Value::Null,
        Status::Failed => json!(record.error.as_deref().unwrap_or("no reason recorded")),
    };
    let rounded = |x: Option<f64>, digits| x.map_or(Value::Null, |x| short(x, digits));
    let values = metrics.iter().map(|(metric, usual)| {
        let mut values = record.metrics.iter();
        let Some(value) = values.find(|v| v.metric == *metric && v.cases > 0) else {
            return Value::Null;
        };
        let ends = [value.low, value.high].map(|end| rounded(end, END_DIGITS));
        let mut list = vec![rounded(value.value, DIGITS)];
        list.extend(ends);
        if value.cases != *usual || value.undefined > 0 {
            list.extend([json!(value.cases), json!(value.undefined)]);
        }
        trimmed(list)
    });
    let seconds = record.seconds.as_ref();
    let bytes = record.peak_bytes.as_ref();
    let evidence = &record.evidence;
    let tail = |count: usize| if count > 0 { json!(count) } else { Value::Null };
    trimmed(vec![
        json!(results.place(&record.label)),
        error,
        trimmed(values.collect()),
        json!(seconds.map(|s| [s.prepare, s.apply, s.score].map(|x| short(x, END_DIGITS)))),
        json!(bytes.map(|b| [b.prepare, b.apply, b.score])),
        match evidence.residual {
            Some(_) if evidence.not_finite() => json!("not finite"),
            residual => rounded(residual, 3),
        },
        json!(evidence.iterations),
        json!(evidence.solver),
        tail(evidence.not_converged),
        tail(record.non_finite),
    ])
}

/// Without the `null`s at its end.
fn trimmed(mut list: Vec<Value>) -> Value {
    while list.last().is_some_and(Value::is_null) {
        list.pop();
    }
    Value::Array(list)
}

/// A number with few digits; a whole one without a point.
fn short(x: f64, digits: usize) -> Value {
    if !x.is_finite() {
        return Value::Null;
    }
    let rounded: f64 = brief(x, digits).parse().unwrap_or(x);
    match rounded.fract() == 0.0 && rounded.abs() < 1e15 {
        true => json!(rounded as i64),
        false => json!(rounded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn shared_settings_are_said_once_and_the_others_where_they_differ() {
        let mut records = synthetic::layers();
        records[3].config["lora"] = json!({"rank": 2});
        let results = ResultSet::new(&records);
        let settings = Settings::new(&results);
        assert_eq!(settings.varying(), ["influence.damping", "lora.rank"]);
        let shared = settings.shared.to_string();
        assert!(
            shared.contains("digits") && !shared.contains("damping"),
            "{shared}"
        );
    }

    #[test]
    fn numbers_of_a_method_keep_their_places() {
        let records = synthetic::rank();
        let results = ResultSet::new(&records);
        let (settings, environments) = (Settings::new(&results), Environments::new(&results));
        let data = data(&results, &settings, &environments);
        // LiSSA at rank 1 of digits: undefined in all its cases
        let cell = &data["entries"]["e0"]["records"][0];
        let at = results.place("lissa").expect("listed");
        let lissa = &cell["m"][at];
        assert_eq!(lissa[0], at);
        assert_eq!(lissa[2][0], json!([null, null, null, 100, 100]));
        let exact = &cell["m"][0];
        assert_eq!(exact[2][0], json!([1, 0.98, 1.02]));
        assert_eq!(exact[7], "dual");
        assert_eq!(short(f64::NAN, 3), Value::Null);
        assert_eq!(short(0.123456, 3), json!(0.123));
    }
}
