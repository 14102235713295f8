//! Training on what a method calls helpful, and without it: the paper's Figure 7 and its opposite.

use super::lineplot::{self, Line, Tally, epochs};
use super::{
    Bounds, Outcome, caption, dodge, findings, held_text, interval_text, legend, mean_point, points,
};
use crate::metrics::Curve;
use crate::report::aggregate::{Aggregate, curve_end};
use crate::report::axis::{Axis, Scale, range};
use crate::report::comparison::compare_by;
use crate::report::marks::{Mark, Marks, Origin};
use crate::report::number;
use crate::report::palette::{Colour, Dash, GREY, Marker, Style};
use crate::report::sheet::{Entry, PanelSpec};
use crate::report::study::{Group, Study, method};
use crate::results::record::Record;

const TITLE: &str = "Choosing training data by influence";

/// One row a task at the reference setting: accuracy by epoch on the choice, loss by share taken away. Nothing
/// where nothing was retrained.
pub fn draw(study: &Study) -> Option<Outcome> {
    let mut baselines: Vec<Style> = Vec::new();
    let (mut panels, mut seen) = (Vec::new(), Vec::new());
    let (mut held, mut tally) = (String::new(), Tally::default());
    let mut counted_groups: Vec<String> = Vec::new();
    let slices = study.slices(None);
    for slice in &slices {
        let Some(group) = slice.groups.first() else {
            continue;
        };
        for (name, x_title, y_title, bounds) in [
            (
                "selection_accuracy",
                "Epoch",
                "Query accuracy",
                (Some(0.0), Some(1.0)),
            ),
            (
                "removal_loss",
                "Share taken away, most helpful first",
                "Query loss (nats)",
                (Some(0.0), None),
            ),
        ] {
            let mut lines: Vec<(Style, Marks)> = Vec::new();
            let mut counted: Vec<(String, usize)> = Vec::new();
            for label in &study.methods {
                let own = |record: &'_ Record| {
                    let method = method(record, label)?;
                    method
                        .curves
                        .iter()
                        .find(|curve| curve.name == name)
                        .cloned()
                };
                let style = study.palette.style(label);
                let found = group.records.iter().filter(|r| own(r).is_some()).count();
                counted.push((style.name.clone(), found));
                let origin = study.origin(group, Some(label));
                if let Some(series) = series(group, own, bounds, origin, &mut tally.aggregates) {
                    lines.push((style, series));
                }
            }
            for (ending, text, colour, marker, dash) in BASELINES {
                let own = |record: &'_ Record| {
                    let truth = record.ground_truth.as_ref()?;
                    let curves = truth.curves.iter();
                    curves
                        .clone()
                        .find(|curve| curve.name == format!("{name}/{ending}"))
                        .cloned()
                };
                let origin = study.origin(group, None);
                if let Some(series) = series(group, own, bounds, origin, &mut tally.aggregates) {
                    let style = Style {
                        name: text.to_owned(),
                        colour,
                        marker,
                        dash,
                    };
                    if !baselines.iter().any(|known| known.name == style.name) {
                        baselines.push(style.clone());
                    }
                    lines.push((style, series));
                }
            }
            let values: Vec<_> = points(lines.iter().map(|(_, marks)| marks))
                .map(|point| (point.value, point.interval))
                .collect();
            let Some((low, high)) = range(&values, Scale::Linear, bounds) else {
                continue;
            };
            let all = lines.iter().flat_map(|(_, marks)| marks);
            let last = all.map(|(x, _)| *x).fold(0.0, f64::max);
            let x = if x_title == "Epoch" {
                epochs(last)
            } else {
                Axis::linear(x_title, -0.05 * last, 1.05 * last)
            };
            let spec = PanelSpec {
                title: slice.title.clone(),
                x,
                y: Axis::linear(y_title, low, high),
            };
            let panel = [slice.title.as_str(), y_title, x_title];
            seen.extend(sentence(study, group, name, panel, last, &lines));
            panels.push((spec, lines));
            for (name, found) in counted {
                tally.gaps.curve(&name, group, found);
            }
            if !counted_groups.contains(&slice.title) {
                tally.gaps.group(group);
                counted_groups.push(slice.title.clone());
            }
            held.clone_from(&slice.held);
        }
    }
    if panels.is_empty() {
        return None;
    }
    let shown = study.methods.iter().map(String::as_str).filter(|label| {
        let name = study.palette.style(label).name;
        let mut lines = panels.iter().flat_map(|(_, lines)| lines);
        lines.any(|(style, _)| style.name == name)
    });
    let mut entries = legend(study, shown);
    entries.extend(baselines.iter().map(Entry::method));
    let size = if panels.len() == 1 {
        (1, 300.0)
    } else {
        (2, 230.0)
    };
    let apart = |(spec, lines): (PanelSpec, Vec<(Style, Marks)>)| {
        let count = lines.len();
        let line = |(position, (style, marks))| Line {
            style,
            marks,
            dodge: dodge(position, count),
        };
        (spec, lines.into_iter().enumerate().map(line).collect())
    };
    let panels = panels.into_iter().map(apart).collect();
    let scene = lineplot::draw(size, panels, &entries, &[], |_, _| {});
    let text = caption(&[
        "Retrained on the examples that a method's mean-query scores call most helpful (accuracy after each epoch), and \
         without the most helpful ones (loss at the end: a right method makes it rise). Scores and accuracy are of the \
         same queries.",
        &interval_text(&tally.aggregates),
        &held_text(&held),
        &tally.gaps.text().unwrap_or_default(),
    ]);
    Some(Outcome::drawn("selection", TITLE, text, scene).finding(seen))
}

