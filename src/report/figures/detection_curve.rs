//! Share of flipped labels found against share of examples inspected.

use super::draft::Draft;
use super::{Outcome, findings, mean_series, references};
use crate::metrics::interval::mean;
use crate::report::chart::{Axis, Entry, Layer, Paint, Panel, Series, Stroke};
use crate::report::data::{Group, ResultSet, compare_by, method};
use crate::report::number;
use crate::report::palette::{Dash, GREY};
use crate::results::record::Record;

const TITLE: &str = "Flipped labels found against examples inspected";

/// Methods above which only some have a band.
const BANDS: usize = 8;

/// Abscissae of the mean curve.
const STEPS: usize = 100;

/// A method, the mean over seeds of its curve with intervals, and how many seeds these are.
type Mean<'s> = (&'s str, Series, usize);

/// One panel per task at the reference setting.
pub fn draw(results: &ResultSet) -> Outcome {
    let mut draft = Draft::new(1, 380.0);
    let mut content: Vec<(&Group, Vec<Mean>)> = Vec::new();
    for (slice, group) in references(results) {
        let labels = results.labels();
        let curves: Vec<Mean> = labels
            .filter_map(|label| mean_curve(results, group, label))
            .collect();
        if curves.is_empty() {
            continue;
        }
        draft.covers(&slice);
        for label in results.labels() {
            let own = curves.iter().find(|(other, ..)| *other == label);
            let found = own.map_or(0, |(.., seeds)| *seeds);
            let name = results.palette.name(label);
            draft.missing.curve(&name, group, found);
        }
        let said = sentence(results, group, &slice.title, &curves);
        draft.findings.extend(said);
        let x = Axis::linear("Share of examples inspected", 0.0, 1.0);
        let y = Axis::linear("Share of flipped labels found", 0.0, 1.0);
        draft.chart.panels.push(Panel::new(slice.title, x, y));
        content.push((group, curves));
    }
    if content.len() > 1 {
        (draft.chart.columns, draft.chart.height) = (2, 300.0);
    }
    let all = || content.iter().flat_map(|(_, curves)| curves);
    let mut shown: Vec<&str> = results.labels().collect();
    shown.retain(|label| all().any(|(other, ..)| other == label));
    let few = shown.len() <= BANDS;
    for ((group, curves), panel) in content.iter().zip(&mut draft.chart.panels) {
        panel.layers = layers(results, group, curves, few);
    }
    draft.legend(results, shown);
    for entry in &mut draft.chart.legend {
        entry.marker = None;
    }
    let random = Entry::line("random order", GREY, Dash::Dashed);
    let ideal = Entry::line("ideal", GREY, Dash::Solid);
    draft.chart.legend.extend([random, ideal]);
    let bands = match all().map(|(.., seeds)| *seeds).max() {
        Some(seeds) if seeds > 1 => {
            let whose = match few {
                true => "",
                false => ", of exact and DataInf alone so that the lines can be seen",
            };
            format!("Lines: mean of {seeds} seeds; bands: 95 % t-interval at each point{whose}.")
        }
        _ => "One seed: no bands.".to_owned(),
    };
    let text = [
        "Training examples are inspected from the most harmful down, by influence on the mean query loss. The steeper the rise, the fewer labels must be checked.",
        &bands,
    ];
    let empty = "no cell has a `detection` curve at the reference setting";
    draft.outcome("detection_curve", TITLE, &text, empty)
}

/// Random and ideal order, bands (of two methods unless there are few), and the curves over them.
fn layers(results: &ResultSet, group: &Group, curves: &[Mean], few: bool) -> Vec<Layer> {
    let reference = |points: &[_], dash| Layer::line(points, Stroke::reference(dash));
    let mut layers = vec![reference(&[(0.0, 0.0), (1.0, 1.0)], Dash::Dashed)];
    let ideal = flipped_share(group).map(|share| [(0.0, 0.0), (share, 1.0), (1.0, 1.0)]);
    layers.extend(ideal.map(|ideal| reference(&ideal, Dash::Solid)));
    let mut lines = Vec::new();
    for (label, curve, _) in curves {
        let style = results.palette.style(label);
        let points = curve.iter().filter_map(|(x, y)| Some((*x, y.as_ref()?)));
        let ends = points.clone().filter_map(|(x, y)| Some((x, y.interval?)));
        let (low, high): (Vec<_>, Vec<_>) =
            ends.map(|(x, (low, high))| ((x, low), (x, high))).unzip();
        if (few || ["exact", "datainf"].contains(label)) && !low.is_empty() {
            layers.push(Layer::band(&low, &high, style.look.colour));
        }
        lines.push(Layer::Shape {
            points: points.map(|(x, y)| (x, y.value)).collect(),
            paint: Paint::Stroke(Stroke::new(style.look.colour, 2.2, style.look.dash)),
            series: Some((
                style.name,
                String::new(),
                results.origin(group, Some(label)),
            )),
        });
    }
    layers.extend(lines);
    layers
}

