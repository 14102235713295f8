//! A quantity of the cases along one varied setting, the others as in the base.

use crate::metrics::interval::{mean, t_interval};
use crate::metrics::slope::growth;
use crate::report::chart::{DataPoint, RecordRef, Series};
use crate::report::number;
use crate::results::theory::{CaseRecord, Quantities, TheoryResults};

/// The cases along an axis, as (x, case).
pub fn cases<'r>(results: &'r TheoryResults, axis: &str) -> Vec<(f64, &'r CaseRecord)> {
    let others_as_base = |case: &CaseRecord| {
        let names = case.axes.keys().chain(results.base_axes.keys());
        names
            .filter(|name| *name != axis)
            .all(|name| case.axes.get(name) == results.base_axes.get(name))
    };
    let at = |case: &CaseRecord| match axis {
        "train" => Some(case.n as f64),
        "dim" => Some(case.d as f64),
        _ => case.axes.get(axis).copied(),
    };
    let mut cases: Vec<(f64, &CaseRecord)> = results
        .cases
        .iter()
        .filter(|case| others_as_base(case))
        .filter_map(|case| Some((at(case)?, case)))
        .collect();
    cases.sort_by(|a, b| a.0.total_cmp(&b.0));
    cases
}

/// Where the cases at a value of an axis are listed on the page.
pub fn origin(results: &TheoryResults, axis: &str, x: f64) -> RecordRef {
    let along = cases(results, axis);
    let records = along.iter().filter(|(at, _)| *at == x).count();
    let varied = results.varied.iter().position(|varied| varied.axis == axis);
    let value = values(&along).iter().position(|value| *value == x);
    let anchor = match varied.zip(value) {
        Some((axis, value)) => anchor(axis, value),
        None => BASE.to_owned(),
    };
    RecordRef {
        anchor,
        method: None,
        records,
    }
}

/// Id of the entry of the cases at the value of a varied setting, by their positions.
pub fn anchor(axis: usize, value: usize) -> String {
    format!("a{axis}-{value}")
}

/// Id of the entry of the base's cases.
pub const BASE: &str = "base";

/// The distinct values of an axis.
pub fn values(cases: &[(f64, &CaseRecord)]) -> Vec<f64> {
    let mut values: Vec<f64> = cases.iter().map(|(x, _)| *x).collect();
    values.dedup();
    values
}

/// Geometric mean over seeds and blocks at each x, with the t-interval of the logarithms. Zeros and what is
/// not finite are left out.
pub fn series(
    results: &TheoryResults,
    axis: &str,
    cases: &[(f64, &CaseRecord)],
    of: impl Fn(&Quantities) -> f64,
) -> Series {
    values(cases)
        .into_iter()
        .map(|x| {
            let logs: Vec<f64> = cases
                .iter()
                .filter(|(at, _)| *at == x)
                .filter_map(|(_, case)| case.quantities.as_ref())
                .map(|quantities| of(quantities).ln())
                .filter(|log| log.is_finite())
                .collect();
            let interval = t_interval(&logs).map(|i| (i.low.exp(), i.high.exp()));
            let point = mean(&logs).map(|centre| DataPoint::from(centre.exp()).within(interval));
            (
                x,
                point.map(|point| point.with_record(Some(origin(results, axis, x)))),
            )
        })
        .collect()
}

/// The exponent of a series with its interval, e.g. `−0.02 [−0.10, 0.06]`; `None` for an axis with zeros.
pub fn slope(series: &Series) -> Option<String> {
    let points: Vec<(f64, f64)> = series
        .iter()
        .filter_map(|(x, point)| Some((*x, point.as_ref()?.value)))
        .collect();
    let slope = growth(&points)?;
    let two = |value: f64| number::fixed(if value.abs() < 5e-3 { 0.0 } else { value }, 2);
    Some(match slope.interval {
        Some(i) => format!("{} [{}, {}]", two(slope.value), two(i.low), two(i.high)),
        None => two(slope.value),
    })
}

/// How an axis is called.
pub fn title(axis: &str) -> &str {
    match axis {
        "train" => "Examples n",
        "dim" => "Block size d",
        "damping" => "c in λ = c · tr F/d",
        "spectrum_decay" => "Spectrum decay p",
        "norm_tail" => "Spread of ln ‖g‖",
        other => other,
    }
}

/// How an axis is called in a sentence.
pub fn short(axis: &str) -> &str {
    match axis {
        "train" => "n",
        "dim" => "d",
        "damping" => "λ",
        other => other,
    }
}
