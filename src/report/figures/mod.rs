//! The figures: one file each. A figure is drawn only when its data are there; otherwise the report
//! says why it is missing.

mod correlation_rank;
pub mod damping;
mod decomposition;
mod detection;
mod detection_curve;
mod dots;
pub mod findings;
mod frontier;
mod lines;
mod retraining;
mod retrieval;
mod selection;
mod sweep;
mod training;
mod training_cost;

use super::aggregate::{Aggregate, Gaps, aggregate, value};
use super::axis::{Axis, Labels, Scale, range};
use super::comparison::{Comparison, change as paired_change, compare};
use super::marks::{Mark, Marks};
use super::scene::Scene;
use super::sheet::{Entry, Point};
use super::study::{Group, Slice, Study};
use super::tables::damping_text;
use crate::metrics::{Direction, Metric, find};
use crate::results::record::Record;
use findings::Change;

/// A drawn figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// File name without ending.
    pub id: String,
    /// Heading.
    pub title: String,
    /// What is to be seen: sentences from the very numbers that are drawn.
    pub findings: Vec<String>,
    /// What is drawn, how intervals were made, what is held and what is missing.
    pub caption: String,
    /// The drawing.
    pub scene: Scene,
}

/// A figure, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Drawn.
    Drawn(Box<Figure>),
    /// Not drawn.
    Omitted {
        /// Heading that it would have had.
        title: String,
        /// Why.
        reason: String,
    },
}

impl Outcome {
    fn drawn(
        id: impl Into<String>,
        title: impl Into<String>,
        caption: String,
        scene: Scene,
    ) -> Self {
        Self::Drawn(Box::new(Figure {
            id: id.into(),
            title: title.into(),
            findings: Vec::new(),
            caption,
            scene,
        }))
    }

    /// With what is to be seen in it.
    pub fn finding(mut self, sentences: Vec<String>) -> Self {
        if let Self::Drawn(figure) = &mut self {
            figure.findings = sentences;
        }
        self
    }

    fn omitted(title: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Omitted {
            title: title.into(),
            reason: reason.into(),
        }
    }
}

/// All figures, in the order of the report.
pub fn all(study: &Study) -> Vec<Outcome> {
    let mut outcomes = vec![
        correlation_rank::draw(study),
        detection::draw(study),
        detection_curve::draw(study),
    ];
    outcomes.extend(sweep::draw(study));
    outcomes.extend([frontier::draw(study), retrieval::draw(study)]);
    outcomes.extend(retraining::draw(study));
    outcomes.extend(decomposition::draw(study));
    outcomes.extend(damping::draw(study));
    outcomes.extend(selection::draw(study));
    // what follows is about training alone; everything before it has a damping
    outcomes
        .iter_mut()
        .for_each(|outcome| say_damping(study, outcome));
    outcomes.push(training::draw(study));
    outcomes.extend(training_cost::draw(study));
    for outcome in &mut outcomes {
        // every figure says what it leaves out, also when that is nothing
        if let Outcome::Drawn(figure) = outcome
            && !figure.caption.contains("Missing: ")
        {
            figure
                .caption
                .push_str(" Missing: nothing, no cell failed and no value is undefined.");
        }
    }
    outcomes
}

/// Adds the damping to a caption that does not speak of it.
fn say_damping(study: &Study, outcome: &mut Outcome) {
    if let Outcome::Drawn(figure) = outcome
        && !figure.caption.contains("amping")
    {
        figure.caption = caption(&[&figure.caption, &damping_text(study)]);
    }
}

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
fn compared<'s>(study: &'s Study, metric: &str) -> Vec<&'s str> {
    find(metric).map_or_else(Vec::new, |metric| study.compared(metric))
}

