//! The table printed after a run.

use super::aggregate::{Aggregate, aggregate};
use super::study::{Group, Study};
use super::tables::{damping_text, metric_cell};
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
            text.push_str(&aligned(&rows(&study, group, &columns)));
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

fn rows(study: &Study, group: &Group, columns: &[(&Metric, &str)]) -> Vec<Vec<String>> {
    let mut rows = vec![
        std::iter::once("method".to_owned())
            .chain(columns.iter().map(|(_, short)| (*short).to_owned()))
            .collect::<Vec<_>>(),
    ];
    rows[0].push("missing".to_owned());
    for label in &study.methods {
        let results: Vec<Aggregate> = columns
            .iter()
            .map(|(metric, _)| aggregate(group, label, metric.name))
            .collect();
        let mut row = vec![cut(&study.palette.style(label).name)];
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
            metric_cell(metric, &result).text
        }));
        let failed = results
            .iter()
            .map(|result| result.failed)
            .max()
            .unwrap_or(0);
        let undefined: usize = results.iter().map(|result| result.undefined).sum();
        let parts = [(failed, "failed"), (undefined, "undefined")];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        row.push(parts.join(", "));
        rows.push(row);
    }
    rows
}

/// The name, cut to what a terminal has room for.
fn cut(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.to_owned();
    }
    name.chars().take(LONGEST_NAME - 1).collect::<String>() + "…"
}

/// Pads the columns: the first to the left, the others to the right.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let count = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count());
            line.push(' ');
            line.push_str(&if column == 0 {
                format!("{cell}{pad}")
            } else {
                format!("{pad}{cell}")
            });
            line.push(' ');
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec!["a".to_owned(), "ρ".to_owned()],
            vec!["long".to_owned(), "0.123".to_owned()],
        ];
        assert_eq!(aligned(&rows), "  a         ρ\n  long  0.123\n");
    }

    #[test]
    fn nothing_to_print() {
        assert_eq!(summary(&[]), "No records.\n");
    }
}
