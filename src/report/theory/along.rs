//! A quantity of the cases along one varied setting, the others as in the base.

use crate::metrics::slope::growth;
use crate::report::chart::{DataPoint, RecordRef, Series, UNLIMITED};
use crate::report::data::ascending;
use crate::report::figures::mean_point;
use crate::report::number;
use crate::results::theory::{CaseRecord, Quantities, TheoryResults};

/// The cases along an axis, as (x, case).
pub fn cases<'r>(results: &'r TheoryResults, axis: &str) -> Vec<(f64, &'r CaseRecord)> {
    let as_base = |case: &CaseRecord| {
        let names = case.axes.keys().chain(results.base_axes.keys());
        let mut others = names.filter(|name| *name != axis);
        others.all(|name| case.axes.get(name) == results.base_axes.get(name))
    };
    let at = |case: &CaseRecord| match axis {
        "train" => Some(case.n as f64),
        "dim" => Some(case.d as f64),
        _ => case.axes.get(axis).copied(),
    };
    let cases = results.cases.iter().filter(|case| as_base(case));
    let mut cases: Vec<_> = cases.filter_map(|case| Some((at(case)?, case))).collect();
    cases.sort_by(|a, b| a.0.total_cmp(&b.0));
    cases
}

/// Where the cases at a value of an axis are listed on the page.
pub fn origin(results: &TheoryResults, axis: &str, x: f64) -> RecordRef {
    let along = cases(results, axis);
    let varied = results.varied.iter().position(|varied| varied.axis == axis);
    let value = values(&along).iter().position(|value| *value == x);
    RecordRef {
        anchor: match varied.zip(value) {
            Some((axis, value)) => anchor(axis, value),
            None => BASE.to_owned(),
        },
        method: None,
        records: along.iter().filter(|(at, _)| *at == x).count(),
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
    ascending(cases.iter().map(|(x, _)| *x))
}

/// Geometric mean over seeds and blocks at each x, with the t-interval of the logarithms. Zeros and what is
/// not finite are left out.
pub fn series(
    results: &TheoryResults,
    axis: &str,
    cases: &[(f64, &CaseRecord)],
    of: impl Fn(&Quantities) -> f64,
) -> Series {
    let at = |x: f64| {
        let here = cases.iter().filter(|(at, _)| *at == x);
        let known = here.filter_map(|(_, case)| case.quantities.as_ref());
        let logarithm = mean_point(known.map(|q| of(q).ln()), UNLIMITED)?;
        let interval = logarithm
            .interval
            .map(|(low, high)| (low.exp(), high.exp()));
        let point = DataPoint::from(logarithm.value.exp()).within(interval);
        Some(point.with_record(origin(results, axis, x)))
    };
    values(cases).into_iter().map(|x| (x, at(x))).collect()
}

/// The exponent of a series with its interval, e.g. `−0.02 [−0.10, 0.06]`; `None` for an axis with zeros.
pub fn slope(series: &Series) -> Option<String> {
    let points = series.iter();
    let points = points.filter_map(|(x, point)| Some((*x, point.as_ref()?.value)));
    let slope = growth(&points.collect::<Vec<_>>())?;
    let two = |value: f64| number::fixed(if value.abs() < 5e-3 { 0.0 } else { value }, 2);
    Some(two(slope.value) + &number::ends(slope.interval, two))
}

/// Axes: title, name in a sentence.
const AXES: [(&str, &str, &str); 5] = [
    ("train", "Examples n", "n"),
    ("dim", "Block size d", "d"),
    ("damping", "c in λ = c · tr F/d", "c"),
    ("spectrum_decay", "Spectrum decay p", "spectrum_decay"),
    ("norm_tail", "Spread of ln ‖g‖", "norm_tail"),
];

/// How an axis is called.
pub fn title(axis: &str) -> &str {
    let known = AXES.iter().find(|known| known.0 == axis);
    known.map_or(axis, |known| known.1)
}

/// How an axis is called in a sentence.
pub fn short(axis: &str) -> &str {
    let known = AXES.iter().find(|known| known.0 == axis);
    known.map_or(axis, |known| known.2)
}
