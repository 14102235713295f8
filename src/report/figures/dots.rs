//! Rows of methods, columns of metrics, a dot with its interval in each.

use super::draft::{Draft, point};
use super::{Outcome, findings, metric_axis, references, taken, why_missing};
use crate::metrics::find;
use crate::report::chart::{Axis, DataPoint, Entry, Layer, Panel, Stroke, short_name};
use crate::report::data::{Aggregate, Group, ResultSet, compare};
use crate::report::number::MISSING;
use crate::report::palette::{Dash, GREY};

/// Height of a row, pixels.
const ROW: f64 = 24.0;

/// What a figure of dots shows.
pub struct Dots {
    /// File name without ending.
    pub id: &'static str,
    /// Heading.
    pub title: &'static str,
    /// What it is, for the caption.
    pub text: &'static str,
    /// One column of panels each, as far as they were taken.
    pub metrics: &'static [&'static str],
    /// Shown beside them.
    pub beside: &'static [&'static str],
    /// Where guesses lie by a metric, if anywhere: a dashed line.
    pub chance: fn(&str) -> Option<f64>,
    /// What a method could reach at most by a metric, if known: a line with a band for its interval.
    pub ceiling: fn(&Group, &str) -> Option<DataPoint>,
    /// Why there is no figure when none of the metrics was taken; `None` says nothing of it.
    pub without: Option<&'static str>,
}

/// One row of panels per task, at the reference setting.
pub fn draw(results: &ResultSet, dots: &Dots) -> Option<Outcome> {
    let mut metrics = taken(results, dots.metrics);
    if metrics.is_empty() {
        return Some(Outcome::omitted(dots.title, dots.without?));
    }
    metrics.extend(dots.beside);
    let mut draft = Draft::new(metrics.len(), ROW * results.methods.len() as f64 + 8.0);
    for (slice, group) in references(results) {
        let mut of = |metric: &&str| -> Vec<Aggregate> {
            let methods = results.methods.iter();
            methods
                .map(|label| draft.measure(results, group, label, metric))
                .collect()
        };
        let numbers: Vec<Vec<Aggregate>> = metrics.iter().map(&mut of).collect();
        if !numbers[0].iter().any(Aggregate::applies) {
            continue;
        }
        draft.covers(&slice);
        for (column, (metric, numbers)) in metrics.iter().zip(&numbers).enumerate() {
            let methods = results.methods.iter().zip(numbers);
            let points = methods.map(|(label, result)| point(results, group, Some(label), result));
            let points: Vec<Option<DataPoint>> = points.collect();
            let most = (dots.ceiling)(group, metric);
            let name = |label: &String| match column {
                0 => short_name(&results.palette.style(label)),
                _ => String::new(),
            };
            let names: Vec<String> = results.methods.iter().map(name).collect();
            // without a value the axis is drawn over an arbitrary range, with a word at every row
            let x = metric_axis(metric, points.iter().flatten().chain(&most));
            let x = x.unwrap_or_else(|| Axis {
                ticks: Vec::new(),
                ..Axis::linear(*metric, 0.0, 1.0)
            });
            let mut panel = Panel::new(slice.title.clone(), x, Axis::rows(&names));
            let ceiling = most.iter();
            let ceiling = ceiling.flat_map(|most| Layer::level(most, |x| panel.upright(x)));
            let mut layers: Vec<Layer> = ceiling.collect();
            let shows = |x: &f64| panel.x.can_show(*x) && panel.x.shows(*x);
            if let Some(chance) = (dots.chance)(metric).filter(shows) {
                let dashed = Stroke::reference(Dash::Dashed);
                layers.push(Layer::line(panel.upright(chance), dashed));
            }
            for (row, (label, point)) in results.methods.iter().zip(&points).enumerate() {
                let (y, style) = (-(row as f64), results.palette.style(label));
                layers.push(match point {
                    Some(point) => Layer::dots(&style, [(point.clone(), y.into())]),
                    None => Layer::word(y, why_missing(&numbers[row])),
                });
            }
            panel.layers = layers;
            let said = sentence(results, group, &slice.title, metric, &points, most.as_ref());
            draft.findings.extend(said);
            if draft.chart.legend.is_empty() && most.is_some() {
                let ceiling = Entry::line("noise ceiling", GREY, Dash::Solid);
                draft.chart.legend.push(ceiling);
            }
            draft.chart.panels.push(panel);
        }
    }
    let text = [dots.text, &draft.intervals()];
    let empty = "no value at the reference setting";
    Some(draft.outcome(dots.id, dots.title, &text, empty))
}

/// The best by a metric, with what it is held against.
fn sentence(
    results: &ResultSet,
    group: &Group,
    title: &str,
    metric: &str,
    points: &[Option<DataPoint>],
    most: Option<&DataPoint>,
) -> Option<String> {
    let found = find(metric)?;
    let name = |label: &str| results.palette.name(label);
    let point = |label: &str| {
        let at = results.methods.iter().position(|other| other == label)?;
        points[at].clone()
    };
    let show = |value| findings::show(metric, value);
    let comparison = compare(results, &[group], found)?;
    let best = findings::best(&comparison, name, point, show)?;
    let first = comparison.best().map(|i| comparison.labels[i]);
    let others = ["exact", "datainf"].into_iter().filter(|subject| {
        let known = results.methods.iter().any(|label| label == subject);
        known && first != Some(subject)
    });
    let others = others.map(|subject| {
        let value = point(subject).map_or(MISSING.to_owned(), |point| show(point.value));
        format!("{} {value}", name(subject))
    });
    let ceiling = most.map(|most| format!("noise ceiling {}", findings::with_interval(most, show)));
    let rest = findings::aside(others.chain(ceiling));
    Some(format!("{title}, {}: best is {best}{rest}.", found.title))
}
