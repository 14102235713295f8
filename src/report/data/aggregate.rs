//! One number from the cells of a group: mean over seeds, interval, and what is missing from it.

use std::collections::BTreeMap;

use super::{Group, ResultSet, entry, method};
use crate::measure::StageSeconds;
use crate::metrics::interval::{mean, t_interval};
use crate::metrics::{Curve, MetricValue, find};
use crate::progress::plural;
use crate::report::chart::DataPoint;
use crate::report::number;
use crate::results::record::{Record, Status};

/// A number over the seeds of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Aggregate {
    /// Mean over the seeds where it is defined; geometric when `factor` says so.
    pub value: Option<f64>,
    /// Its 95 % interval.
    pub interval: Option<(f64, f64)>,
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

    /// Value and interval.
    pub fn point(&self) -> Option<DataPoint> {
        Some(DataPoint::from(self.value?).within(self.interval))
    }
}

/// What one cell says of a number.
#[derive(Clone, Copy, Debug)]
pub enum Reading {
    /// The cell failed, or the method before it had scores.
    Failed,
    /// Nothing: the number was not taken, or does not apply.
    Nothing,
    /// The number.
    Taken {
        /// Its value where it is defined.
        value: Option<f64>,
        /// Its interval within the cell.
        ends: Option<(f64, f64)>,
        /// Cases that it is made of.
        cases: usize,
        /// Undefined ones among them.
        undefined: usize,
    },
}

impl Reading {
    /// What is there or not, and has no cases that could be undefined: time, memory.
    fn measured(value: Option<f64>) -> Self {
        let value = value.filter(|x| x.is_finite());
        value.map_or(Self::Nothing, |value| Self::Taken {
            value: Some(value),
            ends: None,
            cases: 0,
            undefined: 0,
        })
    }

    /// A metric's value.
    fn of_metric(found: &MetricValue) -> Self {
        let finite = |x: Option<f64>| x.filter(|x| x.is_finite());
        let value = finite(found.value);
        Self::Taken {
            value,
            ends: finite(found.low).zip(finite(found.high)),
            cases: found.cases,
            undefined: found.undefined.max(usize::from(value.is_none())),
        }
    }

    /// By one method in one cell; `metric` is computed or measured.
    fn of_method(record: &Record, label: &str, metric: &str) -> Self {
        let Some(method) = method(record, label) else {
            return Self::Nothing;
        };
        if !method.has_scores() {
            return Self::Failed;
        }
        let seconds = |pick: fn(&StageSeconds) -> f64| method.seconds.as_ref().map(pick);
        Self::measured(match metric {
            "prepare_seconds" => seconds(|s| s.prepare),
            "apply_seconds" => seconds(|s| s.apply),
            "score_seconds" => seconds(|s| s.score),
            "total_seconds" => seconds(|s| s.total()),
            "operations" => method.operations,
            "peak_bytes" => method.peak_bytes.as_ref().map(|bytes| bytes.peak() as f64),
            _ => {
                let mut values = method.metrics.iter();
                let found = values.find(|value| value.metric == metric && value.cases > 0);
                return found.map_or(Self::Nothing, Self::of_metric);
            }
        })
    }
}

/// Aggregates what every cell of a group that did not fail says of a number between the ends of `range`.
pub fn aggregate_by<'r>(
    group: &Group<'r>,
    range: (Option<f64>, Option<f64>),
    of: impl Fn(&'r Record) -> Reading,
) -> Aggregate {
    let mut result = Aggregate::default();
    let (mut values, mut own) = (Vec::new(), None);
    for record in &group.records {
        let reading = match record.status {
            Status::Failed => Reading::Failed,
            Status::Ok => of(record),
        };
        match reading {
            Reading::Failed => result.failed += 1,
            Reading::Nothing => {}
            Reading::Taken {
                value,
                ends,
                cases,
                undefined,
            } => {
                result.cases += cases;
                result.undefined += undefined;
                own = if value.is_some() { ends } else { own };
                values.extend(value);
            }
        }
    }
    result.seeds = values.len();
    result.over_seeds = values.len() > 1;
    result.factor =
        result.over_seeds && range == (Some(0.0), None) && values.iter().all(|x| *x > 0.0);
    (result.value, result.interval) = if result.factor {
        let logarithms: Vec<f64> = values.iter().map(|x| x.ln()).collect();
        let ends = t_interval(&logarithms).map(|i| (i.low.exp(), i.high.exp()));
        (mean(&logarithms).map(f64::exp), ends)
    } else if result.over_seeds {
        let least = range.0.unwrap_or(f64::NEG_INFINITY);
        let most = range.1.unwrap_or(f64::INFINITY);
        let clamp = |x: f64| x.max(least).min(most);
        let ends = t_interval(&values).map(|i| (clamp(i.low), clamp(i.high)));
        (mean(&values), ends)
    } else {
        (mean(&values), own.filter(|_| values.len() == 1))
    };
    result
}

