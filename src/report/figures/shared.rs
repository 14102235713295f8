//! What figures share: axes of metrics, sentences of captions.

use super::findings::Change;
use crate::metrics::interval::{mean, t_interval};
use crate::metrics::{Direction, find};
use crate::report::chart::{Axis, DataPoint, Labels, Scale, Series};
use crate::report::data::{Aggregate, ResultSet, Slice, change as paired_change, has_values};
use crate::results::record::Record;

/// The metric that stands for agreement with exact: per query when it was taken, else the mean query's.
pub fn agreement(results: &ResultSet) -> Option<&'static str> {
    [
        "pearson",
        "spearman",
        "pearson_mean_query",
        "spearman_mean_query",
    ]
    .into_iter()
    .find(|metric| has_values(results, metric))
}

/// Methods that a metric says something about (see [`ResultSet::compared`]).
pub fn compared<'s>(results: &'s ResultSet, metric: &str) -> Vec<&'s str> {
    find(metric).map_or_else(Vec::new, |metric| results.compared(metric))
}

/// What is known of the change of a number of the cells between the first and the last group that a line shows.
pub fn change_between(
    slice: &Slice,
    series: &Series,
    of: &dyn Fn(&Record) -> Option<f64>,
) -> Change {
    let mut shown = slice
        .groups
        .iter()
        .zip(series)
        .filter(|(_, (_, point))| point.is_some())
        .map(|(group, _)| *group);
    let ends = shown.next().zip(shown.next_back());
    Change::paired(ends.and_then(|(first, last)| paired_change(first, last, of)))
}

/// Least and largest possible value.
pub type Bounds = (Option<f64>, Option<f64>);

/// The mean of the finite ones of some values with its t-interval, held within `bounds`.
pub fn mean_point(values: impl IntoIterator<Item = f64>, bounds: Bounds) -> Option<DataPoint> {
    let values = values.into_iter().filter(|value| value.is_finite());
    let values: Vec<f64> = values.collect();
    let clamp = |x: f64| x.max(bounds.0.unwrap_or(x)).min(bounds.1.unwrap_or(x));
    let interval = t_interval(&values).map(|i| (clamp(i.low), clamp(i.high)));
    Some(DataPoint::from(mean(&values)?).within(interval))
}

/// Logarithmic for what is unbounded and better small: errors, times, memory.
pub fn scale_of(metric: &str) -> Scale {
    match find(metric) {
        Some(metric) if metric.direction == Direction::Lower && metric.range.1.is_none() => {
            Scale::Log
        }
        _ => Scale::Linear,
    }
}

/// Axis of a metric over the given points; `None` when none of them can be shown.
pub fn metric_axis<'p>(
    metric: &str,
    points: impl IntoIterator<Item = &'p DataPoint>,
) -> Option<Axis> {
    let scale = scale_of(metric);
    let (low, high) = find(metric).map_or((None, None), |metric| metric.range);
    let bounds = (low.filter(|_| scale == Scale::Linear), high);
    let (title, labels) = match find(metric) {
        // Ticks carry the unit.
        Some(metric) if metric.unit == "bytes" => (metric.title.to_owned(), Labels::Bytes),
        Some(metric) => (metric.label(), Labels::Number),
        None => (metric.to_owned(), Labels::Number),
    };
    Axis::fit(title, points, scale, bounds, labels)
}

/// How the intervals of these numbers were made.
pub fn interval_text<'a>(aggregates: impl IntoIterator<Item = &'a Aggregate>) -> String {
    let (mut fewest, mut most, mut own) = (usize::MAX, 0, false);
    for aggregate in aggregates
        .into_iter()
        .filter(|aggregate| aggregate.value.is_some())
    {
        if aggregate.over_seeds {
            fewest = fewest.min(aggregate.seeds);
            most = most.max(aggregate.seeds);
        } else {
            own |= aggregate.low.is_some();
        }
    }
    let seeds = if fewest == most {
        format!("{most}")
    } else {
        format!("{fewest} to {most}")
    };
    match (most > 0, own) {
        (true, true) => format!(
            "Bars: 95 % t-interval over {seeds} seeds; where there is one seed, the interval within its cell."
        ),
        (true, false) => format!("Bars: 95 % t-interval over {seeds} seeds."),
        (false, true) => "One seed: bars are the 95 % interval within the cell.".to_owned(),
        (false, false) => "No intervals: one seed.".to_owned(),
    }
}

/// Joins the sentences of a caption.
pub fn caption(parts: &[&str]) -> String {
    parts
        .iter()
        .filter(|part| !part.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join(" ")
}

/// A file name from any text.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.ends_with('_') && !slug.is_empty() {
            slug.push('_');
        }
    }
    slug.trim_end_matches('_').to_owned()
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

/// Horizontal offsets in pixels that keep `count` methods' intervals apart.
pub fn dodge(position: usize, count: usize) -> f64 {
    let step = (18.0 / count.max(1) as f64).min(4.0);
    (position as f64 - (count as f64 - 1.0) / 2.0) * step
}
