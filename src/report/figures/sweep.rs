//! Correlation, error, detection, time and memory against any numeric setting that was swept.

use super::draft::{Draft, values};
use super::{Outcome, lower_first, named, slug, taken};
use crate::metrics::find;
use crate::report::data::{ResultSet, Slice, SweptAxis, axis_title};

const METRICS: [&str; 5] = [
    "relative_error",
    "detection_auc",
    "total_seconds",
    "peak_bytes",
    "class_auc",
];

/// One figure a swept setting and task.
pub fn draw(results: &ResultSet) -> Vec<Outcome> {
    let sweeps = results.sweeps();
    if sweeps.is_empty() {
        return vec![Outcome::omitted(
            "Agreement and cost against a swept setting",
            "no numeric setting was swept over two values or more",
        )];
    }
    let of_axis = |axis: &SweptAxis| {
        let slices = results.slices(Some(&axis.key));
        let drawn = slices.iter();
        let drawn = drawn.map(|slice| draw_slice(results, &axis.key, slice, slices.len() > 1));
        drawn.collect::<Vec<_>>()
    };
    sweeps.into_iter().flat_map(of_axis).collect()
}

fn draw_slice(results: &ResultSet, key: &str, slice: &Slice, several: bool) -> Outcome {
    let what = lower_first(&axis_title(key));
    let title = format!("Agreement and cost against {what}");
    let (id, title) = named(&format!("sweep_{}", slug(key)), &title, slice, several);
    if values(&slice.groups, key).len() < 2 {
        let reason = format!("only one value of `{key}` among these cells");
        return Outcome::omitted(title, reason);
    }
    let mut draft = Draft::new(2, 190.0);
    let agreement = super::agreement(results).into_iter();
    for metric in agreement.chain(taken(results, &METRICS)) {
        let lead = find(metric).map_or(metric, |metric| metric.title);
        // the vertical axis names the metric: a heading would repeat it
        draft.along(results, slice, key, metric, &format!("{lead}: best"), None);
    }
    draft.legend(results, results.methods.iter().map(String::as_str));
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
