//! The figures along a swept setting: correlation with exact against LoRA rank (the layout of the paper's Figure 1), agreement
//! and cost against any numeric setting, and agreement with retraining against the damping.

use super::dots::ceiling;
use super::draft::{Draft, values};
use super::{Outcome, compared, lower_first, named, omitted, slug, taken};
use crate::config::influence::DEFAULT_DAMPING;
use crate::report::chart::{Entry, Layer, Stroke};
use crate::report::data::{ResultSet, Slice, SweptAxis, axis_title, metric_title};
use crate::report::palette::{Dash, GREY, INK};

/// The rank's path among the settings.
const RANK: &str = "lora.rank";

/// The damping's.
pub const DAMPING: &str = "influence.damping";

/// What is shown against any setting, as far as it was taken.
const MEASURES: [&str; 5] = [
    "relative_error",
    "detection_auc",
    "total_seconds",
    "peak_bytes",
    "class_auc",
];

/// What is shown against the damping.
pub const TUNED: [&str; 6] = [
    "lds_50",
    "lds_90",
    "lds_99",
    "loo_pearson",
    "loo_spearman",
    "pearson_default_damping",
];

/// One panel per task and measure: the mean query's correlation, as in the paper, and the mean over queries.
pub fn correlation_with_rank(results: &ResultSet) -> Outcome {
    const TITLE: &str = "Correlation with exact influence against LoRA rank";
    if !results.sweeps().iter().any(|axis| axis.key == RANK) {
        return omitted(TITLE, "no sweep over `lora.rank` with two values or more");
    }
    let slices = results.slices(Some(RANK));
    // rows of one measure, where that is possible
    let columns = match slices.len() {
        1 | 2 | 4 => 2,
        _ => 3,
    };
    let mut draft = Draft::new(columns, 240.0);
    for (metric, kind) in [
        ("pearson_mean_query", "mean query"),
        ("pearson", "per query"),
    ] {
        for slice in &slices {
            let lead = format!("{}, {kind}: closest to exact", slice.title);
            if let Some(panel) = draft.along(results, slice, RANK, metric, &lead, None) {
                panel.title = format!("{} – {kind}", slice.title);
                panel.y.title = "Pearson r with exact".to_owned();
            }
        }
    }
    draft.legend(results, compared(results, "pearson"));
    slices.iter().for_each(|slice| draft.covers(slice));
    let text = [
        "Pearson's r between each method's scores and exact influence; 1 is perfect.",
        "\"Mean query\" is influence on the mean query loss, as in the paper's Figure 1; \"per query\" is the mean of r over the queries.",
        &draft.intervals(),
        "Intervals longer than half of the axis are cut. Methods are set slightly apart along x.",
    ];
    let empty = "no cell has a defined correlation with exact (`pearson_mean_query` or `pearson`)";
    draft.outcome("correlation_rank", TITLE, &text, empty)
}

/// One figure a swept setting and task.
pub fn every_setting(results: &ResultSet) -> Vec<Outcome> {
    let sweeps = results.sweeps();
    if sweeps.is_empty() {
        return vec![omitted(
            "Agreement and cost against a swept setting",
            "no numeric setting was swept over two values or more",
        )];
    }
    let of_axis = |axis: &SweptAxis| {
        let slices = results.slices(Some(&axis.key));
        let drawn = slices.iter();
        let drawn = drawn.map(|slice| along_setting(results, &axis.key, slice, slices.len() > 1));
        drawn.collect::<Vec<_>>()
    };
    sweeps.into_iter().flat_map(of_axis).collect()
}

fn along_setting(results: &ResultSet, key: &str, slice: &Slice, several: bool) -> Outcome {
    let what = lower_first(&axis_title(key));
    let title = format!("Agreement and cost against {what}");
    let (id, title) = named(&format!("sweep_{}", slug(key)), &title, slice, several);
    if values(&slice.groups, key).len() < 2 {
        let reason = format!("only one value of `{key}` among these cells");
        return omitted(title, reason);
    }
    let mut draft = Draft::new(2, 190.0);
    let agreement = super::agreement(results).into_iter();
    for metric in agreement.chain(taken(results, &MEASURES)) {
        // the vertical axis names the metric: a heading would repeat it
        let lead = format!("{}: best", metric_title(metric));
        draft.along(results, slice, key, metric, &lead, None);
    }
    draft.legend(results, results.labels());
    draft.covers(slice);
    let zeros = Some(draft.off_axis()).filter(|zeros| *zeros > 0);
    let off = zeros.map(|zeros| format!("{zeros} values of exactly 0 are off a log axis."));
    draft.chart.notes.extend(off.clone());
    let reference = if results.exact_is_measured() {
        "The reference is exact influence on the gradients in f32, before they were rounded: the error of exact is that of the storage."
    } else {
        "Exact is the reference: it has time and memory, but no error."
    };
    let text = [
        &format!(
            "Every method at each value of `{key}` ({}). {reference}",
            slice.title
        ),
        "Runtime is for all scores, gradients not included; memory is the peak above what was resident before.",
        &draft.intervals(),
        &off.unwrap_or_default(),
    ];
    draft.outcome(id, title, &text, "no metric has a value here")
}

/// One figure per task; nothing where the damping was not swept or nothing but agreement at each damping by itself
/// was taken.
pub fn retraining_with_damping(results: &ResultSet) -> Vec<Outcome> {
    let metrics = taken(results, &TUNED);
    if metrics.is_empty() || !results.sweeps().iter().any(|axis| axis.key == DAMPING) {
        return Vec::new();
    }
    let slices = results.slices(Some(DAMPING));
    let several = slices.len() > 1;
    let draw = |slice| with_damping(results, &metrics, slice, several);
    slices.iter().map(draw).collect()
}

fn with_damping(results: &ResultSet, metrics: &[&str], slice: &Slice, several: bool) -> Outcome {
    let mut draft = Draft::new(2, 250.0);
    let mark = Entry::line("default c = 0.1", INK, Dash::Dashed);
    let mut legend = vec![mark];
    for metric in metrics {
        // the retrainings know nothing of the damping
        let most = slice
            .groups
            .first()
            .and_then(|group| ceiling(group, metric));
        let lead = format!("{}: best", metric_title(metric));
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
    draft.legend(results, results.labels());
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
