//! Tables, for Markdown and for the page.

mod cost;
mod damping;
mod decomposition;
mod failures;
mod metrics;
mod ranking;
mod scaling;
mod settings;
mod setup;
mod table;

use super::study::Study;
use crate::metrics::{METRICS, Need};
use settings::{factor, setting_cells, setting_headers};

pub use metrics::metric_cell;
pub use ranking::NOT_TOLD_APART;
#[cfg(test)]
pub use ranking::best;
pub use settings::{damping_text, entry_of};
pub use table::{Cell, Table, clean};

/// Tables below a heading, as Markdown.
pub fn markdown(title: &str, tables: &[Table]) -> String {
    let tables = tables.iter().map(|table| format!("\n{}", table.markdown()));
    format!("# {}\n{}", clean(title), tables.collect::<String>())
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
