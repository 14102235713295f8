//! What figures share: points and axes of metrics, legends, sentences of captions.

use super::findings::{self, Change};
use crate::metrics::interval::{mean, t_interval};
use crate::metrics::{Direction, Metric, find};
use crate::report::aggregate::{Aggregate, Gaps, aggregate, value};
use crate::report::axis::{Axis, Labels, Scale, range};
use crate::report::comparison::{Comparison, change as paired_change, compare};
use crate::report::marks::{Mark, Marks};
use crate::report::sheet::{Entry, Point};
use crate::report::study::{Group, Slice, Study};
use crate::results::record::Record;

/// The metric that stands for agreement with exact: per query when it was taken, else the mean query's.
pub fn agreement(study: &Study) -> Option<&'static str> {
    [
        "pearson",
        "spearman",
        "pearson_mean_query",
        "spearman_mean_query",
    ]
    .into_iter()
    .find(|metric| has_values(study, metric))
}

/// Whether any method of any cell has a value or an undefined case of the metric.
pub fn has_values(study: &Study, metric: &str) -> bool {
    study.groups.iter().any(|group| {
        study
            .methods
            .iter()
            .any(|label| aggregate(group, label, metric).applies())
    })
}

/// Methods that a metric says something about (see [`Study::compared`]).
pub fn compared<'s>(study: &'s Study, metric: &str) -> Vec<&'s str> {
    find(metric).map_or_else(Vec::new, |metric| study.compared(metric))
}

/// Which method is best by a metric at each value of a swept setting, by the comparison of the tables.
pub fn winners(study: &Study, slice: &Slice, key: &str, metric: &str, x: &str) -> Option<String> {
    let metric = find(metric)?;
    let places: Vec<(f64, Comparison)> = slice
        .groups
        .iter()
        .filter_map(|group| Some((group.number(key)?, compare(study, &[group], metric)?)))
        .collect();
    findings::winners(&places, |label| study.palette.style(label).name, x)
}

/// How a method's line goes from its first to its last value, paired by seeds.
fn change(slice: &Slice, label: &str, metric: &str, marks: &Marks, x: &str) -> Option<String> {
    let logarithm = find(metric).is_some_and(Metric::is_factor);
    let of = |record: &Record| {
        let value = value(record, label, metric)?;
        Some(if logarithm { value.ln() } else { value })
    };
    let known = change_between(slice, marks, &of);
    findings::change(marks, x, |value| findings::show(metric, value), known)
}

/// How the line of `subject` goes, after what is said of the others; empty where it has none.
pub fn ours(
    study: &Study,
    slice: &Slice,
    subject: &str,
    metric: &str,
    series: &[(&str, Marks)],
    x: &str,
) -> String {
    let line = series.iter().find(|(label, _)| *label == subject);
    let change = line.and_then(|(label, marks)| change(slice, label, metric, marks, x));
    change.map_or(String::new(), |change| {
        format!("; {} {change}", study.palette.style(subject).name)
    })
}

/// What is known of the change of a number of the cells between the first and the last group that a line shows.
pub fn change_between(slice: &Slice, marks: &Marks, of: &dyn Fn(&Record) -> Option<f64>) -> Change {
    let mut shown = slice
        .groups
        .iter()
        .zip(marks)
        .filter(|(_, (_, mark))| mark.is_some())
        .map(|(group, _)| *group);
    let ends = shown.next().zip(shown.next_back());
    Change::paired(ends.and_then(|(first, last)| paired_change(first, last, of)))
}

/// Least and largest possible value.
pub type Bounds = (Option<f64>, Option<f64>);

/// The mean of the finite ones of some values with its t-interval, held within `bounds`.
pub fn mean_point(values: impl IntoIterator<Item = f64>, bounds: Bounds) -> Option<Point> {
    let values = values.into_iter().filter(|value| value.is_finite());
    let values: Vec<f64> = values.collect();
    let clamp = |x: f64| x.max(bounds.0.unwrap_or(x)).min(bounds.1.unwrap_or(x));
    Some(Point {
        value: mean(&values)?,
        interval: t_interval(&values).map(|i| (clamp(i.low), clamp(i.high))),
    })
}

/// The aggregate as a point of a figure.
pub fn point(aggregate: &Aggregate) -> Option<Point> {
    Some(Point {
        value: aggregate.value?,
        interval: aggregate.low.zip(aggregate.high),
    })
}

/// The aggregate as a point that leads to the records of its group.
pub fn mark(
    study: &Study,
    group: &Group,
    label: Option<&str>,
    aggregate: &Aggregate,
) -> Option<Mark> {
    Some(Mark {
        point: point(aggregate)?,
        origin: Some(study.origin(group, label)),
    })
}

/// The points of marks, for an axis.
pub fn points<'m>(marks: impl IntoIterator<Item = &'m Marks>) -> impl Iterator<Item = &'m Point> {
    let all = marks.into_iter().flatten();
    all.filter_map(|(_, mark)| Some(&mark.as_ref()?.point))
}

/// Aggregates and counts what is missing from them.
pub fn measure(
    study: &Study,
    group: &Group,
    label: &str,
    metric: &str,
    gaps: &mut Gaps,
) -> Aggregate {
    let result = aggregate(group, label, metric);
    gaps.number(&study.palette.style(label).name, group, &result);
    result
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
pub fn metric_axis<'p>(metric: &str, points: impl IntoIterator<Item = &'p Point>) -> Option<Axis> {
    let scale = scale_of(metric);
    let bounds = find(metric).map_or((None, None), |metric| metric.range);
    let bounds = if scale == Scale::Log {
        (None, bounds.1)
    } else {
        bounds
    };
    let values: Vec<_> = points
        .into_iter()
        .map(|point| (point.value, point.interval))
        .collect();
    let (low, high) = range(&values, scale, bounds)?;
    let title = match find(metric) {
        // Ticks carry the unit.
        Some(metric) if metric.unit == "bytes" => metric.title.to_owned(),
        Some(metric) => metric.label(),
        None => metric.to_owned(),
    };
    Some(match scale {
        Scale::Linear => Axis::linear(title, low, high),
        Scale::Log => Axis::log(
            title,
            low,
            high,
            if metric.ends_with("bytes") {
                Labels::Bytes
            } else {
                Labels::Number
            },
        ),
    })
}

/// Legend of methods.
pub fn legend<'s>(study: &Study, labels: impl IntoIterator<Item = &'s str>) -> Vec<Entry> {
    labels
        .into_iter()
        .map(|label| Entry::method(&study.palette.style(label)))
        .collect()
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

/// `Held: rank r = 4.`
pub fn held_text(held: &str) -> String {
    if held.is_empty() {
        String::new()
    } else {
        format!("Held: {held}.")
    }
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
