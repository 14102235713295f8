//! Agreement against the damping: with retraining, and with exact influence at the default damping.

use super::lineplot::{self, Tally, notes, of_methods, values};
use super::retraining::ceiling;
use super::{
    Outcome, caption, compared, has_values, held_text, interval_text, legend, metric_axis, ours,
    points, slug, winners,
};
use crate::config::influence::DEFAULT_DAMPING;
use crate::metrics::find;
use crate::report::axis::Axis;
use crate::report::marks::Marks;
use crate::report::palette::{Dash, GREY, INK};
use crate::report::sheet::{Entry, PanelSpec};
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
    let factors = values(&slice.groups, DAMPING);
    let all: Vec<&str> = study.methods.iter().map(String::as_str).collect();
    let (mut panels, mut tally, mut ceilings) = (Vec::new(), Tally::default(), Vec::new());
    let mut seen = Vec::new();
    for metric in metrics {
        let series = tally.along(study, slice, DAMPING, metric, compared(study, metric));
        // the retrainings know nothing of the damping, and exact influence has no ceiling
        let group = slice.groups.first();
        let group = group.filter(|_| !metric.starts_with("pearson"));
        let most = group.and_then(|group| ceiling(group, metric));
        let shown = points(series.iter().map(|(_, marks)| marks)).chain(&most);
        let Some(y) = metric_axis(metric, shown) else {
            continue;
        };
        let x = Axis::at_values(axis_title(DAMPING), &factors);
        ceilings.push((most, [x.low, x.high], [y.low, y.high]));
        let spec = PanelSpec {
            title: String::new(),
            x,
            y,
        };
        seen.extend(sentence(study, slice, metric, &series));
        panels.push((spec, of_methods(study, series, &all)));
    }
    if panels.is_empty() {
        return Outcome::omitted(title, "no agreement is defined");
    }
    let missing = tally.missing(&slice.groups);
    let mut entries = legend(study, all);
    entries.push(Entry::line("default c = 0.1", INK, Dash::Dashed));
    if ceilings.iter().any(|(most, ..)| most.is_some()) {
        entries.push(Entry::line("noise ceiling", GREY, Dash::Solid));
    }
    let columns = if panels.len() == 1 { 1 } else { 2 };
    let scene = lineplot::draw(
        (columns, 250.0),
        panels,
        &entries,
        &notes(&[&missing]),
        |sheet, panel| {
            let (most, x, y) = &ceilings[panel];
            if let Some(most) = most {
                let across = |value: f64| x.map(|x| (x, value));
                if let Some((low, high)) = most.interval {
                    sheet.band(panel, &across(low), &across(high), GREY);
                }
                sheet.line(panel, &across(most.value), GREY, 1.3, Dash::Solid, 1.0);
            }
            if sheet.x_shows(panel, DEFAULT_DAMPING) {
                let upright = y.map(|y| (DEFAULT_DAMPING, y));
                sheet.line(panel, &upright, INK, 1.3, Dash::Dashed, 1.0);
            }
        },
    );
    let text = caption(&[
        &format!(
            "Every method at each c in λ = c · mean eigenvalue of each block's Fisher ({}), against the same \
             retrainings and against exact influence at the default c = 0.1 (dashed). Methods without damping are level.",
            slice.title
        ),
        &interval_text(&tally.aggregates),
        "Methods are set slightly apart along x.",
        &held_text(&slice.held),
        &missing,
    ]);
    let id = match several {
        true => format!("damping_{}", slug(&slice.title)),
        false => "damping".to_owned(),
    };
    Outcome::drawn(id, title, text, scene).finding(seen)
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
    let change = ours(study, slice, "datainf", metric, series, &c);
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
