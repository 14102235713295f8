//! The records behind a page: one entry a setting with its cells, each environment and shared setting once.
//!
//! What a script needs to show a record whole (the numbers of every method, all settings) is JSON in columns,
//! rounded to [`DIGITS`] digits; the records themselves, with every digit, are in `records.jsonl`.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::environment::{Environments, facts};
use super::markup::bad;
use super::table::brief;
use crate::metrics::{Metric, find};
use crate::report::number::{self, MISSING};
use crate::report::study::{Group, Study, anchor, value_text};
use crate::results::record::{MethodRecord, Record, Status};

/// Significant digits of the embedded numbers.
const DIGITS: usize = 5;
/// Those of the ends of an interval.
const END_DIGITS: usize = 4;

/// Id of a record on the page.
pub fn record_anchor(record: &Record) -> String {
    format!("r-{}", record.cell.id)
}

/// Settings of all cells: what they share, and the leaves in which each differs.
pub struct Settings {
    /// The first cell's, complete.
    base: Value,
    /// Those leaves of it that every cell has.
    shared: Value,
    /// Of every cell, the leaves that differ from the first's; `None` for what it does not have.
    own: Vec<BTreeMap<String, Option<Value>>>,
}

impl Settings {
    /// Of the study's records, in their order.
    pub fn new(study: &Study) -> Self {
        let leaves: Vec<BTreeMap<String, Value>> = study
            .records
            .iter()
            .map(|record| {
                let mut leaves = BTreeMap::new();
                flatten("", &record.config, &mut leaves);
                leaves
            })
            .collect();
        let base = study
            .records
            .first()
            .map_or(Value::Null, |record| record.config.clone());
        let first = leaves.first().cloned().unwrap_or_default();
        let own = leaves
            .iter()
            .map(|leaves| {
                let changed = leaves
                    .iter()
                    .filter(|(path, value)| first.get(*path) != Some(*value))
                    .map(|(path, value)| (path.clone(), Some(value.clone())));
                let gone = first
                    .keys()
                    .filter(|path| !leaves.contains_key(*path))
                    .map(|path| (path.clone(), None));
                changed.chain(gone).collect()
            })
            .collect();
        let mut shared = base.clone();
        for path in first.keys() {
            if leaves.iter().any(|l| l.get(path) != first.get(path)) {
                remove(&mut shared, path);
            }
        }
        Self { base, shared, own }
    }

    /// The shared settings, to be read.
    pub fn html(&self) -> Markup {
        let text = serde_json::to_string_pretty(&self.shared).unwrap_or_default();
        html! { pre tabindex="0" { (text) } }
    }

    /// What the cells at these positions have of their own, where all of them agree.
    fn text(&self, varying: &[String], record: &Record) -> Markup {
        let mut leaves = BTreeMap::new();
        flatten("", &record.config, &mut leaves);
        let shown = |path| leaves.get(path).map_or(MISSING.to_owned(), value_text);
        html! {
            @for (i, path) in varying.iter().enumerate() {
                @if i > 0 { ", " }
                code { (path) " = " (shown(path)) }
            }
        }
    }

    /// Leaves that are not the same in all cells.
    fn varying(&self) -> Vec<String> {
        let mut paths: Vec<String> = self.own.iter().flat_map(|o| o.keys().cloned()).collect();
        paths.sort();
        paths.dedup();
        paths
    }
}

/// Leaves by their dotted paths; a list is a leaf.
fn flatten(path: &str, value: &Value, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                flatten(&path, value, leaves);
            }
        }
        other => {
            leaves.insert(path.to_owned(), other.clone());
        }
    }
}

/// Takes a leaf out, and the objects that it leaves empty.
fn remove(value: &mut Value, path: &str) {
    let (key, rest) = match path.split_once('.') {
        Some((key, rest)) => (key, Some(rest)),
        None => (path, None),
    };
    let Some(map) = value.as_object_mut() else {
        return;
    };
    let Some(rest) = rest else {
        map.shift_remove(key);
        return;
    };
    if let Some(inner) = map.get_mut(key) {
        remove(inner, rest);
        if inner.as_object().is_some_and(Map::is_empty) {
            map.shift_remove(key);
        }
    }
}

