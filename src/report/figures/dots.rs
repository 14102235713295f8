//! Rows of methods, columns of metrics, a dot with its interval in each.

use super::draft::Draft;
use super::{Outcome, findings, metric_axis};
use crate::metrics::find;
use crate::report::chart::{Axis, DataPoint, Entry, Layer, Panel, Stroke, short_name};
use crate::report::data::{Aggregate, Group, ResultSet, compare};
use crate::report::number::MISSING;
use crate::report::palette::{Dash, GREY};

/// Height of a row, pixels.
const ROW: f64 = 24.0;

/// What a figure of dots shows.
pub struct Dots<'d> {
    /// File name without ending.
    pub id: &'d str,
    /// Heading.
    pub title: &'d str,
    /// What it is, for the caption.
    pub text: &'d str,
    /// One column of panels each.
    pub metrics: &'d [&'d str],
    /// Where guesses lie by a metric, if anywhere: a dashed line.
    pub chance: fn(&str) -> Option<f64>,
    /// What a method could reach at most by a metric, if known: a line with a band for its interval.
    pub ceiling: fn(&Group, &str) -> Option<DataPoint>,
    /// Why there is no figure when no metric has a value at the reference setting.
    pub empty: &'d str,
}

/// One row of panels a task, at the reference setting.
pub fn draw(results: &ResultSet, dots: &Dots) -> Outcome {
    let mut draft = Draft::new(results, dots.metrics.len(), 0.0);
    for slice in results.slices(None) {
        let Some(group) = slice.groups.first() else {
            continue;
        };
        let mut of = |metric: &&str| {
            let methods = results.methods.iter();
            methods
                .map(|label| draft.measure(group, label, metric))
                .collect()
        };
        let values: Vec<Vec<Aggregate>> = dots.metrics.iter().map(&mut of).collect();
        if !values[0].iter().any(Aggregate::applies) {
            continue;
        }
        draft.missing.group(group);
        draft.held.clone_from(&slice.held);
        for (column, (metric, found)) in dots.metrics.iter().zip(&values).enumerate() {
            let points: Vec<Option<DataPoint>> = results
                .methods
                .iter()
                .zip(found)
                .map(|(label, result)| draft.point(group, Some(label), result))
                .collect();
            let most = (dots.ceiling)(group, metric);
            let mut panel = rows(results, column == 0, metric, &points, most.as_ref());
            panel.title.clone_from(&slice.title);
            panel.layers = underlay(&panel, (dots.chance)(metric), most.as_ref());
            for (row, (label, point)) in results.methods.iter().zip(&points).enumerate() {
                let y = -(row as f64);
                let style = results.palette.style(label);
                panel.layers.push(match point {
                    Some(point) => Layer::dots(&style, [(point.clone(), y.into())]),
                    None => Layer::Word {
                        y,
                        text: why_missing(&found[row]).to_owned(),
                    },
                });
            }
            let said = sentence(results, group, &slice.title, metric, &points, most.as_ref());
            draft.findings.extend(said);
            let is_new = draft.chart.legend.is_empty() && most.is_some();
            let ceiling = is_new.then(|| Entry::line("noise ceiling", GREY, Dash::Solid));
            draft.chart.legend.extend(ceiling);
            draft.chart.panels.push(panel);
        }
    }
    draft.chart.height = ROW * results.methods.len() as f64 + 8.0;
    let missing = draft.missing.text().unwrap_or_default();
    draft.note(&[&missing]);
    let text = [dots.text, &draft.intervals(), &draft.held(), &missing];
    draft.outcome(dots.id, dots.title, &text, dots.empty)
}

/// An empty panel with a row a method, which are named in the first column.
fn rows(
    results: &ResultSet,
    is_first: bool,
    metric: &str,
    points: &[Option<DataPoint>],
    most: Option<&DataPoint>,
) -> Panel {
    let name = |label: &String| match is_first {
        true => short_name(&results.palette.style(label)),
        false => String::new(),
    };
    let names: Vec<String> = results.methods.iter().map(name).collect();
    // without a value the axis is drawn over an arbitrary range, with a word at every row
    let x = metric_axis(metric, points.iter().flatten().chain(most)).unwrap_or_else(|| Axis {
        ticks: Vec::new(),
        ..Axis::linear(metric, 0.0, 1.0)
    });
    Panel::new("", x, Axis::rows(&names))
}

fn underlay(panel: &Panel, chance: Option<f64>, most: Option<&DataPoint>) -> Vec<Layer> {
    let upright = |x: f64| [(x, panel.y.high), (x, panel.y.low)];
    let mut layers = Vec::new();
    if let Some(most) = most {
        if let Some((low, high)) = most.interval {
            layers.push(Layer::band(&upright(low), &upright(high), GREY));
        }
        layers.push(Layer::line(
            upright(most.value),
            Stroke::reference(Dash::Solid),
        ));
    }
    if let Some(chance) = chance.filter(|x| panel.x.can_show(*x) && panel.x.shows(*x)) {
        layers.push(Layer::line(
            upright(chance),
            Stroke::reference(Dash::Dashed),
        ));
    }
    layers
}

fn why_missing(result: &Aggregate) -> &'static str {
    match (result.undefined, result.failed) {
        (1.., _) => "undefined",
        (0, 1..) => "failed",
        (0, 0) => "not taken",
    }
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
    let name = |label: &str| results.palette.style(label).name;
    let point = |label: &str| {
        let at = results.methods.iter().position(|other| other == label)?;
        points[at].clone()
    };
    let show = |value| findings::show(metric, value);
    let comparison = compare(results, &[group], found)?;
    let best = findings::best(&comparison, name, point, show)?;
    let first = comparison.best().map(|i| comparison.labels[i]);
    let others = ["exact", "datainf"].into_iter().filter_map(|subject| {
        let known = results.methods.iter().any(|label| label == subject) && first != Some(subject);
        let value = point(subject).map_or(MISSING.to_owned(), |point| show(point.value));
        known.then(|| format!("{} {value}", name(subject)))
    });
    let ceiling = most.map(|most| format!("noise ceiling {}", findings::with_interval(most, show)));
    let rest: Vec<String> = others.chain(ceiling).collect();
    let rest = match rest.is_empty() {
        true => String::new(),
        false => format!(" ({})", rest.join("; ")),
    };
    Some(format!("{title}, {}: best is {best}{rest}.", found.title))
}
