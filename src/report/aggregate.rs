//! One number from the cells of a group: mean over seeds, interval, and what is missing from it.

use std::collections::BTreeMap;

use super::number;
use super::study::{Group, method};
use crate::metrics::interval::{mean, t_interval};
use crate::metrics::{Metric, MetricValue, find};
use crate::results::record::{MethodRecord, Record, Status};

/// A metric of one method over the seeds of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Aggregate {
    /// Mean over the seeds where it is defined; geometric when `factor` says so.
    pub value: Option<f64>,
    /// Lower end of the 95 % interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Whether the interval is over seeds (otherwise it is the single cell's own).
    pub over_seeds: bool,
    /// Whether mean and interval were taken of the logarithms, so that the interval is a factor up and
    /// down: for what is positive and unbounded (time, memory, relative error) over positive values.
    pub factor: bool,
    /// Seeds in the mean.
    pub seeds: usize,
    /// Cells where the cell itself failed, or the method before it had scores.
    pub failed: usize,
    /// Cases (queries, or 1 a cell) over the cells where the metric applies.
    pub cases: usize,
    /// Undefined ones among them.
    pub undefined: usize,
}

impl Aggregate {
    /// Whether there is anything to say: a value, or a failure to have one.
    pub fn applies(&self) -> bool {
        self.value.is_some() || self.undefined > 0
    }
}

/// Aggregates one metric, computed or measured, of one method.
pub fn aggregate(group: &Group, label: &str, metric: &str) -> Aggregate {
    let mut result = Aggregate::default();
    let mut values = Vec::new();
    let mut own = None;
    for record in &group.records {
        let failed = record.status == Status::Failed;
        let Some(method) = method(record, label) else {
            result.failed += usize::from(failed);
            continue;
        };
        if failed || !method.has_scores() {
            result.failed += 1;
            continue;
        }
        let Some(reading) = reading(method, metric) else {
            continue;
        };
        result.cases += reading.cases;
        result.undefined += reading.undefined;
        if let Some(value) = reading.value {
            values.push(value);
            own = reading.low.zip(reading.high);
        }
    }
    finish(result, &values, own, find(metric))
}

/// Aggregates a number of the cell itself, e.g. the accuracy after the last epoch.
pub fn aggregate_cell(group: &Group, number: impl Fn(&Record) -> Option<f64>) -> Aggregate {
    let values: Vec<f64> = group
        .records
        .iter()
        .filter_map(|record| number(record))
        .filter(|x| x.is_finite())
        .collect();
    finish(
        Aggregate {
            failed: group.failed(),
            ..Aggregate::default()
        },
        &values,
        None,
        None,
    )
}

/// Aggregates a number that carries its own interval, e.g. a part of a gap.
pub fn aggregate_value<'r>(
    group: &Group<'r>,
    pick: impl Fn(&'r Record) -> Option<&'r MetricValue>,
) -> Aggregate {
    let mut result = Aggregate {
        failed: group.failed(),
        ..Aggregate::default()
    };
    let (mut values, mut own) = (Vec::new(), None);
    for number in group.records.iter().filter_map(|record| pick(record)) {
        result.cases += number.cases;
        result.undefined += number.undefined;
        if let Some(value) = number.value.filter(|x| x.is_finite()) {
            values.push(value);
            own = number.low.zip(number.high);
        }
    }
    finish(result, &values, own, None)
}

fn finish(
    mut result: Aggregate,
    values: &[f64],
    own: Option<(f64, f64)>,
    metric: Option<&Metric>,
) -> Aggregate {
    let range = metric.map_or((None, None), |metric| metric.range);
    result.seeds = values.len();
    result.over_seeds = values.len() > 1;
    result.factor =
        result.over_seeds && range == (Some(0.0), None) && values.iter().all(|x| *x > 0.0);
    let interval = if result.factor {
        let logarithms: Vec<f64> = values.iter().map(|x| x.ln()).collect();
        result.value = mean(&logarithms).map(f64::exp);
        t_interval(&logarithms).map(|interval| (interval.low.exp(), interval.high.exp()))
    } else if result.over_seeds {
        result.value = mean(values);
        let clamp = |x: f64| {
            x.max(range.0.unwrap_or(f64::NEG_INFINITY))
                .min(range.1.unwrap_or(f64::INFINITY))
        };
        t_interval(values).map(|interval| (clamp(interval.low), clamp(interval.high)))
    } else {
        result.value = mean(values);
        own.filter(|_| values.len() == 1)
    };
    (result.low, result.high) = (interval.map(|i| i.0), interval.map(|i| i.1));
    result
}