/// The entries, one a setting: `<details>` with a row a cell.
pub fn entries(study: &Study, settings: &Settings, environments: &Environments) -> Markup {
    let varying = settings.varying();
    let name = |group: &Group| {
        let mut name = [group.task.clone(), group.setting()].to_vec();
        name.retain(|text| !text.is_empty());
        name.join(", ")
    };
    let headers = [
        "Cell",
        "Seed",
        "Status",
        "Started (UTC)",
        "Wall time",
        "Computed on",
        "Gradients",
    ];
    let number = |header| matches!(header, "Seed" | "Wall time").then_some("n");
    html! {
        @for group in &study.groups {
            details.entry id=(anchor(group.index)) {
                summary { (name(group)) " · " (count(group.records.len(), "record")) (trouble(&group.records)) }
                @if let Some(first) = group.records.first().filter(|_| !varying.is_empty()) {
                    p.how {
                        "Its own settings: " (settings.text(&varying, first)) ". The others are "
                        a href="#settings" { "shared by all cells" } "."
                    }
                }
                div.scroll tabindex="0" role="region" aria-label="Cells" {
                    table {
                        thead { tr { @for header in headers { th scope="col" class=[number(header)] { (header) } } } }
                        tbody { @for record in &group.records { (row(record, environments)) } }
                    }
                }
            }
        }
    }
}

