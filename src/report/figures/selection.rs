//! Training on what a method calls helpful, and without it: the paper's Figure 7 and its opposite.

use super::draft::Draft;
use super::{Bounds, Outcome, findings, lower_first, mean_point};
use crate::metrics::Curve;
use crate::report::chart::{Axis, Entry, Labels, RecordRef, Scale, Series, points};
use crate::report::data::{Aggregate, Group, ResultSet, compare_by, curve_end, method};
use crate::report::number;
use crate::report::palette::{Dash, GREY, Marker, Style};
use crate::results::record::Record;

const TITLE: &str = "Choosing training data by influence";

/// Curve in the records, titles of the axes, bounds.
const CURVES: [(&str, &str, &str, Bounds); 2] = [
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
];

/// One row a task at the reference setting: accuracy by epoch on the choice, loss by share taken away. Nothing
/// where nothing was retrained.
pub fn draw(results: &ResultSet) -> Option<Outcome> {
    let mut draft = Draft::new(results, 2, 230.0);
    let mut names: Vec<String> = Vec::new();
    for slice in results.slices(None) {
        let Some(group) = slice.groups.first() else {
            continue;
        };
        let before = draft.chart.panels.len();
        for (name, x_title, y_title, bounds) in CURVES {
            let lines = lines(results, group, name, bounds, &mut draft.aggregates);
            let shown = points(lines.iter().map(|(_, series)| series));
            let y = Axis::fit(y_title, shown, Scale::Linear, bounds, Labels::Number);
            let Some(y) = y else { continue };
            let all = lines.iter().flat_map(|(_, series)| series);
            let last = all.map(|(x, _)| *x).fold(0.0, f64::max);
            let x = match x_title {
                "Epoch" => Axis::epochs(last),
                _ => Axis::linear(x_title, -0.05 * last, 1.05 * last),
            };
            let panel = [slice.title.as_str(), y_title, x_title];
            draft
                .findings
                .extend(sentence(results, group, name, panel, last, &lines));
            for label in &results.methods {
                let found = group
                    .records
                    .iter()
                    .filter(|r| own(r, label, name).is_some());
                let style = results.palette.style(label);
                draft.missing.curve(&style.name, group, found.count());
            }
            names.extend(lines.iter().map(|(style, _)| style.name.clone()));
            let (count, lines) = (lines.len(), lines.iter().enumerate());
            let lines = lines.map(|(place, (style, series))| (place, style, series.clone()));
            draft.lines(&slice.title, (x, y), lines.collect(), count);
            draft.held.clone_from(&slice.held);
        }
        if draft.chart.panels.len() > before {
            draft.missing.group(group);
        }
    }
    if draft.chart.panels.is_empty() {
        return None;
    }
    if draft.chart.panels.len() == 1 {
        (draft.chart.columns, draft.chart.height) = (1, 300.0);
    }
    let methods = results
        .methods
        .iter()
        .map(|label| results.palette.style(label));
    let styles = methods.chain(BASELINES.iter().map(baseline));
    let shown = styles.filter(|style| names.contains(&style.name));
    draft
        .chart
        .legend
        .extend(shown.map(|style| Entry::method(&style)));
    let text = [
        "Retrained on the examples that a method's mean-query scores call most helpful (accuracy after each epoch), and \
         without the most helpful ones (loss at the end: a right method makes it rise). Scores and accuracy are of the \
         same queries.",
        &draft.intervals(),
        &draft.held(),
        &draft.missing.text().unwrap_or_default(),
    ];
    Some(draft.outcome("selection", TITLE, &text, ""))
}

/// A method's curve in a cell.
fn own<'r>(record: &'r Record, label: &str, name: &str) -> Option<&'r Curve> {
    let mut curves = method(record, label)?.curves.iter();
    curves.find(|curve| curve.name == name)
}

/// The lines of methods, then those of the baselines.
fn lines(
    results: &ResultSet,
    group: &Group,
    name: &str,
    bounds: Bounds,
    aggregates: &mut Vec<Aggregate>,
) -> Vec<(Style, Series)> {
    let mut lines = Vec::new();
    for label in &results.methods {
        let record = results.origin(group, Some(label));
        let found = series(group, |r| own(r, label, name), bounds, &record, aggregates);
        lines.extend(found.map(|series| (results.palette.style(label), series)));
    }
    for known in &BASELINES {
        let record = results.origin(group, None);
        let wanted = format!("{name}/{}", known.0);
        let found = series(
            group,
            |record| {
                let mut curves = record.ground_truth.as_ref()?.curves.iter();
                curves.find(|curve| curve.name == wanted)
            },
            bounds,
            &record,
            aggregates,
        );
        lines.extend(found.map(|series| (baseline(known), series)));
    }
    lines
}

/// Where the lines end: who chose best, a random choice among them, and what all examples give.
fn sentence(
    results: &ResultSet,
    group: &Group,
    curve: &str,
    [title, y, x]: [&str; 3],
    last: f64,
    lines: &[(Style, Series)],
) -> Option<String> {
    let name = |label: &str| {
        let baseline = BASELINES.iter().find(|known| known.0 == label);
        baseline.map_or_else(
            || results.palette.style(label).name,
            |known| known.1.to_owned(),
        )
    };
    let point = |label: &str| {
        let (_, series) = lines.iter().find(|(style, _)| style.name == name(label))?;
        series.last()?.1.clone()
    };
    let show = |value| number::fixed(value, 3);
    let methods = results.methods.iter().map(String::as_str);
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
        lower_first(y),
        lower_first(x.split(',').next().unwrap_or(x)),
        number::plain(last)
    ))
}

/// What methods are held against.
type Baseline = (&'static str, &'static str, Marker, Dash);

/// Ending of the curve's name, name in the legend, look.
const BASELINES: [Baseline; 2] = [
    ("full", "all examples", Marker::Circle, Dash::Solid),
    ("random", "random choice", Marker::Square, Dash::Dashed),
];

fn baseline((_, name, marker, dash): &Baseline) -> Style {
    Style {
        name: (*name).to_owned(),
        colour: GREY,
        marker: *marker,
        dash: *dash,
    }
}

/// Mean over the seeds of a curve with t-intervals; `None` when no cell has it.
fn series<'r>(
    group: &Group<'r>,
    own: impl Fn(&'r Record) -> Option<&'r Curve>,
    bounds: Bounds,
    record: &RecordRef,
    aggregates: &mut Vec<Aggregate>,
) -> Option<Series> {
    let curves: Vec<&Curve> = group
        .records
        .iter()
        .filter_map(|record| own(record))
        .collect();
    let first = curves.first()?;
    let at = |(i, x): (usize, &f64)| {
        let values = curves.iter().filter_map(|curve| curve.y.get(i).copied());
        let point = mean_point(values, bounds);
        (
            *x,
            point.map(|point| point.with_record(Some(record.clone()))),
        )
    };
    aggregates.push(Aggregate {
        value: Some(0.0),
        over_seeds: curves.len() > 1,
        seeds: curves.len(),
        ..Aggregate::default()
    });
    Some(first.x.iter().enumerate().map(at).collect())
}
