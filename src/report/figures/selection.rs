//! Training on what a method calls helpful, and without it: the paper's Figure 7 and its opposite.

use super::draft::{Draft, dodge};
use super::{Outcome, findings, lower_first, mean_series, references};
use crate::report::chart::{Axis, AxisScale, Entry, Series};
use crate::report::data::{Group, ResultSet, compare_by, curve, curve_end};
use crate::report::number;
use crate::report::palette::{Dash, GREY, Look, Marker, Style};

const TITLE: &str = "Choosing training data by influence";

/// Curve in the records, titles of the axes, largest value.
const CURVES: [(&str, [&str; 2], Option<f64>); 2] = [
    ("selection_accuracy", ["Epoch", "Query accuracy"], Some(1.0)),
    ("removal_loss", [SHARE, "Query loss (nats)"], None),
];
const SHARE: &str = "Share taken away, most helpful first";

/// What methods are held against: ending of the curve's name, name in the legend, look.
const BASELINES: [(&str, &str, Marker, Dash); 2] = [
    ("full", "all examples", Marker::Circle, Dash::Solid),
    ("random", "random choice", Marker::Square, Dash::Dashed),
];

/// The look of a method or a baseline.
fn style(results: &ResultSet, label: &str) -> Style {
    match BASELINES.iter().find(|known| known.0 == label) {
        Some((_, name, marker, dash)) => Style::new(*name, Look::new(GREY, *marker, *dash)),
        None => results.palette.style(label),
    }
}

/// One row per task at the reference setting: accuracy by epoch on the choice, loss by share taken away. Nothing
/// where nothing was retrained.
pub fn draw(results: &ResultSet) -> Option<Outcome> {
    let mut draft = Draft::new(2, 230.0);
    let methods = results.labels();
    let all: Vec<&str> = methods.chain(BASELINES.map(|known| known.0)).collect();
    let mut drawn: Vec<&str> = Vec::new();
    for (slice, group) in references(results) {
        let before = draft.chart.panels.len();
        for (name, [x_title, y_title], most) in CURVES {
            let limits = (Some(0.0), most);
            let curves = |label| {
                group
                    .records
                    .iter()
                    .filter_map(move |r| curve(r, label, name))
            };
            let mut lines: Vec<(&str, Series)> = Vec::new();
            for label in all.iter().filter(|label| curves(label).next().is_some()) {
                let points = curves(label).flat_map(|curve| curve.x.iter().zip(&curve.y));
                let points = points.map(|(x, y)| (*x, *y));
                let record = results.origin(group, Some(label));
                lines.push((label, mean_series(points, limits, &record)));
                draft
                    .seeds
                    .extend(Some(curves(label).count()).filter(|seeds| *seeds > 1));
            }
            let last = lines.iter().flat_map(|(_, series)| series);
            let last = last.map(|(x, _)| *x).fold(0.0, f64::max);
            let x = match x_title {
                "Epoch" => Axis::epochs(last),
                _ => Axis::linear(x_title, -0.05 * last, 1.05 * last),
            };
            let what = format!(
                "{}, {} at {} = {}",
                slice.title,
                lower_first(y_title),
                lower_first(x_title.split(',').next().unwrap_or(x_title)),
                number::plain(last)
            );
            let said = sentence(results, group, name, &what, &lines);
            let shown: Vec<&str> = lines.iter().map(|(label, _)| *label).collect();
            let count = lines.len();
            let lines = lines
                .into_iter()
                .enumerate()
                .map(|(place, (label, series))| {
                    (style(results, label), series, dodge(place, count))
                });
            let y = (y_title, AxisScale::Linear, limits);
            if draft.fitted(&slice.title, x, y, lines).is_none() {
                continue;
            }
            for label in &results.methods {
                let found = curves(label).count();
                draft
                    .missing
                    .curve(&results.palette.name(label), group, found);
            }
            draft.findings.extend(said);
            drawn.extend(shown);
        }
        if draft.chart.panels.len() > before {
            draft.covers(&slice);
        }
    }
    if draft.chart.panels.is_empty() {
        return None;
    }
    if draft.chart.panels.len() == 1 {
        (draft.chart.columns, draft.chart.height) = (1, 300.0);
    }
    let shown = all.iter().filter(|label| drawn.contains(label));
    let entries = shown.map(|label| Entry::method(&style(results, label)));
    draft.chart.legend.extend(entries);
    let text = [
        "Retrained on the examples that a method's mean-query scores call most helpful (accuracy after each epoch), and \
         without the most helpful ones (loss at the end: a right method makes it rise). Scores and accuracy are of the \
         same queries.",
        &draft.intervals(),
    ];
    Some(draft.outcome("selection", TITLE, &text, ""))
}

/// Where the lines end: who chose best, a random choice among them, and what all examples give.
fn sentence(
    results: &ResultSet,
    group: &Group,
    name: &str,
    what: &str,
    lines: &[(&str, Series)],
) -> Option<String> {
    let point = |label: &str| {
        let (_, series) = lines.iter().find(|(known, _)| *known == label)?;
        series.last()?.1.clone()
    };
    let show = |value| number::fixed(value, 3);
    let methods = results.labels();
    let labels = methods.chain(["random"]).collect();
    // accuracy after choosing, and loss after taking away, are both high when the method is right
    let found = compare_by(&[group], labels, true, None, &|record, label| {
        curve_end(record, label, name)
    })?;
    let best = findings::best(&found, |label| style(results, label).name, point, show)?;
    let others = BASELINES.iter().filter_map(|(label, text, ..)| {
        let value = findings::with_interval(&point(label)?, show);
        Some(format!("{text} {value}"))
    });
    let others = findings::aside(others);
    Some(format!("{what}: highest is {best}{others}."))
}
