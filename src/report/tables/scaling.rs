//! How time and memory grow: fitted exponents over numeric settings.

use super::{Cell, Table};
use crate::metrics::slope::growth;
use crate::report::aggregate::aggregate;
use crate::report::number;
use crate::report::study::{DTYPE, Study, axis_title};

/// Fewest settings that a slope is fitted to.
const FEWEST: usize = 3;

/// One row a numeric setting, slice and method; `None` without a setting of three values or more.
pub fn table(study: &Study) -> Option<Table> {
    let mut rows = Vec::new();
    for axis in study
        .axes
        .iter()
        .filter(|axis| axis.numeric && axis.key != DTYPE)
    {
        for slice in study.slices(Some(&axis.key)) {
            for label in &study.methods {
                let exponents = ["total_seconds", "operations", "peak_bytes"].map(|metric| {
                    let points = slice.groups.iter().filter_map(|group| {
                        Some((
                            group.number(&axis.key)?,
                            aggregate(group, label, metric).value?,
                        ))
                    });
                    let points: Vec<(f64, f64)> = points.collect();
                    growth(&points).filter(|slope| slope.points >= FEWEST)
                });
                if exponents.iter().all(Option::is_none) {
                    continue;
                }
                let points = exponents.iter().flatten().map(|slope| slope.points).max();
                let mut row = vec![
                    Cell::text(axis_title(&axis.key)),
                    Cell::text(
                        [slice.title.as_str(), slice.held.as_str()]
                            .join("; ")
                            .trim_end_matches("; "),
                    ),
                    Cell::text(study.palette.style(label).name),
                ];
                row.extend(exponents.map(|slope| match slope {
                    Some(slope) => Cell {
                        text: slope.interval.map_or_else(
                            || number::fixed(slope.value, 2),
                            |i| {
                                format!(
                                    "{} [{}, {}]",
                                    number::fixed(slope.value, 2),
                                    number::fixed(i.low, 2),
                                    number::fixed(i.high, 2)
                                )
                            },
                        ),
                        sort: Some(slope.value),
                    },
                    None => Cell::text(number::MISSING),
                }));
                row.push(Cell::maybe(points.map(|p| p as f64), number::plain));
                rows.push(row);
            }
        }
    }
    (!rows.is_empty()).then(|| Table {
        title: "Growth of time and memory".to_owned(),
        note: "Exponent p of a fitted power law, runtime or peak memory ∝ x^p, with its 95 % t-interval: the least-squares slope \
               of the logarithms over the settings' geometric means. Operations are those of the method's cost formula at the same settings: \
               the slope that theory expects of the runtime. Small sizes are dominated by fixed costs, which flatten it."
            .to_owned(),
        headers: ["Setting x", "At", "Method", "Runtime ∝ x^p", "Operations ∝ x^p", "Peak memory ∝ x^p", "Settings"].map(str::to_owned).to_vec(),
        rows,
    })
}