/// Aggregates one metric, computed or measured, of one method.
pub fn aggregate(group: &Group, label: &str, metric: &str) -> Aggregate {
    let range = find(metric).map_or((None, None), |metric| metric.range);
    let of = |record: &_| Reading::of_method(record, label, metric);
    aggregate_by(group, range, of)
}

/// Aggregates a number of the cell itself, e.g. the accuracy after the last epoch.
pub fn aggregate_cell(group: &Group, number: impl Fn(&Record) -> Option<f64>) -> Aggregate {
    aggregate_by(group, (None, None), |record| {
        Reading::measured(number(record))
    })
}

/// Aggregates a number that carries its own interval, e.g. a part of a gap.
pub fn aggregate_value<'r>(
    group: &Group<'r>,
    pick: impl Fn(&'r Record) -> Option<&'r MetricValue>,
) -> Aggregate {
    let of = |found: Option<&MetricValue>| found.map_or(Reading::Nothing, Reading::of_metric);
    aggregate_by(group, (None, None), |record| of(pick(record)))
}

/// The finite value of a metric of one method in one cell; `None` when the cell failed, the method has no scores, or
/// it is undefined.
pub fn value(record: &Record, label: &str, metric: &str) -> Option<f64> {
    match Reading::of_method(record, label, metric) {
        Reading::Taken { value, .. } if record.status == Status::Ok => value,
        _ => None,
    }
}

/// Whether any method of any cell has a value or an undefined case of the metric.
pub fn has_values(results: &ResultSet, metric: &str) -> bool {
    let has = |group| {
        results
            .methods
            .iter()
            .any(|l| aggregate(group, l, metric).applies())
    };
    results.groups.iter().any(has)
}

/// A curve of a cell: that of a method, or of a choice that needs none (`full` or `random`).
pub fn curve<'r>(record: &'r Record, label: &str, curve: &str) -> Option<&'r Curve> {
    let own = method(record, label).map(|method| &method.curves);
    let found = own.and_then(|own| own.iter().find(|known| known.name == curve));
    found.or_else(|| {
        let name = format!("{curve}/{label}");
        let mut of_all = record.ground_truth.as_ref()?.curves.iter();
        of_all.find(|known| known.name == name)
    })
}

/// Where a curve of a cell ends.
pub fn curve_end(record: &Record, label: &str, name: &str) -> Option<f64> {
    let last = curve(record, label, name)?.y.last();
    last.copied().filter(|y| y.is_finite())
}

/// Counts what figures leave out, for the line below them.
#[derive(Clone, Debug, Default)]
pub struct MissingData {
    cells: usize,
    failed_cells: usize,
    methods: Vec<(String, MissingOfMethod)>,
    curves: Vec<String>,
}

/// What is missing of one method.
#[derive(Clone, Debug, Default)]
struct MissingOfMethod {
    /// Failures by group: counted once, however many metrics are shown.
    failed: BTreeMap<usize, usize>,
    undefined: usize,
    cases: usize,
}

impl MissingData {
    /// Counts the cells of a group.
    pub fn group(&mut self, group: &Group) {
        self.cells += group.records.len();
        self.failed_cells += group.failed();
    }

