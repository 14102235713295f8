//! Tables, for Markdown and for the page.

mod cost;
mod damping;
mod decomposition;
mod failures;
mod metrics;
mod ranking;
mod scaling;
mod setup;

use super::number::{self, MISSING};
use super::study::{Group, Study, axis_title, value_text};
use crate::metrics::{METRICS, Need};
use crate::results::record::Record;

pub use metrics::metric_cell;
pub use ranking::NOT_TOLD_APART;
#[cfg(test)]
pub use ranking::best;

/// A cell: what is shown and what it sorts by.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// What is shown.
    pub text: String,
    /// Number to sort by; the text when there is none.
    pub sort: Option<f64>,
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            sort: None,
        }
    }

    fn count(count: usize) -> Self {
        Self {
            text: number::plain(count as f64),
            sort: Some(count as f64),
        }
    }

    fn maybe(value: Option<f64>, show: impl Fn(f64) -> String) -> Self {
        let value = value.filter(|x| x.is_finite());
        Self {
            text: value.map_or(MISSING.to_owned(), show),
            sort: value,
        }
    }
}

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Heading.
    pub title: String,
    /// What the columns say.
    pub note: String,
    /// Column headers.
    pub headers: Vec<String>,
    /// Rows, each as long as `headers`.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Whether any row has a number in the column.
    pub fn is_numeric(&self, column: usize) -> bool {
        self.rows
            .iter()
            .any(|row| row.get(column).is_some_and(|cell| cell.sort.is_some()))
    }

    /// As Markdown, heading included.
    pub fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("## {}\n\n{}\n\n", clean(&self.title), clean(&self.note));
        text.push_str(&line(
            self.headers.iter().map(|header| clean(header)).collect(),
        ));
        let rule = |column: usize| {
            if self.is_numeric(column) {
                "---:".to_owned()
            } else {
                "---".to_owned()
            }
        };
        text.push_str(&line((0..self.headers.len()).map(rule).collect()));
        for row in &self.rows {
            text.push_str(&line(row.iter().map(|cell| clean(&cell.text)).collect()));
        }
        text
    }
}

/// Text as Markdown, also in a table's cell: no markup of its own, one line.
pub fn clean(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('|', "\\|")
        .replace(['\n', '\r'], " ")
}

/// All tables that have something to say.
pub fn all(study: &Study) -> Vec<Table> {
    let with = |need: Need| {
        METRICS
            .iter()
            .filter(move |metric| metric.needs.contains(&need))
            .collect::<Vec<_>>()
    };
    let retrained: Vec<_> = METRICS
        .iter()
        .filter(|metric| {
            let of = |need: &Need| matches!(need, Need::LeaveOneOut | Need::Subsets(_));
            metric.needs.iter().any(of)
        })
        .collect();
    let tables = [
        metrics::table(study, "Agreement with exact influence", &with(Need::Exact)),
        metrics::table(study, "Detection of flipped labels", &with(Need::Flipped)),
        metrics::table(
            study,
            "Retrieval of the query's class",
            &with(Need::Classes),
        ),
        metrics::table(study, "Agreement with retraining", &retrained),
        ranking::best(study),
        ranking::differences(study),
        decomposition::losses(study),
        decomposition::sizes(study),
        decomposition::candidates(study),
        damping::table(study),
        cost::table(study),
        scaling::table(study),
        setup::table(study),
        failures::table(study),
    ];
    tables.into_iter().flatten().collect()
}

/// Damping of all cells in words: the default is always told apart from a tuned one.
pub fn damping_text(study: &Study) -> String {
    let mut factors: Vec<f64> = study
        .records
        .iter()
        .filter_map(|record| factor(record))
        .collect();
    factors.sort_by(f64::total_cmp);
    factors.dedup();
    match factors.as_slice() {
        [] => "Damping: not recorded.".to_owned(),
        [0.1] => "Damping: λ = 0.1 · mean eigenvalue of each block's Fisher, the paper's default."
            .to_owned(),
        list => {
            let list: Vec<String> = list
                .iter()
                .map(|c| {
                    if *c == 0.1 {
                        "0.1 (the paper's default)".to_owned()
                    } else {
                        number::plain(*c)
                    }
                })
                .collect();
            format!(
                "Damping: λ = c · mean eigenvalue of each block's Fisher, c = {}.",
                list.join(", ")
            )
        }
    }
}

fn factor(record: &Record) -> Option<f64> {
    record.config.get("influence")?.get("damping")?.as_f64()
}

/// Headers and cells of the setting that a row belongs to.
fn setting_headers(study: &Study) -> Vec<String> {
    let mut headers = vec!["Task".to_owned()];
    headers.extend(shown_axes(study).map(axis_title));
    headers
}

fn shown_axes<'s>(study: &'s Study) -> impl Iterator<Item = &'s str> {
    study
        .axes
        .iter()
        .map(|axis| axis.key.as_str())
        .filter(|key| *key != "task.name")
}

fn setting_cells(study: &Study, group: &Group) -> Vec<Cell> {
    let mut cells = vec![Cell::text(group.task.clone())];
    cells.extend(shown_axes(study).map(|key| match group.axis(key) {
        Some(value) => Cell {
            text: value_text(value),
            sort: group.number(key),
        },
        None => Cell::text(MISSING),
    }));
    cells
}

/// The group that a row is about: it begins with the group's setting.
pub fn entry_of(study: &Study, row: &[Cell]) -> Option<usize> {
    let begins = |group: &&Group| row.starts_with(&setting_cells(study, group));
    let mut found = study.groups.iter().filter(begins);
    // a setting that was swept together with one that is not shown would be ambiguous
    let first = found.next()?;
    found.next().is_none().then_some(first.index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_escapes_bars_and_newlines() {
        let table = Table {
            title: "T".into(),
            note: "n".into(),
            headers: vec!["a|b".into(), "c".into()],
            rows: vec![vec![Cell::text("x\n<y>"), Cell::count(1000)]],
        };
        assert_eq!(
            table.markdown(),
            "## T\n\nn\n\n| a\\|b | c |\n| --- | ---: |\n| x &lt;y> | 1,000 |\n"
        );
    }
}