/// `3 records`
pub fn count(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What failed among the records of a setting.
fn trouble(records: &[&Record]) -> Markup {
    let cells = records
        .iter()
        .filter(|r| r.status == Status::Failed)
        .count();
    let methods: usize = records.iter().map(|record| failed_methods(record)).sum();
    let cells = (cells > 0).then(|| format!("{} failed", count(cells, "cell")));
    let methods = (methods > 0).then(|| format!("{} of a method", count(methods, "failure")));
    let parts: Vec<String> = cells.into_iter().chain(methods).collect();
    html! { @if !parts.is_empty() { " " (bad(&parts.join(", "))) } }
}

fn failed_methods(record: &Record) -> usize {
    let methods = record.methods.iter();
    methods.filter(|m| m.status == Status::Failed).count()
}

fn row(record: &Record, environments: &Environments) -> Markup {
    let reason = || record.error.as_deref().unwrap_or("no reason recorded");
    let environment = environments.of(record);
    html! {
        tr id=(record_anchor(record)) {
            td { code { (record.cell.id) } }
            td.n { (record.cell.seed) }
            td {
                @match (record.status, failed_methods(record)) {
                    (Status::Failed, _) => { (bad("failed")) ": " (reason()) },
                    (Status::Ok, 0) => { "ok" },
                    (Status::Ok, failed) => { (bad(&format!("{} failed", count(failed, "method")))) },
                }
            }
            td { (record.provenance.started) }
            td.n { (number::seconds(record.provenance.seconds)) }
            td { a href={ "#env-" (environment) } { "environment " (environment) } }
            td { (facts(record)) }
        }
    }
}

/// Everything that the page's script shows of the records.
pub fn data(study: &Study, settings: &Settings, environments: &Environments) -> Value {
    let mut metrics: Vec<&str> = Vec::new();
    // cases of a metric in most cells, said once
    let mut cases: BTreeMap<&str, BTreeMap<usize, usize>> = BTreeMap::new();
    let all = || study.records.iter().flat_map(|record| &record.methods);
    for value in all().flat_map(|method| &method.metrics) {
        if !metrics.contains(&value.metric.as_str()) {
            metrics.push(&value.metric);
        }
        *cases
            .entry(&value.metric)
            .or_default()
            .entry(value.cases)
            .or_default() += 1;
    }
    let usual: Vec<usize> = metrics
        .iter()
        .map(|metric| {
            let counts = &cases[metric];
            let most = counts.iter().max_by_key(|(_, times)| **times);
            most.map_or(0, |(cases, _)| *cases)
        })
        .collect();
    let names: Vec<String> = study
        .methods
        .iter()
        .map(|label| study.palette.style(label).name)
        .collect();
    let axes: Vec<&str> = study
        .records
        .iter()
        .flat_map(|record| record.cell.axes.keys().map(String::as_str))
        .fold(Vec::new(), |mut axes, axis| {
            if !axes.contains(&axis) {
                axes.push(axis);
            }
            axes
        });
    let position = |record: &Record| {
        let records = study.records.iter();
        records
            .clone()
            .position(|other| std::ptr::eq(*other, record))
    };
    let entries: Map<String, Value> = study
        .groups
        .iter()
        .map(|group| {
            let records = group.records.iter().map(|record| {
                let own = position(record).map(|at| &settings.own[at]);
                let mut value = json!({
                    "id": record.cell.id,
                    "seed": record.cell.seed,
                    "env": environments.of(record),
                    "started": record.provenance.started,
                    "seconds": short(record.provenance.seconds, DIGITS),
                    "m": record.methods.iter().map(|m| method(study, &metrics, &usual, m)).collect::<Vec<_>>(),
                });
                if let Some(own) = own.filter(|own| !own.is_empty()) {
                    value["set"] = json!(own.iter().filter(|o| o.1.is_some()).collect::<BTreeMap<_, _>>());
                    let gone: Vec<_> = own.iter().filter(|o| o.1.is_none()).map(|o| o.0).collect();
                    if !gone.is_empty() {
                        value["unset"] = json!(gone);
                    }
                }
                if record.status == Status::Failed {
                    value["failed"] = json!(record.error);
                }
                value
            });
            let entry = json!({
                "task": group.task,
                "axes": axes.iter().map(|axis| group.records[0].cell.axes.get(*axis)).collect::<Vec<_>>(),
                "records": records.collect::<Vec<_>>(),
            });
            (anchor(group.index), entry)
        })
        .collect();
    let experiment = study.records.first().map(|record| &record.experiment);
    json!({
        "experiment": experiment,
        "methods": study.methods,
        "names": names,
        "metrics": metrics,
        "titles": metrics.iter().map(|m| find(m).map_or_else(|| (*m).to_owned(), Metric::label)).collect::<Vec<_>>(),
        "cases": usual,
        "axes": axes,
        "config": settings.base,
        "entries": entries,
    })
}

/// `[method, error, [[value, low, high, cases, undefined], …], [prepare, apply, score], [bytes …], residual,
/// iterations, solver, not converged, scores not finite]`, without the `null` and `0` at its end.
fn method(study: &Study, metrics: &[&str], usual: &[usize], record: &MethodRecord) -> Value {
    let at = study
        .methods
        .iter()
        .position(|label| *label == record.label);
    let error = match record.status {
        Status::Ok => Value::Null,
        Status::Failed => json!(record.error.as_deref().unwrap_or("no reason recorded")),
    };
    let values: Vec<Value> = metrics
        .iter()
        .zip(usual)
        .map(|(metric, usual)| {
            let Some(value) = record.metrics.iter().find(|v| v.metric == *metric) else {
                return Value::Null;
            };
            if value.cases == 0 {
                return Value::Null;
            }
            let end = |x: Option<f64>| x.map_or(Value::Null, |x| short(x, END_DIGITS));
            let mut list = vec![
                value.value.map_or(Value::Null, |x| short(x, DIGITS)),
                end(value.low),
                end(value.high),
            ];
            if value.cases != *usual || value.undefined > 0 {
                list.extend([json!(value.cases), json!(value.undefined)]);
            }
            trimmed(list)
        })
        .collect();
    let seconds = record.seconds.as_ref().map_or(Value::Null, |s| {
        json!([s.prepare, s.apply, s.score].map(|x| short(x, END_DIGITS)))
    });
    let bytes = record
        .peak_bytes
        .as_ref()
        .map_or(Value::Null, |b| json!([b.prepare, b.apply, b.score]));
    let evidence = &record.evidence;
    let tail = |count: usize| if count > 0 { json!(count) } else { Value::Null };
    trimmed(vec![
        json!(at),
        error,
        trimmed(values),
        seconds,
        bytes,
        match evidence.residual {
            Some(_) if evidence.not_finite() => json!("not finite"),
            residual => residual.map_or(Value::Null, |x| short(x, 3)),
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
pub fn short(x: f64, digits: usize) -> Value {
    if !x.is_finite() {
        return Value::Null;
    }
    let rounded: f64 = brief(x, digits).parse().unwrap_or(x);
    if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
        json!(rounded as i64)
    } else {
        json!(rounded)
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
        let study = Study::new(&records);
        let settings = Settings::new(&study);
        assert_eq!(settings.varying(), ["influence.damping", "lora.rank"]);
        let shared = settings.html().0;
        assert!(
            shared.contains("digits") && !shared.contains("damping"),
            "{shared}"
        );
        let environments = Environments::new(&study);
        let data = data(&study, &settings, &environments);
        let list = data["entries"].as_object().expect("by their anchors");
        assert_eq!(list.len(), 8);
        let all: Vec<&Value> = list
            .values()
            .flat_map(|entry| entry["records"].as_array().expect("a list"))
            .collect();
        assert_eq!(all.len(), records.len());
        let with = |key: &str| all.iter().filter(|r| r["set"].get(key).is_some()).count();
        assert_eq!((with("influence.damping"), with("lora.rank")), (8, 1));
    }

    #[test]
    fn numbers_of_a_method_keep_their_places() {
        let records = synthetic::rank();
        let study = Study::new(&records);
        let (settings, environments) = (Settings::new(&study), Environments::new(&study));
        let data = data(&study, &settings, &environments);
        // LiSSA at rank 1 of digits: undefined in all its cases
        let cell = &data["entries"]["e0"]["records"][0];
        let at = study
            .methods
            .iter()
            .position(|m| m == "lissa")
            .expect("listed");
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