    /// Counts one number of one method, by its pretty name.
    pub fn number(&mut self, name: &str, group: &Group, aggregate: &Aggregate) {
        let gap = entry(&mut self.methods, name.to_owned());
        let failed = aggregate.failed.saturating_sub(group.failed());
        gap.failed.insert(group.index, failed);
        gap.undefined += aggregate.undefined;
        gap.cases += aggregate.cases;
    }

    /// Counts the cells that have a curve of a method (or of a setting), by its pretty name.
    pub fn curve(&mut self, name: &str, group: &Group, found: usize) {
        let cells = group.records.len() - group.failed();
        if found < cells {
            let mut at = vec![group.task.clone(), group.setting()];
            at.retain(|text| !text.is_empty());
            self.curves.push(format!(
                "{name} ({}): no curve in {} of {cells} cells",
                at.join(", "),
                cells - found
            ));
        }
    }

    /// One sentence, or nothing when nothing is missing.
    pub fn text(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.failed_cells > 0 {
            let (failed, all) = (self.failed_cells, self.cells);
            parts.push(format!("{failed} of {all} cells failed"));
        }
        for (name, gap) in &self.methods {
            let mut missing = Vec::new();
            let failed: usize = gap.failed.values().sum();
            if failed > 0 {
                missing.push(format!("failed in {failed} cell{}", plural(failed)));
            }
            if gap.undefined > 0 {
                let [undefined, all] = [gap.undefined, gap.cases].map(|n| number::plain(n as f64));
                missing.push(format!("{undefined} of {all} values undefined"));
            }
            if !missing.is_empty() {
                parts.push(format!("{name}: {}", missing.join(", ")));
            }
        }
        parts.extend(self.curves.iter().cloned());
        (!parts.is_empty()).then(|| format!("Missing: {}.", parts.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::ResultSet;
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn seeds_are_averaged_and_a_single_one_keeps_its_own_interval() {
        let records = synthetic::rank();
        let results = ResultSet::new(&records);
        let group = &results.groups[0];
        let own = |r: &&Record| method(r, "datainf")?.metrics[0].value;
        let values: Vec<f64> = group.records.iter().filter_map(own).collect();
        let result = aggregate(group, "datainf", "pearson");
        // t(2 degrees of freedom) = 4.302653 (tables).
        let mean = values.iter().sum::<f64>() / 3.0;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
        let half = 4.302653 * deviation / 3f64.sqrt();
        assert_eq!(
            (result.value, result.seeds, result.over_seeds),
            (Some(mean), 3, true)
        );
        let (_, high) = result.interval.expect("three seeds");
        assert!((high - mean - half).abs() < 1e-6);

        let single = synthetic::single();
        let results = ResultSet::new(&single);
        let result = aggregate(&results.groups[0], "datainf", "pearson");
        let own = &single[0].methods[1].metrics[0];
        assert_eq!(
            (result.value, result.interval, result.over_seeds),
            (own.value, own.low.zip(own.high), false)
        );
    }

    #[test]
    fn failures_and_undefined_values_are_counted_once() {
        let records = synthetic::rank();
        let results = ResultSet::new(&records);
        let of = |rank: f64| {
            let is = |g: &&Group| g.task == "digits" && g.number("lora.rank") == Some(rank);
            results.groups.iter().find(is).expect("swept")
        };
        assert_eq!(aggregate(of(8.0), "exact", "total_seconds").failed, 1);
        let undefined = aggregate(of(1.0), "lissa", "pearson");
        assert_eq!((undefined.value, undefined.interval), (None, None));
        assert_eq!((undefined.cases, undefined.undefined), (300, 300));
        assert!(undefined.applies());

        let mut missing = MissingData::default();
        for rank in [1.0, 4.0, 8.0] {
            missing.group(of(rank));
            for metric in ["pearson", "detection_auc", "total_seconds"] {
                for label in ["exact", "lissa", "lissa:variant=code"] {
                    missing.number(label, of(rank), &aggregate(of(rank), label, metric));
                }
            }
        }
        let expected = "Missing: 1 of 9 cells failed; lissa: 303 of 808 values undefined; lissa:variant=code: failed in 1 cell.";
        assert_eq!(missing.text().as_deref(), Some(expected));
    }
}
