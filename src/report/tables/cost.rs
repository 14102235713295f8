//! Time, memory and what the solvers say of their own answers.

use super::metrics::metric_cell;
use super::{Cell, Table, damping_text, setting_cells, setting_headers};
use crate::metrics::{METRICS, Metric};
use crate::report::aggregate::{Aggregate, aggregate};
use crate::report::number::{self, MISSING};
use crate::report::study::{Study, method};

/// One row a setting and method.
pub fn table(study: &Study) -> Option<Table> {
    let metrics: Vec<&Metric> = METRICS
        .iter()
        .filter(|metric| !metric.is_computed())
        .collect();
    let mut headers = setting_headers(study);
    headers.push("Method".to_owned());
    // The cells carry their own units.
    headers.extend(metrics.iter().map(|metric| metric.title.to_owned()));
    headers.extend(
        [
            "Largest residual",
            "Iterations",
            "Solver",
            "Blocks not converged",
            "Scores not finite",
            "Seeds",
            "Failed",
        ]
        .map(str::to_owned),
    );
    let mut rows = Vec::new();
    for group in &study.groups {
        for label in &study.methods {
            let results: Vec<Aggregate> = metrics
                .iter()
                .map(|metric| aggregate(group, label, metric.name))
                .collect();
            let entries: Vec<_> = group
                .records
                .iter()
                .filter_map(|record| method(record, label))
                .collect();
            let failed = results
                .iter()
                .map(|result| result.failed)
                .max()
                .unwrap_or(0);
            if entries.is_empty() && failed == 0 {
                continue;
            }
            let mut row = setting_cells(study, group);
            row.push(Cell::text(study.palette.style(label).name));
            row.extend(
                metrics
                    .iter()
                    .zip(&results)
                    .map(|(metric, result)| metric_cell(metric, result)),
            );
            let residual = entries
                .iter()
                .filter_map(|entry| entry.evidence.residual)
                .max_by(f64::total_cmp);
            let not_finite = entries.iter().any(|entry| entry.evidence.not_finite());
            let iterations = entries
                .iter()
                .filter_map(|entry| entry.evidence.iterations)
                .max();
            let mut solvers: Vec<String> = entries
                .iter()
                .filter_map(|entry| {
                    let solver = entry.evidence.solver.as_ref()?;
                    // of what may be indefinite, how far it is so
                    let negative = entry.evidence.negative;
                    Some(negative.map_or_else(
                        || solver.clone(),
                        |[negative, all]| format!("{solver}, {negative} of {all} negative"),
                    ))
                })
                .collect();
            solvers.sort_unstable();
            solvers.dedup();
            row.push(Cell::maybe(residual, |r| {
                if not_finite {
                    "not finite".to_owned()
                } else {
                    number::significant(r, 2)
                }
            }));
            row.push(Cell::maybe(iterations.map(|i| i as f64), number::plain));
            row.push(Cell::text(if solvers.is_empty() {
                MISSING.to_owned()
            } else {
                solvers.join(", ")
            }));
            row.push(Cell::count(
                entries
                    .iter()
                    .map(|entry| entry.evidence.not_converged)
                    .sum(),
            ));
            row.push(Cell::count(
                entries.iter().map(|entry| entry.non_finite).sum(),
            ));
            row.push(Cell::count(
                results.iter().map(|result| result.seeds).max().unwrap_or(0),
            ));
            row.push(Cell::count(failed));
            rows.push(row);
        }
    }
    let note = format!(
        "Wall time by stage for all scores (gradients not included), peak memory above what was resident before, and what each solver says of its own answer: the largest ‖(F+λI)x − v‖/‖v‖ over blocks, queries and seeds. Geometric mean over seeds ×÷ the factor of its 95 % t-interval. {}",
        damping_text(study)
    );
    (!rows.is_empty()).then(|| Table {
        title: "Cost and residuals".to_owned(),
        note,
        headers,
        rows,
    })
}