/// What is found by inspecting as many examples as there are flipped labels.
fn sentence(results: &ResultSet, group: &Group, title: &str, curves: &[Mean]) -> Option<String> {
    let share = flipped_share(group)?;
    let step = (share * STEPS as f64).round() as usize;
    let labels = results.labels().collect();
    let found = compare_by(&[group], labels, true, None, &|record, label| {
        curve(record, label)?.get(step).copied()
    })?;
    let point = |label: &str| {
        let (_, curve, _) = curves.iter().find(|(other, ..)| *other == label)?;
        curve.get(step)?.1.clone()
    };
    let percent = |x: f64| format!("{} %", number::fixed(100.0 * x, 0));
    let name = |label: &str| results.palette.name(label);
    let best = findings::best(&found, name, point, percent)?;
    let share = percent(share);
    Some(format!(
        "{title}: inspecting {share} of the examples, as many as are flipped, finds most with {best}; in random order {share}."
    ))
}

/// The curve of a cell on the common grid.
fn curve(record: &Record, label: &str) -> Option<Vec<f64>> {
    let mut curves = method(record, label)?.curves.iter();
    let curve = curves.find(|curve| curve.name == "detection")?;
    let usable = curve.x.len() == curve.y.len()
        && curve.x.len() > 1
        && curve.x.iter().chain(&curve.y).all(|v| v.is_finite());
    let at = |step| interpolate(&curve.x, &curve.y, step as f64 / STEPS as f64);
    usable.then(|| (0..=STEPS).map(at).collect())
}

/// Mean curve over seeds on the common grid; `None` without any.
fn mean_curve<'s>(results: &ResultSet, group: &Group, label: &'s str) -> Option<Mean<'s>> {
    let records = group.records.iter();
    let curves: Vec<Vec<f64>> = records.filter_map(|record| curve(record, label)).collect();
    let points = curves.iter().flat_map(|curve| curve.iter().enumerate());
    let points = points.map(|(step, y)| (step as f64 / STEPS as f64, *y));
    let record = results.origin(group, Some(label));
    let series = mean_series(points, (Some(0.0), Some(1.0)), &record);
    (!curves.is_empty()).then_some((label, series, curves.len()))
}

/// Linear interpolation at `at`; the abscissae ascend.
fn interpolate(x: &[f64], y: &[f64], at: f64) -> f64 {
    let above = x.partition_point(|value| *value < at).clamp(1, x.len() - 1);
    let (x0, x1, y0, y1) = (x[above - 1], x[above], y[above - 1], y[above]);
    match x1 > x0 {
        true => y0 + (y1 - y0) * ((at - x0) / (x1 - x0)).clamp(0.0, 1.0),
        false => y1,
    }
}

fn flipped_share(group: &Group) -> Option<f64> {
    let tasks = group.records.iter().filter_map(|r| r.task.as_ref());
    let shares = tasks.filter_map(|task| Some(task.flipped? as f64 / task.train as f64));
    let shares: Vec<f64> = shares
        .filter(|share| *share > 0.0 && *share < 1.0)
        .collect();
    mean(&shares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolates_between_points_and_holds_the_ends() {
        let (x, y) = ([0.0, 0.5, 1.0], [0.0, 0.8, 1.0]);
        assert_eq!(
            [0.0, 0.25, 0.5, 0.75, 1.0].map(|at| interpolate(&x, &y, at)),
            [0.0, 0.4, 0.8, 0.9, 1.0]
        );
    }
}
