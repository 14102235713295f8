//! Share of flipped labels found against share of examples inspected.

use super::draft::Draft;
use super::{Outcome, findings};
use crate::metrics::interval::{mean, t_interval};
use crate::report::chart::{Axis, DataPoint, Entry, Layer, Panel, Stroke};
use crate::report::data::{Group, ResultSet, compare_by, method};
use crate::report::number;
use crate::report::palette::{Dash, GREY};
use crate::results::record::Record;

const TITLE: &str = "Flipped labels found against examples inspected";

/// Methods above which only some have a band.
const BANDS: usize = 8;

/// Abscissae of the mean curve.
const STEPS: usize = 100;

struct Band {
    mean: Vec<(f64, f64)>,
    low: Vec<(f64, f64)>,
    high: Vec<(f64, f64)>,
    seeds: usize,
}

/// The curves of a group's methods.
type Bands<'s> = Vec<(&'s str, Band)>;

/// One panel a task at the reference setting.
pub fn draw(results: &ResultSet) -> Outcome {
    let mut draft = Draft::new(results, 1, 380.0);
    let mut content: Vec<(&Group, Bands)> = Vec::new();
    let slices = results.slices(None);
    for slice in &slices {
        let Some(group) = slice.groups.first() else {
            continue;
        };
        let bands = results.methods.iter();
        let bands: Bands = bands
            .filter_map(|label| Some((label.as_str(), band(group, label)?)))
            .collect();
        if bands.is_empty() {
            continue;
        }
        draft.missing.group(group);
        for label in &results.methods {
            let own = bands.iter().find(|(other, _)| other == label);
            let found = own.map_or(0, |(_, band)| band.seeds);
            draft
                .missing
                .curve(&results.palette.style(label).name, group, found);
        }
        draft.held.clone_from(&slice.held);
        draft
            .findings
            .extend(sentence(results, group, &slice.title, &bands));
        let x = Axis::linear("Share of examples inspected", 0.0, 1.0);
        let y = Axis::linear("Share of flipped labels found", 0.0, 1.0);
        draft
            .chart
            .panels
            .push(Panel::new(slice.title.clone(), x, y));
        content.push((group, bands));
    }
    if content.len() > 1 {
        (draft.chart.columns, draft.chart.height) = (2, 300.0);
    }
    let is_shown = |label: &&String| {
        let mut bands = content.iter().flat_map(|(_, bands)| bands);
        bands.any(|(other, _)| other == label)
    };
    let shown: Vec<&String> = results.methods.iter().filter(is_shown).collect();
    for ((group, bands), panel) in content.iter().zip(&mut draft.chart.panels) {
        panel.layers = layers(results, group, bands, shown.len() > BANDS);
    }
    draft.legend(shown.iter().map(|label| label.as_str()));
    for entry in &mut draft.chart.legend {
        entry.marker = None;
    }
    let random = Entry::line("random order", GREY, Dash::Dashed);
    let ideal = Entry::line("ideal", GREY, Dash::Solid);
    draft.chart.legend.extend([random, ideal]);
    let missing = draft.missing.text().unwrap_or_default();
    draft.note(&[&missing]);
    let seeds = content.iter().flat_map(|(_, bands)| bands);
    let bands = match seeds.map(|(_, band)| band.seeds).max() {
        Some(seeds) if seeds > 1 => {
            let whose = if shown.len() > BANDS {
                ", of exact and DataInf alone so that the lines can be seen"
            } else {
                ""
            };
            format!("Lines: mean of {seeds} seeds; bands: 95 % t-interval at each point{whose}.")
        }
        _ => "One seed: no bands.".to_owned(),
    };
    let text = [
        "Training examples are inspected from the most harmful down, by influence on the mean query loss. The steeper the rise, the fewer labels must be checked.",
        &bands,
        &draft.held(),
        &missing,
    ];
    let empty = "no cell has a `detection` curve at the reference setting";
    draft.outcome("detection_curve", TITLE, &text, empty)
}

