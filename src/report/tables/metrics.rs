//! Metrics of every method at every setting.

use super::{Cell, Table, damping_text, setting_cells, setting_headers};
use crate::metrics::{Direction, Metric};
use crate::report::aggregate::{Aggregate, aggregate};
use crate::report::number::{self, MISSING};
use crate::report::study::Study;

/// How the entries with ± and brackets are to be read.
const READING: &str = "Mean over seeds ± half of the 95 % t-interval (×÷: geometric mean and the factor of the interval of the logarithms); with one seed, the value and its interval within the cell in brackets. \
                       \"Undefined\" counts cases (queries, or one a cell) that have no value and are not in the mean.";

/// One row a setting and method; `None` when none of the metrics was taken.
pub fn table(study: &Study, title: &str, metrics: &[&Metric]) -> Option<Table> {
    let used: Vec<&Metric> = metrics
        .iter()
        .copied()
        .filter(|metric| {
            study.groups.iter().any(|g| {
                study
                    .methods
                    .iter()
                    .any(|l| aggregate(g, l, metric.name).applies())
            })
        })
        .collect();
    if used.is_empty() {
        return None;
    }
    let labels = study.methods.iter().map(String::as_str);
    let labels: Vec<&str> = labels
        .filter(|label| {
            used.iter()
                .any(|metric| study.compared(metric).contains(label))
        })
        .collect();
    let mut headers = setting_headers(study);
    headers.push("Method".to_owned());
    headers.extend(
        used.iter()
            .map(|metric| format!("{} {}", metric.label(), arrow(metric))),
    );
    headers.extend(["Seeds", "Undefined", "Failed"].map(str::to_owned));
    let mut rows = Vec::new();
    for group in &study.groups {
        for label in &labels {
            let results: Vec<Aggregate> = used
                .iter()
                .map(|metric| aggregate(group, label, metric.name))
                .collect();
            let failed = results
                .iter()
                .map(|result| result.failed)
                .max()
                .unwrap_or(0);
            if failed == 0 && !results.iter().any(Aggregate::applies) {
                continue;
            }
            let mut row = setting_cells(study, group);
            row.push(Cell::text(study.palette.style(label).name));
            row.extend(
                used.iter()
                    .zip(&results)
                    .map(|(metric, result)| metric_cell(metric, result)),
            );
            row.push(Cell::count(
                results.iter().map(|result| result.seeds).max().unwrap_or(0),
            ));
            let (undefined, cases) = (
                results.iter().map(|r| r.undefined).sum::<usize>(),
                results.iter().map(|r| r.cases).sum::<usize>(),
            );
            let share = if undefined > 0 {
                format!(
                    "{} of {}",
                    number::plain(undefined as f64),
                    number::plain(cases as f64)
                )
            } else {
                "0".to_owned()
            };
            row.push(Cell {
                text: share,
                sort: Some(undefined as f64),
            });
            row.push(Cell::count(failed));
            rows.push(row);
        }
    }
    let what: Vec<String> = used
        .iter()
        .map(|metric| format!("{}: {}.", metric.title, metric.summary))
        .collect();
    Some(Table {
        title: title.to_owned(),
        note: format!("{} {READING} {}", damping_text(study), what.join(" ")),
        headers,
        rows,
    })
}

fn arrow(metric: &Metric) -> &'static str {
    match metric.direction {
        Direction::Higher => "↑",
        Direction::Lower => "↓",
        Direction::None => "",
    }
}

/// `0.912 ± 0.013`, `44.3 ms ×÷ 1.4`, `0.912 [0.90, 0.92]`, or `–`.
pub fn metric_cell(metric: &Metric, result: &Aggregate) -> Cell {
    let Some(value) = result.value else {
        return Cell::text(MISSING);
    };
    let (factor, unit) = match metric.unit {
        "s" => number::second_unit(value),
        "bytes" => number::byte_unit(value),
        unit => (1.0, unit),
    };
    let bounded = metric.range.1.is_some();
    let show = |x: f64| {
        if bounded {
            number::fixed(x, 3)
        } else {
            number::significant(x * factor, 3)
        }
    };
    let unit = if unit.is_empty() {
        String::new()
    } else {
        format!(" {unit}")
    };
    let text = match result.low.zip(result.high) {
        Some((_, high)) if result.factor => {
            format!(
                "{}{unit} ×÷ {}",
                show(value),
                number::significant(high / value, 2)
            )
        }
        Some((low, high)) if result.over_seeds => {
            // The interval is cut at the metric's range: the longer side is the half width.
            let half = (value - low).max(high - value);
            // Half widths have the decimals of the value; beside a power of ten they keep their own.
            let alike = (1e-3..1e5).contains(&(value * factor).abs());
            let half = match (bounded, alike) {
                (true, _) => number::fixed(half, 3),
                (_, true) => number::fixed(half * factor, number::decimals(value * factor, 3)),
                _ => number::significant(half * factor, 2),
            };
            format!("{} ± {half}{unit}", show(value))
        }
        Some((low, high)) => format!("{} [{}, {}]{unit}", show(value), show(low), show(high)),
        None => format!("{}{unit}", show(value)),
    };
    Cell {
        text,
        sort: Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::find;

    #[test]
    fn cells_show_intervals_units_and_what_is_missing() {
        let metric = find("pearson").expect("listed");
        let seeds = Aggregate {
            value: Some(0.9123),
            low: Some(0.9),
            high: Some(0.9246),
            over_seeds: true,
            seeds: 3,
            ..Aggregate::default()
        };
        assert_eq!(metric_cell(metric, &seeds).text, "0.912 ± 0.012");
        assert_eq!(
            metric_cell(
                metric,
                &Aggregate {
                    over_seeds: false,
                    ..seeds
                }
            )
            .text,
            "0.912 [0.900, 0.925]"
        );
        let factor = Aggregate {
            value: Some(20.0),
            low: Some(10.0),
            high: Some(40.0),
            factor: true,
            ..seeds
        };
        let error = find("relative_error").expect("listed");
        assert_eq!(metric_cell(error, &factor).text, "20.0 ×÷ 2.0");
        assert_eq!(
            metric_cell(
                metric,
                &Aggregate {
                    undefined: 3,
                    ..Aggregate::default()
                }
            ),
            Cell::text(MISSING)
        );
        let time = find("total_seconds").expect("listed");
        let result = Aggregate {
            value: Some(0.0123),
            low: Some(0.0113),
            high: Some(0.0133),
            over_seeds: true,
            ..Aggregate::default()
        };
        assert_eq!(metric_cell(time, &result).text, "12.3 ± 1.0 ms");
    }
}
