//! What figures share: axes of metrics, sentences of captions.

use crate::metrics::interval::{Interval, mean, t_interval};
use crate::metrics::{Direction, find};
use crate::report::chart::{Axis, AxisScale, DataPoint, Limits, RecordRef, Series};
use crate::report::data::{Aggregate, Group, ResultSet, Slice, ascending, change, has_values};
use crate::results::record::Record;

/// The metric that stands for agreement with exact: per query when it was taken, else the mean query's.
pub fn agreement(results: &ResultSet) -> Option<&'static str> {
    let mean_query = ["pearson_mean_query", "spearman_mean_query"];
    let mut metrics = ["pearson", "spearman"].into_iter().chain(mean_query);
    metrics.find(|metric| has_values(results, metric))
}

/// Those of some metrics that any cell has.
pub fn taken(results: &ResultSet, metrics: &[&'static str]) -> Vec<&'static str> {
    let mut metrics = metrics.to_vec();
    metrics.retain(|metric| has_values(results, metric));
    metrics
}

/// Every task at its reference setting.
pub fn references<'s, 'r>(results: &'s ResultSet<'r>) -> Vec<(Slice<'r, 's>, &'s Group<'r>)> {
    let first = |mut slice: Slice<'r, 's>| {
        slice.groups.truncate(1);
        Some((slice.clone(), *slice.groups.first()?))
    };
    results.slices(None).into_iter().filter_map(first).collect()
}

/// Methods that a metric says something about (see [`ResultSet::compared`]).
pub fn compared<'s>(results: &'s ResultSet, metric: &str) -> Vec<&'s str> {
    find(metric).map_or_else(Vec::new, |metric| results.compared(metric))
}

/// The interval of the change of a number of the cells between the first and the last group that a line shows.
pub fn change_between(
    slice: &Slice,
    series: &Series,
    of: &dyn Fn(&Record) -> Option<f64>,
) -> Option<Interval> {
    let all = slice.groups.iter().zip(series);
    let mut shown = all.filter(|(_, (_, point))| point.is_some());
    let (first, last) = (shown.next()?.0, shown.next_back()?.0);
    change(first, last, of)?.interval()
}

/// The mean of the finite ones of some values with its t-interval, held within `limits`.
pub fn mean_point(values: impl IntoIterator<Item = f64>, limits: Limits) -> Option<DataPoint> {
    let values = values.into_iter().filter(|value| value.is_finite());
    let values: Vec<f64> = values.collect();
    let clamp = |x: f64| x.max(limits.0.unwrap_or(x)).min(limits.1.unwrap_or(x));
    let interval = t_interval(&values).map(|i| (clamp(i.low), clamp(i.high)));
    Some(DataPoint::from(mean(&values)?).within(interval))
}

/// [`mean_point`] at every x of some curves, one a seed; no point where no y is finite.
pub fn mean_series(
    curves: impl IntoIterator<Item = (f64, f64)>,
    limits: Limits,
    record: &RecordRef,
) -> Series {
    let all: Vec<(f64, f64)> = curves.into_iter().collect();
    let at = |x: f64| {
        let here = all.iter().filter(|(other, _)| *other == x);
        let point = mean_point(here.map(|(_, y)| *y), limits);
        (x, point.map(|point| point.with_record(record.clone())))
    };
    let places = ascending(all.iter().map(|(x, _)| *x));
    places.into_iter().map(at).collect()
}

/// Axis of a metric over the given points, logarithmic for what is unbounded and better small (errors, times, memory);
/// `None` when none of them can be shown.
pub fn metric_axis<'p>(
    metric: &str,
    points: impl IntoIterator<Item = &'p DataPoint>,
) -> Option<Axis> {
    let metric = find(metric)?;
    let (low, high) = metric.range;
    let is_log = metric.direction == Direction::Lower && high.is_none();
    let (title, scale) = match metric.unit {
        // the ticks carry the unit
        "bytes" => (metric.title.to_owned(), AxisScale::LogBytes),
        _ if is_log => (metric.label(), AxisScale::Log),
        _ => (metric.label(), AxisScale::Linear),
    };
    let low = low.filter(|_| scale == AxisScale::Linear);
    Axis::fit(title, points, scale, (low, high))
}

/// Joins the sentences of a caption.
pub fn caption<'t>(parts: impl IntoIterator<Item = &'t str>) -> String {
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

/// A file name from any text.
pub fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("_").to_ascii_lowercase()
}

/// Lowers a first letter, unless its word has other capitals (LoRA).
pub fn lower_first(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or(text);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if !word.chars().skip(1).any(char::is_uppercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

/// Id and title of a figure of one slice, which they name where there are several.
pub fn named(id: &str, title: &str, slice: &Slice, several: bool) -> (String, String) {
    if !several {
        return (id.to_owned(), title.to_owned());
    }
    let own = &slice.title;
    (format!("{id}_{}", slug(own)), format!("{title}: {own}"))
}

/// A word for a number that is not there.
pub fn why_missing(number: &Aggregate) -> &'static str {
    match (number.undefined, number.failed) {
        (1.., _) => "undefined",
        (0, 1..) => "failed",
        (0, 0) => "not taken",
    }
}
