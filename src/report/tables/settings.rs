//! The settings that a row belongs to, and the damping, in words.

use super::table::Cell;
use crate::report::number::{self, MISSING};
use crate::report::study::{Group, Study, axis_title, value_text};
use crate::results::record::Record;

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

/// c of a cell.
pub fn factor(record: &Record) -> Option<f64> {
    record.config.get("influence")?.get("damping")?.as_f64()
}

/// Headers of the setting that a row belongs to.
pub fn setting_headers(study: &Study) -> Vec<String> {
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

/// Cells of the setting that a row belongs to.
pub fn setting_cells(study: &Study, group: &Group) -> Vec<Cell> {
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
