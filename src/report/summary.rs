//! The table printed after a run.

use super::aggregate::{Aggregate, aggregate};
use super::study::{Group, Study};
use super::tables::{Cell, Table, damping_text, metric_cell};
use crate::metrics::{Metric, find};
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
    let study = Study::new(records);
    if study.groups.is_empty() {
        return "No records.\n".to_owned();
    }
    let columns: Vec<(&Metric, &str)> = COLUMNS
        .iter()
        .filter_map(|(name, short)| Some((find(name)?, *short)))
        .filter(|(metric, _)| {
            study.groups.iter().any(|g| {
                study
                    .methods
                    .iter()
                    .any(|l| aggregate(g, l, metric.name).applies())
            })
        })
        .collect();
    let every: Vec<&Group> = study.groups.iter().collect();
    let shortened = every.len() * study.methods.len() > MOST_ROWS;
    let groups = if shortened {
        study
            .slices(None)
            .into_iter()
            .flat_map(|slice| slice.groups)
            .collect()
    } else {
        every
    };

    let mut text = String::new();
    for group in &groups {
        let setting = group.setting();
        let seeds = group.records.len();
        text.push_str(&group.task);
        if !setting.is_empty() {
            text.push_str(&format!(", {setting}"));
        }
        text.push_str(&format!(
            " ({seeds} seed{}",
            if seeds == 1 { "" } else { "s" }
        ));
        if group.failed() > 0 {
            text.push_str(&format!(", {} failed", group.failed()));
        }
        text.push_str(")\n");
        if !study.methods.is_empty() {
            text.push_str(&table(&study, group, &columns).text("  "));
        }
        text.push('\n');
    }
    if shortened {
        text.push_str(&format!(
            "{} of {} settings shown; the report has all.\n",
            groups.len(),
            study.groups.len()
        ));
    }
    text.push_str(&format!("{}\n", damping_text(&study)));
    if study.failed() > 0 {
        text.push_str(&format!(
            "{} of {} cells failed.\n",
            study.failed(),
            study.records.len()
        ));
    }
    let without = study.without_reference();
    if without > 0 {
        text.push_str(&format!(
            "{without} of {} cells have no reference (exact influence failed or did not converge): metrics against it are undefined there.\n",
            study.records.len()
        ));
    }
    text
}

fn table(study: &Study, group: &Group, columns: &[(&Metric, &str)]) -> Table {
    let names = columns.iter().map(|(_, short)| *short);
    let headers = std::iter::once("method").chain(names).chain(["missing"]);
    let row = |label: &String| {
        let results: Vec<Aggregate> = columns
            .iter()
            .map(|(metric, _)| aggregate(group, label, metric.name))
            .collect();
        let mut row = vec![Cell::text(cut(&study.palette.style(label).name))];
        row.extend(columns.iter().zip(&results).map(|((metric, _), result)| {
            // The interval within a cell is left to the report: brackets would make the table too wide.
            let result = if result.over_seeds {
                *result
            } else {
                Aggregate {
                    low: None,
                    high: None,
                    ..*result
                }
            };
            metric_cell(metric, &result)
        }));
        let failed = results.iter().map(|result| result.failed).max();
        let undefined: usize = results.iter().map(|result| result.undefined).sum();
        let parts = [(failed.unwrap_or(0), "failed"), (undefined, "undefined")];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(n, what)| format!("{n} {what}")).collect();
        row.push(Cell::text(parts.join(", ")));
        row
    };
    Table {
        title: String::new(),
        note: String::new(),
        headers: headers.map(str::to_owned).collect(),
        rows: study.methods.iter().map(row).collect(),
    }
}

/// The name, cut to what a terminal has room for.
fn cut(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.to_owned();
    }
    name.chars().take(LONGEST_NAME - 1).collect::<String>() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_print() {
        assert_eq!(summary(&[]), "No records.\n");
    }
}
