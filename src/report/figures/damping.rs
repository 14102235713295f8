//! Agreement against the damping: with retraining, and with exact influence at the default damping.

use super::retraining::ceiling;
use super::{
    Outcome, caption, compared, dodge, has_values, held_text, interval_text, legend, measure,
    metric_axis, point, slug,
};
use crate::config::influence::DEFAULT_DAMPING;
use crate::report::aggregate::Gaps;
use crate::report::axis::Axis;
use crate::report::palette::{Dash, GREY, INK};
use crate::report::sheet::{Entry, PanelSpec, Series, Sheet};
use crate::report::study::{Slice, Study, axis_title};

/// The swept setting.
pub const DAMPING: &str = "influence.damping";

/// What is shown, as far as it was taken.
pub const METRICS: [&str; 6] = [
    "lds_50",
    "lds_90",
    "lds_99",
    "loo_pearson",
    "loo_spearman",
    "pearson_default_damping",
];

/// One figure a task; nothing where the damping was not swept or nothing but agreement at each damping by itself
/// was taken.
pub fn draw(study: &Study) -> Vec<Outcome> {
    let metrics: Vec<&str> = METRICS
        .into_iter()
        .filter(|metric| has_values(study, metric))
        .collect();
    if metrics.is_empty() || !study.sweeps().iter().any(|axis| axis.key == DAMPING) {
        return Vec::new();
    }
    let slices = study.slices(Some(DAMPING));
    let several = slices.len() > 1;
    let drawn = slices.iter();
    drawn
        .map(|slice| of_slice(study, &metrics, slice, several))
        .collect()
}

fn of_slice(study: &Study, metrics: &[&str], slice: &Slice, several: bool) -> Outcome {
    let mut title = "Agreement against the damping".to_owned();
    if several {
        title.push_str(&format!(": {}", slice.title));
    }
    let mut factors: Vec<f64> = slice
        .groups
        .iter()
        .filter_map(|group| group.number(DAMPING))
        .collect();
    factors.dedup();
    let (mut specs, mut content) = (Vec::new(), Vec::new());
    let (mut gaps, mut aggregates) = (Gaps::default(), Vec::new());
    for metric in metrics {
        let mut series: Vec<(&str, Series)> = Vec::new();
        for label in compared(study, metric) {
            let points = slice.groups.iter().filter_map(|group| {
                let result = measure(study, group, label, metric, &mut gaps);
                aggregates.push(result);
                Some((group.number(DAMPING)?, point(&result)))
            });
            series.push((label, points.collect()));
        }
        // the retrainings know nothing of the damping, and exact influence has no ceiling
        let group = slice.groups.first();
        let group = group.filter(|_| !metric.starts_with("pearson"));
        let most = group.and_then(|group| ceiling(group, metric));
        let shown = series
            .iter()
            .flat_map(|(_, points)| points.iter().filter_map(|p| p.1.as_ref()))
            .chain(&most);
        let Some(y) = metric_axis(metric, shown) else {
            continue;
        };
        specs.push(PanelSpec {
            title: String::new(),
            x: Axis::at_values(axis_title(DAMPING), &factors),
            y,
        });
        content.push((series, most));
    }
    if content.is_empty() {
        return Outcome::omitted(title, "no agreement is defined");
    }
    slice.groups.iter().for_each(|group| gaps.group(group));
    let missing = gaps.text().unwrap_or_default();
    let notes: Vec<String> = Some(missing.clone())
        .into_iter()
        .filter(|n| !n.is_empty())
        .collect();
    let mut entries = legend(study, study.methods.iter().map(String::as_str));
    let line = |name: &str, colour, dash| Entry {
        name: name.to_owned(),
        colour,
        marker: None,
        dash: Some(dash),
    };
    entries.push(line("default c = 0.1", INK, Dash::Dashed));
    if content.iter().any(|(_, most)| most.is_some()) {
        entries.push(line("noise ceiling", GREY, Dash::Solid));
    }
    let axes: Vec<(Axis, Axis)> = specs.iter().map(|s| (s.x.clone(), s.y.clone())).collect();
    let columns = if specs.len() == 1 { 1 } else { 2 };
    let mut sheet = Sheet::new(columns, 250.0, specs, &entries, &notes);
    for (panel, (series, most)) in content.iter().enumerate() {
        let (x, y) = &axes[panel];
        if let Some(most) = most {
            let across = |value: f64| [(x.low, value), (x.high, value)];
            if let Some((low, high)) = most.interval {
                sheet.band(panel, &across(low), &across(high), GREY);
            }
            sheet.line(panel, &across(most.value), GREY, 1.3, Dash::Solid, 1.0);
        }
        if sheet.x_shows(panel, DEFAULT_DAMPING) {
            let upright = [(DEFAULT_DAMPING, y.low), (DEFAULT_DAMPING, y.high)];
            sheet.line(panel, &upright, INK, 1.3, Dash::Dashed, 1.0);
        }
        for (label, points) in series {
            let position = study.methods.iter().position(|other| other == label);
            let dodge = dodge(position.unwrap_or(0), study.methods.len());
            sheet.series(panel, points, &study.palette.style(label), dodge);
        }
    }
    let text = caption(&[
        &format!(
            "Every method at each c in λ = c · mean eigenvalue of each block's Fisher ({}), against the same \
             retrainings and against exact influence at the default c = 0.1 (dashed). Methods without damping are level.",
            slice.title
        ),
        &interval_text(&aggregates),
        "Methods are set slightly apart along x.",
        &held_text(&slice.held),
        &missing,
    ]);
    let id = match several {
        true => format!("damping_{}", slug(&slice.title)),
        false => "damping".to_owned(),
    };
    Outcome::drawn(id, title, text, sheet.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::scene::Shape;
    use crate::report::synthetic;

    #[test]
    fn the_default_is_marked_where_the_damping_was_swept_and_no_figure_made_elsewhere() {
        let records = synthetic::damping();
        let drawn = draw(&Study::new(&records));
        let [Outcome::Drawn(figure)] = &drawn[..] else {
            panic!("one figure: {drawn:?}");
        };
        let upright = |shape: &&Shape| {
            matches!(shape, Shape::Line { points, colour, .. }
                if *colour == INK && points.len() == 2 && points[0].0 == points[1].0)
        };
        // a stroke of the mark is as long as a dash
        let dash = |shape: &&Shape| matches!(shape, Shape::Line { points, .. } if (points[0].1 - points[1].1).abs() == 8.0);
        let marks = figure.scene.shapes.iter().filter(upright).filter(dash);
        assert!(marks.count() > 10);
        for records in [synthetic::rank(), synthetic::layers()] {
            assert!(draw(&Study::new(&records)).is_empty());
        }
    }
}
