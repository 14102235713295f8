//! Agreement against the damping: with retraining, and with exact influence at the default damping.

use super::retraining::ceiling;
use super::{
    Outcome, caption, change, compared, dodge, has_values, held_text, interval_text, legend, mark,
    measure, metric_axis, points, slug, winners,
};
use crate::config::influence::DEFAULT_DAMPING;
use crate::metrics::find;
use crate::report::aggregate::Gaps;
use crate::report::axis::Axis;
use crate::report::marks::Marks;
use crate::report::palette::{Dash, GREY, INK};
use crate::report::sheet::{Entry, PanelSpec, Sheet};
use crate::report::study::{Slice, Study, axis_short, axis_title};

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
    let (mut specs, mut content, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    let (mut gaps, mut aggregates) = (Gaps::default(), Vec::new());
    for metric in metrics {
        let mut series: Vec<(&str, Marks)> = Vec::new();
        for label in compared(study, metric) {
            let marks = slice.groups.iter().filter_map(|group| {
                let result = measure(study, group, label, metric, &mut gaps);
                aggregates.push(result);
                Some((
                    group.number(DAMPING)?,
                    mark(study, group, Some(label), &result),
                ))
            });
            series.push((label, marks.collect()));
        }
        // the retrainings know nothing of the damping, and exact influence has no ceiling
        let group = slice.groups.first();
        let group = group.filter(|_| !metric.starts_with("pearson"));
        let most = group.and_then(|group| ceiling(group, metric));
        let shown = points(series.iter().map(|(_, marks)| marks)).chain(&most);
        let Some(y) = metric_axis(metric, shown) else {
            continue;
        };
        specs.push(PanelSpec {
            title: String::new(),
            x: Axis::at_values(axis_title(DAMPING), &factors),
            y,
        });
        seen.extend(sentence(study, slice, metric, &series));
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
    Outcome::drawn(id, title, text, sheet.finish()).finding(seen)
}

/// Who agrees best at which damping, and how DataInf's agreement changes with it.
fn sentence(
    study: &Study,
    slice: &Slice,
    metric: &str,
    series: &[(&str, Marks)],
) -> Option<String> {
    let found = find(metric)?;
    let c = axis_short(DAMPING);
    let first = winners(study, slice, DAMPING, metric, &c)?;
    let ours = series.iter().find(|(label, _)| *label == "datainf");
    let change = ours
        .and_then(|(label, marks)| change(slice, label, metric, marks, &c))
        .map_or(String::new(), |change| format!("; DataInf {change}"));
    Some(format!("{}: best is {first}{change}.", found.title))
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
        let mark = |shape: &&Shape| {
            matches!(shape, Shape::Line { points, colour, dash: Dash::Dashed, .. }
                if *colour == INK && points.len() == 2 && points[0].0 == points[1].0)
        };
        // one in every panel, and one line of the legend that is level
        let marks = figure.scene.shapes.iter().filter(mark).count();
        assert_eq!(marks, figure.scene.parts.panels.len());
        for records in [synthetic::rank(), synthetic::layers()] {
            assert!(draw(&Study::new(&records)).is_empty());
        }
    }
}