/// The finite value of a metric of one method in one cell; `None` when the cell failed, the method has no scores, or
/// it is undefined.
pub fn value(record: &Record, label: &str, metric: &str) -> Option<f64> {
    if record.status == Status::Failed {
        return None;
    }
    let method = method(record, label)?;
    method.has_scores().then_some(())?;
    reading(method, metric)?.value
}

/// Where a curve of a cell ends: that of a method, or of a choice that needs none (`full` or `random`).
pub fn curve_end(record: &Record, label: &str, curve: &str) -> Option<f64> {
    let own = method(record, label).map_or(&[][..], |method| &method.curves);
    let of_all = record
        .ground_truth
        .as_ref()
        .map_or(&[][..], |truth| &truth.curves);
    let found = own.iter().find(|known| known.name == curve).or_else(|| {
        let name = format!("{curve}/{label}");
        of_all.iter().find(|known| known.name == name)
    });
    found?.y.last().copied().filter(|y| y.is_finite())
}

struct Reading {
    value: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    cases: usize,
    undefined: usize,
}

/// What one cell says; `None` when the metric was not taken or does not apply.
fn reading(method: &MethodRecord, metric: &str) -> Option<Reading> {
    let seconds =
        |pick: fn(&crate::measure::StageSeconds) -> f64| method.seconds.as_ref().map(pick);
    let measured = match metric {
        "prepare_seconds" => seconds(|s| s.prepare),
        "apply_seconds" => seconds(|s| s.apply),
        "score_seconds" => seconds(|s| s.score),
        "total_seconds" => seconds(|s| s.total()),
        "operations" => method.operations,
        "peak_bytes" => method.peak_bytes.as_ref().map(|bytes| bytes.peak() as f64),
        _ => {
            let value = method
                .metrics
                .iter()
                .find(|value| value.metric == metric)
                .filter(|value| value.cases > 0)?;
            let finite = |x: Option<f64>| x.filter(|x| x.is_finite());
            let missing = usize::from(finite(value.value).is_none());
            return Some(Reading {
                value: finite(value.value),
                low: finite(value.low),
                high: finite(value.high),
                cases: value.cases,
                undefined: value.undefined.max(missing),
            });
        }
    };
    // Measured numbers are there or not: they are no cases that could be undefined.
    measured.filter(|x| x.is_finite()).map(|x| Reading {
        value: Some(x),
        low: None,
        high: None,
        cases: 0,
        undefined: 0,
    })
}

/// Counts what figures leave out, for the line below them.
#[derive(Clone, Debug, Default)]
pub struct Gaps {
    cells: usize,
    failed_cells: usize,
    methods: Vec<Gap>,
    curves: Vec<String>,
}

/// What is missing of one method.
#[derive(Clone, Debug)]
struct Gap {
    name: String,
    /// Failures by group: counted once, however many metrics are shown.
    failed: BTreeMap<String, usize>,
    undefined: usize,
    cases: usize,
}

impl Gaps {
    /// Counts the cells of a group.
    pub fn group(&mut self, group: &Group) {
        self.cells += group.records.len();
        self.failed_cells += group.failed();
    }

    /// Counts one number of one method, by its pretty name.
    pub fn number(&mut self, name: &str, group: &Group, aggregate: &Aggregate) {
        if !self.methods.iter().any(|gap| gap.name == name) {
            self.methods.push(Gap {
                name: name.to_owned(),
                failed: BTreeMap::new(),
                undefined: 0,
                cases: 0,
            });
        }
        let Some(gap) = self.methods.iter_mut().find(|gap| gap.name == name) else {
            return;
        };
        gap.failed.insert(
            format!("{} {}", group.task, group.setting()),
            aggregate.failed - group.failed().min(aggregate.failed),
        );
        gap.undefined += aggregate.undefined;
        gap.cases += aggregate.cases;
    }

