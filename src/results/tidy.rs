//! The tidy table: one row a cell, method and metric.

use serde_json::Value;

use super::record::{MethodRecord, Record, Status};
use crate::metrics::MetricValue;

/// Columns before the swept settings.
const HEAD: [&str; 4] = ["experiment", "cell", "seed", "task"];
/// Columns after the swept settings.
const TAIL: [&str; 8] = [
    "method",
    "status",
    "metric",
    "value",
    "low",
    "high",
    "cases",
    "undefined",
];

/// The records as CSV: a row for every cell × method × metric, with the swept settings as columns.
///
/// A gap in parts has rows for the gap, and of every part for what the agreement loses there, the agreement below
/// it, and the size of the switch: `lds_50/gap`, `lds_50/loss/fisher`, `lds_50/agreement/fisher`,
/// `lds_50/size/fisher`.
///
/// Beside the metrics there are rows for `prepare_seconds`, `apply_seconds`, `score_seconds`,
/// `peak_bytes`, `residual` and `non_finite`. Missing numbers are empty. A failed cell has one row.
pub fn csv(records: &[Record]) -> Vec<u8> {
    let mut axes: Vec<&String> = Vec::new();
    for axis in records.iter().flat_map(|r| r.cell.axes.keys()) {
        if !axes.contains(&axis) {
            axes.push(axis);
        }
    }
    let mut table = csv::Writer::from_writer(Vec::new());
    let header = HEAD
        .iter()
        .copied()
        .chain(axes.iter().map(|a| a.as_str()))
        .chain(TAIL);
    table.write_record(header).expect("memory takes every row");
    for record in records {
        let mut head = vec![
            record.experiment.clone(),
            record.cell.id.clone(),
            record.cell.seed.to_string(),
        ];
        head.push(
            record
                .task
                .as_ref()
                .map(|t| t.name.clone())
                .unwrap_or_default(),
        );
        head.extend(
            axes.iter()
                .map(|axis| record.cell.axes.get(*axis).map_or_else(String::new, plain)),
        );
        let mut row = |tail: [String; 8]| {
            table
                .write_record(head.iter().chain(&tail))
                .expect("memory takes every row")
        };
        if record.status == Status::Failed {
            let mut tail: [String; 8] = Default::default();
            tail[1] = "failed".to_owned();
            row(tail);
        }
        for method in &record.methods {
            let status = if method.status == Status::Ok {
                "ok"
            } else {
                "failed"
            };
            for metric in method.metrics.iter().chain(parts(record, &method.label)) {
                row([
                    method.label.clone(),
                    status.to_owned(),
                    metric.metric.clone(),
                    number(metric.value),
                    number(metric.low),
                    number(metric.high),
                    metric.cases.to_string(),
                    metric.undefined.to_string(),
                ]);
            }
            for (name, value) in measurements(method) {
                let empty = String::new;
                row([
                    method.label.clone(),
                    status.to_owned(),
                    name.to_owned(),
                    number(value),
                    empty(),
                    empty(),
                    empty(),
                    empty(),
                ]);
            }
        }
    }
    table.into_inner().expect("memory takes every row")
}

/// The gaps of a method and their parts.
fn parts<'r>(record: &'r Record, label: &'r str) -> impl Iterator<Item = &'r MetricValue> {
    let truth = record.ground_truth.iter();
    let ladders = truth.flat_map(|truth| truth.decomposition.iter().flat_map(|d| &d.ladders));
    let methods = ladders.flat_map(|ladder| &ladder.methods);
    methods
        .filter(move |method| method.method == label)
        .flat_map(|method| {
            let parts = method.parts.iter();
            let parts = parts
                .flat_map(|part| [Some(&part.loss), Some(&part.agreement), part.size.as_ref()]);
            std::iter::once(&method.gap).chain(parts.flatten())
        })
}

fn measurements(method: &MethodRecord) -> [(&'static str, Option<f64>); 6] {
    [
        ("prepare_seconds", method.seconds.map(|s| s.prepare)),
        ("apply_seconds", method.seconds.map(|s| s.apply)),
        ("score_seconds", method.seconds.map(|s| s.score)),
        ("peak_bytes", method.peak_bytes.map(|b| b.peak() as f64)),
        ("residual", method.evidence.residual),
        (
            "non_finite",
            method.has_scores().then_some(method.non_finite as f64),
        ),
    ]
}

fn number(value: Option<f64>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
