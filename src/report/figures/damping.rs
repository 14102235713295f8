//! Agreement against the damping: with retraining, and with exact influence at the default damping.

use super::by_method::ceiling;
use super::draft::Draft;
use super::{Outcome, named, taken};
use crate::config::influence::DEFAULT_DAMPING;
use crate::metrics::find;
use crate::report::chart::{Entry, Layer, Stroke};
use crate::report::data::{ResultSet, Slice};
use crate::report::palette::{Dash, GREY, INK};

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

/// One figure per task; nothing where the damping was not swept or nothing but agreement at each damping by itself
/// was taken.
pub fn draw(results: &ResultSet) -> Vec<Outcome> {
    let metrics = taken(results, &METRICS);
    if metrics.is_empty() || !results.sweeps().iter().any(|axis| axis.key == DAMPING) {
        return Vec::new();
    }
    let slices = results.slices(Some(DAMPING));
    let several = slices.len() > 1;
    let draw = |slice| of_slice(results, &metrics, slice, several);
    slices.iter().map(draw).collect()
}

fn of_slice(results: &ResultSet, metrics: &[&str], slice: &Slice, several: bool) -> Outcome {
    let mut draft = Draft::new(2, 250.0);
    let mark = Entry::line("default c = 0.1", INK, Dash::Dashed);
    let mut legend = vec![mark];
    for metric in metrics {
        // the retrainings know nothing of the damping, and exact influence has no ceiling
        let group = slice.groups.first();
        let group = group.filter(|_| !metric.starts_with("pearson"));
        let most = group.and_then(|group| ceiling(group, metric));
        let title = find(metric).map_or(*metric, |metric| metric.title);
        let lead = format!("{title}: best");
        let panel = draft.along(results, slice, DAMPING, metric, &lead, most.as_ref());
        let Some(panel) = panel else { continue };
        let across = |y: f64| [(panel.x.low, y), (panel.x.high, y)];
        let below = most.iter().flat_map(|most| Layer::level(most, across));
        let mut below: Vec<Layer> = below.collect();
        if most.is_some() && legend.len() == 1 {
            legend.push(Entry::line("noise ceiling", GREY, Dash::Solid));
        }
        if panel.x.shows(DEFAULT_DAMPING) {
            let [high, low] = panel.upright(DEFAULT_DAMPING);
            let dashed = Stroke::new(INK, 1.3, Dash::Dashed);
            below.push(Layer::line([low, high], dashed));
        }
        panel.layers.splice(0..0, below);
    }
    draft.chart.columns = draft.chart.panels.len().min(2);
    draft.legend(results, results.methods.iter().map(String::as_str));
    draft.chart.legend.extend(legend);
    draft.covers(slice);
    let text = [
        &format!(
            "Every method at each c in λ = c · mean eigenvalue of each block's Fisher ({}), against the same \
             retrainings and against exact influence at the default c = 0.1 (dashed). Methods without damping are level.",
            slice.title
        ),
        &draft.intervals(),
        "Methods are set slightly apart along x.",
    ];
    let (id, title) = named("damping", "Agreement against the damping", slice, several);
    draft.outcome(id, title, &text, "no agreement is defined")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::Paint;
    use crate::report::synthetic;

    #[test]
    fn the_default_is_marked_where_the_damping_was_swept_and_no_figure_made_elsewhere() {
        let records = synthetic::damping();
        let drawn = draw(&ResultSet::new(&records));
        let [Outcome::Drawn(figure)] = &drawn[..] else {
            panic!("one figure: {drawn:?}");
        };
        for panel in &figure.chart.panels {
            let is_mark = |layer: &&Layer| {
                matches!(layer, Layer::Shape { points, paint: Paint::Stroke(stroke), .. }
                    if stroke.colour == INK && points.iter().all(|point| point.0 == DEFAULT_DAMPING))
            };
            assert_eq!(panel.layers.iter().filter(is_mark).count(), 1);
        }
        for records in [synthetic::rank(), synthetic::layers()] {
            assert!(draw(&ResultSet::new(&records)).is_empty());
        }
    }
}