    /// Counts the cells that have a curve of a method (or of a setting), by its pretty name.
    pub fn curve(&mut self, name: &str, group: &Group, found: usize) {
        let cells = group.records.len() - group.failed();
        if found < cells {
            let setting = group.setting();
            let at = if setting.is_empty() {
                String::new()
            } else {
                format!(", {setting}")
            };
            self.curves.push(format!(
                "{name} ({}{at}): no curve in {} of {cells} cells",
                group.task,
                cells - found
            ));
        }
    }

    /// One sentence, or nothing when nothing is missing.
    pub fn text(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.failed_cells > 0 {
            parts.push(format!(
                "{} of {} cells failed",
                self.failed_cells, self.cells
            ));
        }
        for gap in &self.methods {
            let failed: usize = gap.failed.values().sum();
            let failed = (failed > 0).then(|| {
                format!(
                    "failed in {failed} cell{}",
                    if failed == 1 { "" } else { "s" }
                )
            });
            let share = || {
                format!(
                    "{} of {} values undefined",
                    number::plain(gap.undefined as f64),
                    number::plain(gap.cases as f64)
                )
            };
            let undefined = (gap.undefined > 0).then(share);
            let both: Vec<String> = failed.into_iter().chain(undefined).collect();
            if !both.is_empty() {
                parts.push(format!("{}: {}", gap.name, both.join(", ")));
            }
        }
        parts.extend(self.curves.iter().cloned());
        (!parts.is_empty()).then(|| format!("Missing: {}.", parts.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::study::Study;
    use super::super::synthetic;
    use super::*;

    #[test]
    fn seeds_are_averaged_and_a_single_one_keeps_its_own_interval() {
        let records = synthetic::rank();
        let study = Study::new(&records);
        let group = &study.groups[0];
        let values: Vec<f64> = group
            .records
            .iter()
            .filter_map(|r| method(r, "datainf")?.metrics[0].value)
            .collect();
        let result = aggregate(group, "datainf", "pearson");
        assert_eq!(
            (result.value, result.seeds, result.over_seeds),
            (Some(values.iter().sum::<f64>() / 3.0), 3, true)
        );
        // t(2 degrees of freedom) = 4.302653 (tables).
        let mean = values.iter().sum::<f64>() / 3.0;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
        assert!(
            (result.high.expect("three seeds") - mean - 4.302653 * deviation / 3f64.sqrt()).abs()
                < 1e-6
        );

        let single = synthetic::single();
        let study = Study::new(&single);
        let result = aggregate(&study.groups[0], "datainf", "pearson");
        let own = &single[0].methods[1].metrics[0];
        assert_eq!(
            (result.value, result.low, result.high, result.over_seeds),
            (own.value, own.low, own.high, false)
        );
    }

    #[test]
    fn failures_and_undefined_values_are_counted_once() {
        let records = synthetic::rank();
        let study = Study::new(&records);
        let of = |rank: f64| {
            study
                .groups
                .iter()
                .find(|g| g.task == "digits" && g.number("lora.rank") == Some(rank))
                .expect("swept")
        };
        assert_eq!(aggregate(of(8.0), "exact", "total_seconds").failed, 1);
        let undefined = aggregate(of(1.0), "lissa", "pearson");
        assert_eq!(
            (
                undefined.value,
                undefined.low,
                undefined.cases,
                undefined.undefined
            ),
            (None, None, 300, 300)
        );
        assert!(undefined.applies());

        let mut gaps = Gaps::default();
        for rank in [1.0, 4.0, 8.0] {
            gaps.group(of(rank));
            for metric in ["pearson", "detection_auc", "total_seconds"] {
                for label in ["exact", "lissa", "lissa:variant=code"] {
                    gaps.number(label, of(rank), &aggregate(of(rank), label, metric));
                }
            }
        }
        let expected = "Missing: 1 of 9 cells failed; lissa: 303 of 808 values undefined; lissa:variant=code: failed in 1 cell.";
        assert_eq!(gaps.text().as_deref(), Some(expected));
    }
}
