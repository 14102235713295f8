//! The damping of the cells, in words.

use crate::report::data::ResultSet;
use crate::report::number;
use crate::results::record::Record;

/// Damping of all cells in words: the default is always told apart from a tuned one.
pub fn damping_text(results: &ResultSet) -> String {
    let records = results.records.iter();
    let mut factors: Vec<f64> = records.filter_map(|record| factor(record)).collect();
    factors.sort_by(f64::total_cmp);
    factors.dedup();
    match factors[..] {
        [] => "Damping: not recorded.".to_owned(),
        [0.1] => "Damping: λ = 0.1 · mean eigenvalue of each block's Fisher, the paper's default."
            .to_owned(),
        _ => {
            let text = |c: &f64| match c {
                0.1 => "0.1 (the paper's default)".to_owned(),
                c => number::plain(*c),
            };
            let list: Vec<String> = factors.iter().map(text).collect();
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