/// Random and ideal order, bands, and the curves over them.
fn layers(results: &ResultSet, group: &Group, bands: &Bands, some_have_bands: bool) -> Vec<Layer> {
    let mut layers = vec![Layer::line(
        [(0.0, 0.0), (1.0, 1.0)],
        Stroke::reference(Dash::Dashed),
    )];
    if let Some(share) = flipped_share(group) {
        let ideal = [(0.0, 0.0), (share, 1.0), (1.0, 1.0)];
        layers.push(Layer::line(ideal, Stroke::reference(Dash::Solid)));
    }
    for (label, band) in bands {
        let banded = !some_have_bands || ["exact", "datainf"].contains(label);
        if banded && !band.low.is_empty() {
            let colour = results.palette.style(label).colour;
            layers.push(Layer::band(&band.low, &band.high, colour));
        }
    }
    layers.extend(bands.iter().map(|(label, band)| {
        let style = results.palette.style(label);
        Layer::Line {
            points: band.mean.clone(),
            stroke: Stroke::new(style.colour, 2.2, style.dash),
            series: Some((style, results.origin(group, Some(label)))),
        }
    }));
    layers
}

/// What is found by inspecting as many examples as there are flipped labels.
fn sentence(results: &ResultSet, group: &Group, title: &str, bands: &Bands) -> Option<String> {
    let share = flipped_share(group)?;
    let step = (share * STEPS as f64).round() as usize;
    let labels = results.methods.iter().map(String::as_str).collect();
    let found = compare_by(&[group], labels, true, None, &|record, label| {
        curve(record, label)?.get(step).copied()
    })?;
    let point = |label: &str| {
        let (_, band) = bands.iter().find(|(other, _)| *other == label)?;
        let ends = band.low.get(step).zip(band.high.get(step));
        let interval = ends.map(|(low, high)| (low.1, high.1));
        Some(DataPoint::from(band.mean.get(step)?.1).within(interval))
    };
    let percent = |x: f64| format!("{} %", number::fixed(100.0 * x, 0));
    let name = |label: &str| results.palette.style(label).name;
    let best = findings::best(&found, name, point, percent)?;
    Some(format!(
        "{title}: inspecting {} of the examples, as many as are flipped, finds most with {best}; in random order {}.",
        percent(share),
        percent(share)
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

/// Mean curve over seeds on a common grid, with its pointwise interval.
fn band(group: &Group, label: &str) -> Option<Band> {
    let records = group.records.iter();
    let curves: Vec<Vec<f64>> = records.filter_map(|record| curve(record, label)).collect();
    let mut band = Band {
        mean: Vec::new(),
        low: Vec::new(),
        high: Vec::new(),
        seeds: curves.len(),
    };
    for step in 0..=STEPS {
        let x = step as f64 / STEPS as f64;
        let values: Vec<f64> = curves.iter().map(|curve| curve[step]).collect();
        band.mean.push((x, mean(&values)?));
        if let Some(interval) = t_interval(&values) {
            band.low.push((x, interval.low.clamp(0.0, 1.0)));
            band.high.push((x, interval.high.clamp(0.0, 1.0)));
        }
    }
    Some(band)
}

/// Linear interpolation at `at`; the abscissae ascend.
fn interpolate(x: &[f64], y: &[f64], at: f64) -> f64 {
    let above = x.partition_point(|value| *value < at).clamp(1, x.len() - 1);
    let (x0, x1, y0, y1) = (x[above - 1], x[above], y[above - 1], y[above]);
    if x1 <= x0 {
        y1
    } else {
        y0 + (y1 - y0) * ((at - x0) / (x1 - x0)).clamp(0.0, 1.0)
    }
}

fn flipped_share(group: &Group) -> Option<f64> {
    let shares: Vec<f64> = group
        .records
        .iter()
        .filter_map(|record| record.task.as_ref())
        .filter_map(|task| Some(task.flipped? as f64 / task.train as f64))
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
