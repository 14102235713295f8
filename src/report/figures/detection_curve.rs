//! Share of flipped labels found against share of examples inspected.

use super::{Outcome, caption, findings, held_text, legend};
use crate::metrics::interval::{mean, t_interval};
use crate::report::aggregate::Gaps;
use crate::report::axis::Axis;
use crate::report::comparison::compare_by;
use crate::report::number;
use crate::report::palette::{Dash, GREY};
use crate::report::sheet::{Entry, PanelSpec, Point, Sheet};
use crate::report::study::{Group, Study, method};
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

/// One panel a task at the reference setting.
pub fn draw(study: &Study) -> Outcome {
    let mut seen = Vec::new();
    let slices = study.slices(None);
    let (mut specs, mut content, mut held, mut gaps) =
        (Vec::new(), Vec::new(), String::new(), Gaps::default());
    for slice in &slices {
        let Some(group) = slice.groups.first() else {
            continue;
        };
        let bands: Vec<(&str, Option<Band>)> = study
            .methods
            .iter()
            .map(|label| (label.as_str(), band(group, label)))
            .collect();
        if bands.iter().all(|(_, band)| band.is_none()) {
            continue;
        }
        gaps.group(group);
        for (label, band) in &bands {
            let found = band.as_ref().map_or(0, |band| band.seeds);
            gaps.curve(&study.palette.style(label).name, group, found);
        }
        held.clone_from(&slice.held);
        specs.push(PanelSpec {
            title: slice.title.clone(),
            x: Axis::linear("Share of examples inspected", 0.0, 1.0),
            y: Axis::linear("Share of flipped labels found", 0.0, 1.0),
        });
        seen.extend(sentence(study, group, &slice.title, &bands));
        content.push((group, bands));
    }
    if content.is_empty() {
        return Outcome::omitted(
            TITLE,
            "no cell has a `detection` curve at the reference setting",
        );
    }
    let shown: Vec<&str> = study
        .methods
        .iter()
        .map(String::as_str)
        .filter(|label| {
            content
                .iter()
                .any(|(_, b)| b.iter().any(|(l, band)| l == label && band.is_some()))
        })
        .collect();
    let mut entries: Vec<Entry> = legend(study, shown.iter().copied())
        .into_iter()
        .map(|entry| Entry {
            marker: None,
            ..entry
        })
        .collect();
    entries.push(Entry::line("random order", GREY, Dash::Dashed));
    entries.push(Entry::line("ideal", GREY, Dash::Solid));
    let notes: Vec<String> = gaps.text().into_iter().collect();
    let columns = content.len().min(2);
    let mut sheet = Sheet::new(
        columns,
        if columns == 1 { 380.0 } else { 300.0 },
        specs,
        &entries,
        &notes,
    );
    for (panel, (group, bands)) in content.iter().enumerate() {
        sheet.line(
            panel,
            &[(0.0, 0.0), (1.0, 1.0)],
            GREY,
            1.3,
            Dash::Dashed,
            1.0,
        );
        let share = flipped_share(group);
        if let Some(share) = share {
            sheet.line(
                panel,
                &[(0.0, 0.0), (share, 1.0), (1.0, 1.0)],
                GREY,
                1.3,
                Dash::Solid,
                1.0,
            );
        }
        for (label, band) in bands {
            let Some(band) = band else { continue };
            let banded = shown.len() <= BANDS || ["exact", "datainf"].contains(label);
            if banded && !band.low.is_empty() {
                sheet.band(
                    panel,
                    &band.low,
                    &band.high,
                    study.palette.style(label).colour,
                );
            }
        }
        for (label, band) in bands {
            let Some(band) = band else { continue };
            let style = study.palette.style(label);
            let origin = study.origin(group, Some(label));
            sheet.curve(panel, &band.mean, &style, 2.2, Some(origin));
        }
    }
    let seeds = content
        .iter()
        .flat_map(|(_, bands)| bands.iter().filter_map(|(_, band)| band.as_ref()))
        .map(|band| band.seeds)
        .max()
        .unwrap_or(0);
    let bands = if seeds > 1 {
        let whose = if shown.len() <= BANDS {
            ""
        } else {
            ", of exact and DataInf alone so that the lines can be seen"
        };
        format!("Lines: mean of {seeds} seeds; bands: 95 % t-interval at each point{whose}.")
    } else {
        "One seed: no bands.".to_owned()
    };
    let text = caption(&[
        "Training examples are inspected from the most harmful down, by influence on the mean query loss. The steeper the rise, the fewer labels must be checked.",
        &bands,
        &held_text(&held),
        &notes.join(" "),
    ]);
    Outcome::drawn("detection_curve", TITLE, text, sheet.finish()).finding(seen)
}

/// What is found by inspecting as many examples as there are flipped labels.
fn sentence(
    study: &Study,
    group: &Group,
    title: &str,
    bands: &[(&str, Option<Band>)],
) -> Option<String> {
    let share = flipped_share(group)?;
    let step = (share * STEPS as f64).round() as usize;
    let labels = bands.iter().map(|(label, _)| *label).collect();
    let found = compare_by(&[group], labels, true, None, &|record, label| {
        curve(record, label)?.get(step).copied()
    })?;
    let point = |label: &str| {
        let (_, band) = bands.iter().find(|(other, _)| *other == label)?;
        let band = band.as_ref()?;
        let ends = band.low.get(step).zip(band.high.get(step));
        Some(Point {
            value: band.mean.get(step)?.1,
            interval: ends.map(|(low, high)| (low.1, high.1)),
        })
    };
    let percent = |x: f64| format!("{} %", number::fixed(100.0 * x, 0));
    let name = |label: &str| study.palette.style(label).name;
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