/// Where the lines end: who chose best, a random choice among them, and what all examples give.
fn sentence(
    study: &Study,
    group: &Group,
    curve: &str,
    [title, y, x]: [&str; 3],
    last: f64,
    lines: &[(Style, Marks)],
) -> Option<String> {
    let name = |label: &str| {
        let baseline = BASELINES.iter().find(|known| known.0 == label);
        baseline.map_or_else(
            || study.palette.style(label).name,
            |known| known.1.to_owned(),
        )
    };
    let point = |label: &str| {
        let (_, marks) = lines.iter().find(|(style, _)| style.name == name(label))?;
        Some(marks.last()?.1.as_ref()?.point)
    };
    let show = |value| number::fixed(value, 3);
    let methods = study.methods.iter().map(String::as_str);
    let labels = methods.chain(["random"]).collect();
    // accuracy after choosing, and loss after taking away, are both high when the method is right
    let found = compare_by(&[group], labels, true, None, &|record, label| {
        curve_end(record, label, curve)
    })?;
    let best = findings::best(&found, name, point, show)?;
    let others: Vec<String> = BASELINES
        .iter()
        .filter_map(|(label, text, ..)| {
            let point = point(label)?;
            Some(format!("{text} {}", findings::with_interval(&point, show)))
        })
        .collect();
    let others = if others.is_empty() {
        String::new()
    } else {
        format!(" ({})", others.join("; "))
    };
    Some(format!(
        "{title}, {} at {} = {}: highest is {best}{others}.",
        super::lower_first(y),
        super::lower_first(x.split(',').next().unwrap_or(x)),
        number::plain(last)
    ))
}

/// Ending of the curve's name, name in the legend, look.
const BASELINES: [(&str, &str, Colour, Marker, Dash); 2] = [
    ("full", "all examples", GREY, Marker::Circle, Dash::Solid),
    (
        "random",
        "random choice",
        GREY,
        Marker::Square,
        Dash::Dashed,
    ),
];

/// Mean over the seeds of a curve with t-intervals; `None` when no cell has it.
fn series(
    group: &Group,
    own: impl Fn(&Record) -> Option<Curve>,
    bounds: Bounds,
    origin: Origin,
    aggregates: &mut Vec<Aggregate>,
) -> Option<Marks> {
    let curves: Vec<Curve> = group
        .records
        .iter()
        .filter_map(|record| own(record))
        .collect();
    let first = curves.first()?;
    let at = |i: usize| {
        let values = curves.iter().filter_map(|curve| curve.y.get(i).copied());
        mean_point(values, bounds).map(|point| Mark {
            point,
            origin: Some(origin.clone()),
        })
    };
    let series: Marks = first
        .x
        .iter()
        .enumerate()
        .map(|(i, x)| (*x, at(i)))
        .collect();
    aggregates.push(Aggregate {
        value: Some(0.0),
        over_seeds: curves.len() > 1,
        seeds: curves.len(),
        ..Aggregate::default()
    });
    Some(series)
}
