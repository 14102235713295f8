//! The table printed after a run.

use std::fmt::Write as _;

use super::data::{Group, ResultSet, has_values};
use super::number;
use super::tables::{Columns, Entry, Table, cut, damping_text, metric_cell};
use crate::metrics::{Metric, find};
use crate::progress::count;
use crate::results::record::Record;

/// Columns, where any cell has them; short names since a terminal is narrow.
const COLUMNS: [(&str, &str); 7] = [
    ("pearson", "Pearson r"),
    ("pearson_mean_query", "r, mean query"),
    ("relative_error", "rel. error"),
    ("detection_auc", "detection AUC"),
    ("class_auc", "class AUC"),
    ("total_seconds", "runtime"),
    ("peak_bytes", "peak memory"),
];

/// Characters of a method's name.
const LONGEST_NAME: usize = 40;

/// Rows above which only the reference settings are printed.
const MOST_ROWS: usize = 48;

/// A compact aligned table of methods and metrics, with what failed and what is undefined.
pub fn summary(records: &[Record]) -> String {
    let results = ResultSet::new(records);
    if results.groups.is_empty() {
        return "No records.\n".to_owned();
    }
    let known = COLUMNS
        .iter()
        .filter(|(name, _)| has_values(&results, name));
    let columns: Vec<(&Metric, &str)> = known
        .filter_map(|(name, short)| Some((find(name)?, *short)))
        .collect();
    let mut groups: Vec<&Group> = results.groups.iter().collect();
    let shortened = groups.len() * results.methods.len() > MOST_ROWS;
    if shortened {
        let slices = results.slices(None).into_iter();
        groups = slices.flat_map(|slice| slice.groups).collect();
    }
    let mut text = String::new();
    for group in &groups {
        let failed = Some(group.failed()).filter(|failed| *failed > 0);
        let failed = failed.map_or(String::new(), |failed| format!(", {failed} failed"));
        let seeds = count(group.records.len(), "seed");
        let _ = writeln!(text, "{} ({seeds}{failed})", group.name());
        if let Some(table) = table(&results, group, &columns) {
            text.push_str(&table.text("  "));
        }
        text.push('\n');
    }
    if shortened {
        let (shown, all) = (groups.len(), results.groups.len());
        let _ = writeln!(text, "{shown} of {all} settings shown; the report has all.");
    }
    let _ = writeln!(text, "{}", damping_text(&results));
    let (failed, cells) = (results.failed(), results.records.len());
    if failed > 0 {
        let _ = writeln!(text, "{failed} of {cells} cells failed.");
    }
    let without = results.without_reference();
    if without > 0 {
        let _ = writeln!(
            text,
            "{without} of {cells} cells have no reference (exact influence failed or did not converge): metrics against it are undefined there."
        );
    }
    text
}

fn table(results: &ResultSet, group: &Group, columns: &[(&'static Metric, &str)]) -> Option<Table> {
    let metrics: Vec<&Metric> = columns.iter().map(|(metric, _)| *metric).collect();
    let entry = |label| Entry::new(group, label, &metrics);
    let rows = results.methods.iter().map(|label| (label, entry(label)));
    Columns::new()
        .text("method", |(label, _): &(&String, Entry)| {
            cut(&results.palette.name(label), LONGEST_NAME)
        })
        .each(columns.iter().enumerate(), |all, (i, (metric, short))| {
            all.add(*short, move |(_, entry)| {
                let mut result = *entry.result(i);
                // brackets within a cell would make the table too wide: the report has them
                if !result.over_seeds {
                    result.interval = None;
                }
                metric_cell(metric, &result)
            })
        })
        .text("missing", |(_, entry)| {
            let counts = [
                (entry.failed(), "failed"),
                (entry.undefined().0, "undefined"),
            ];
            let counts = counts.iter().filter(|(count, _)| *count > 0);
            number::list(counts.map(|(count, what)| format!("{count} {what}")))
        })
        .table("", "", rows)
}
