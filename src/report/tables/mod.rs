//! Tables, for Markdown, for terminals and for the page.

mod cells;
mod columns;
mod damping;
mod decomposition;
mod failures;
mod metrics;
mod ranking;
mod scaling;
mod setup;
mod table;

use super::data::ResultSet;
use crate::metrics::{METRICS, Metric, Need};

pub use cells::{arrow, half_width, metric_cell};
pub use columns::{Columns, record_anchor};
pub use metrics::Entry;
pub use ranking::NOT_TOLD_APART;
#[cfg(test)]
pub use ranking::best;
pub use setup::damping_text;
pub use table::{Cell, Table, clean, cut};

/// All tables that have something to say.
pub fn all(results: &ResultSet) -> Vec<Table> {
    let agreement = |title: &str, with: &dyn Fn(&Need) -> bool| {
        let needs = |metric: &&Metric| metric.needs.iter().any(with);
        let metrics: Vec<&Metric> = METRICS.iter().filter(needs).collect();
        metrics::table(results, title, &metrics)
    };
    let of_metrics = [
        agreement("Agreement with exact influence", &|n| *n == Need::Exact),
        agreement("Detection of flipped labels", &|n| *n == Need::Flipped),
        agreement("Retrieval of the query's class", &|n| *n == Need::Classes),
        agreement("Agreement with retraining", &|need| {
            matches!(need, Need::LeaveOneOut | Need::Subsets(_))
        }),
        ranking::best(results),
        ranking::differences(results),
    ];
    let of_settings = [
        damping::table(results),
        metrics::cost(results),
        scaling::table(results),
        setup::table(results),
        failures::table(results),
    ];
    let tables = of_metrics.into_iter().flatten();
    tables
        .chain(decomposition::tables(results))
        .chain(of_settings.into_iter().flatten())
        .collect()
}