/// Which method is best by a metric at each value of a swept setting, by the comparison of the tables.
fn winners(study: &Study, slice: &Slice, key: &str, metric: &str, x: &str) -> Option<String> {
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

/// What is known of the change of a number of the cells between the first and the last group that a line shows.
fn change_between(slice: &Slice, marks: &Marks, of: &dyn Fn(&Record) -> Option<f64>) -> Change {
    let mut shown = slice
        .groups
        .iter()
        .zip(marks)
        .filter(|(_, (_, mark))| mark.is_some())
        .map(|(group, _)| *group);
    let ends = shown.next().zip(shown.next_back());
    Change::paired(ends.and_then(|(first, last)| paired_change(first, last, of)))
}

/// The aggregate as a point of a figure.
fn point(aggregate: &Aggregate) -> Option<Point> {
    Some(Point {
        value: aggregate.value?,
        interval: aggregate.low.zip(aggregate.high),
    })
}

/// The aggregate as a point that leads to the records of its group.
fn mark(study: &Study, group: &Group, label: Option<&str>, aggregate: &Aggregate) -> Option<Mark> {
    Some(Mark {
        point: point(aggregate)?,
        origin: Some(study.origin(group, label)),
    })
}

/// The points of marks, for an axis.
fn points<'m>(marks: impl IntoIterator<Item = &'m Marks>) -> impl Iterator<Item = &'m Point> {
    let all = marks.into_iter().flatten();
    all.filter_map(|(_, mark)| Some(&mark.as_ref()?.point))
}

/// Aggregates and counts what is missing from them.
fn measure(study: &Study, group: &Group, label: &str, metric: &str, gaps: &mut Gaps) -> Aggregate {
    let result = aggregate(group, label, metric);
    gaps.number(&study.palette.style(label).name, group, &result);
    result
}

/// Logarithmic for what is unbounded and better small: errors, times, memory.
fn scale_of(metric: &str) -> Scale {
    match find(metric) {
        Some(metric) if metric.direction == Direction::Lower && metric.range.1.is_none() => {
            Scale::Log
        }
        _ => Scale::Linear,
    }
}

/// Axis of a metric over the given points; `None` when none of them can be shown.
fn metric_axis<'p>(metric: &str, points: impl IntoIterator<Item = &'p Point>) -> Option<Axis> {
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
fn legend<'s>(study: &Study, labels: impl IntoIterator<Item = &'s str>) -> Vec<Entry> {
    labels
        .into_iter()
        .map(|label| Entry::method(&study.palette.style(label)))
        .collect()
}

/// How the intervals of these numbers were made.
fn interval_text<'a>(aggregates: impl IntoIterator<Item = &'a Aggregate>) -> String {
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
fn caption(parts: &[&str]) -> String {
    parts
        .iter()
        .filter(|part| !part.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join(" ")
}

/// `Held: rank r = 4.`
fn held_text(held: &str) -> String {
    if held.is_empty() {
        String::new()
    } else {
        format!("Held: {held}.")
    }
}

/// A file name from any text.
fn slug(text: &str) -> String {
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
fn lower_first(text: &str) -> String {
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
fn dodge(position: usize, count: usize) -> f64 {
    let step = (18.0 / count.max(1) as f64).min(4.0);
    (position as f64 - (count as f64 - 1.0) / 2.0) * step
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;

    #[test]
    fn no_two_texts_of_a_figure_overlap_and_none_leaves_it() {
        let mut drawn = 0;
        for (name, records) in synthetic::all() {
            for outcome in all(&Study::new(&records)) {
                let Outcome::Drawn(figure) = outcome else {
                    continue;
                };
                drawn += 1;
                let boxes = figure.scene.text_boxes();
                for (i, (text, a)) in boxes.iter().enumerate() {
                    let within = a[0] >= 0.0
                        && a[1] >= 0.0
                        && a[2] <= figure.scene.width
                        && a[3] <= figure.scene.height;
                    assert!(
                        within,
                        "{name}/{}: `{text}` leaves the figure: {a:?}",
                        figure.id
                    );
                    for (other, b) in &boxes[..i] {
                        let apart = a[0] >= b[2] || b[0] >= a[2] || a[1] >= b[3] || b[1] >= a[3];
                        assert!(
                            apart,
                            "{name}/{}: `{text}` covers `{other}`: {a:?} {b:?}",
                            figure.id
                        );
                    }
                }
            }
        }
        assert!(drawn > 10, "{drawn}");
    }

    #[test]
    fn acronyms_keep_their_capitals() {
        assert_eq!(
            (lower_first("LoRA rank r"), lower_first("Adapted layers")),
            ("LoRA rank r".to_owned(), "adapted layers".to_owned())
        );
    }

    #[test]
    fn slugs_are_file_names() {
        assert_eq!(slug("sweep task.train, a = {b}"), "sweep_task_train_a_b");
    }
}
