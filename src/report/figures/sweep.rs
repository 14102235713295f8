//! Correlation, error, detection, time and memory against any numeric setting that was swept.

use super::{
    Outcome, caption, change, compared, dodge, has_values, held_text, interval_text, legend,
    lower_first, mark, measure, metric_axis, points, slug, winners,
};
use crate::metrics::find;
use crate::report::aggregate::Gaps;
use crate::report::axis::Axis;
use crate::report::marks::Marks;
use crate::report::sheet::{PanelSpec, Sheet};
use crate::report::study::{DTYPE, Slice, Study, axis_short, axis_title, tick_text};

const METRICS: [&str; 5] = [
    "relative_error",
    "detection_auc",
    "total_seconds",
    "peak_bytes",
    "class_auc",
];

/// One figure a swept setting and task.
pub fn draw(study: &Study) -> Vec<Outcome> {
    let sweeps = study.sweeps();
    if sweeps.is_empty() {
        return vec![Outcome::omitted(
            "Agreement and cost against a swept setting",
            "no numeric setting was swept over two values or more",
        )];
    }
    let mut outcomes = Vec::new();
    for axis in sweeps {
        let slices = study.slices(Some(&axis.key));
        for slice in &slices {
            outcomes.push(draw_slice(study, &axis.key, slice, slices.len() > 1));
        }
    }
    outcomes
}

fn draw_slice(study: &Study, key: &str, slice: &Slice, several: bool) -> Outcome {
    let name = axis_title(key);
    let title = format!(
        "Agreement and cost against {}{}",
        lower_first(&name),
        if several {
            format!(": {}", slice.title)
        } else {
            String::new()
        }
    );
    let mut x_values: Vec<f64> = slice
        .groups
        .iter()
        .filter_map(|group| group.number(key))
        .collect();
    x_values.dedup();
    if x_values.len() < 2 {
        return Outcome::omitted(
            title,
            format!("only one value of `{key}` among these cells"),
        );
    }
    let metrics = super::agreement(study)
        .into_iter()
        .chain(METRICS)
        .filter(|metric| has_values(study, metric));
    let (mut specs, mut content, mut gaps, mut aggregates, mut zeros) =
        (Vec::new(), Vec::new(), Gaps::default(), Vec::new(), 0);
    let mut seen = Vec::new();
    for metric in metrics {
        let mut series: Vec<(&str, Marks)> = Vec::new();
        for label in compared(study, metric) {
            let mut marks = Vec::new();
            for group in &slice.groups {
                let Some(x) = group.number(key) else { continue };
                let result = measure(study, group, label, metric, &mut gaps);
                marks.push((x, mark(study, group, Some(label), &result)));
                aggregates.push(result);
            }
            series.push((label, marks));
        }
        let shown = || points(series.iter().map(|(_, marks)| marks));
        let Some(y) = metric_axis(metric, shown()) else {
            continue;
        };
        if y.scale == crate::report::axis::Scale::Log {
            zeros += shown().filter(|point| point.value <= 0.0).count();
        }
        // The vertical axis names the metric.
        let mut x = Axis::at_values(name.clone(), &x_values);
        for (value, text) in &mut x.ticks {
            if let Some(named) = tick_text(key, *value) {
                *text = named;
            }
        }
        specs.push(PanelSpec {
            title: String::new(),
            x,
            y,
        });
        seen.extend(sentence(study, slice, key, metric, &series));
        content.push(series);
    }
    if content.is_empty() {
        return Outcome::omitted(title, "no metric has a value here");
    }
    slice.groups.iter().for_each(|group| gaps.group(group));
    let missing = gaps.text().unwrap_or_default();
    let off = if zeros > 0 {
        format!("{zeros} values of exactly 0 are off a log axis.")
    } else {
        String::new()
    };
    let notes: Vec<String> = [missing.clone(), off.clone()]
        .into_iter()
        .filter(|note| !note.is_empty())
        .collect();
    let entries = legend(study, study.methods.iter().map(String::as_str));
    let mut sheet = Sheet::new(2, 190.0, specs, &entries, &notes);
    for (panel, series) in content.iter().enumerate() {
        for (label, points) in series {
            // The place of a method is the same in all panels.
            let position = study
                .methods
                .iter()
                .position(|other| other == label)
                .unwrap_or(0);
            sheet.series(
                panel,
                points,
                &study.palette.style(label),
                dodge(position, study.methods.len()),
            );
        }
    }
    let text = caption(&[
        &format!(
            "Every method at each value of `{key}` ({}). {}",
            slice.title,
            if study.exact_is_measured() {
                "The reference is exact influence on the gradients in f32, before they were rounded: the error of exact is that of the storage."
            } else {
                "Exact is the reference: it has time and memory, but no error."
            }
        ),
        "Runtime is for all scores, gradients not included; memory is the peak above what was resident before.",
        &interval_text(&aggregates),
        &held_text(&slice.held),
        &missing,
        &off,
    ]);
    let id = if several {
        format!("sweep_{}_{}", slug(key), slug(&slice.title))
    } else {
        format!("sweep_{}", slug(key))
    };
    Outcome::drawn(id, title, text, sheet.finish()).finding(seen)
}

/// Who leads by a metric where; of times and memory also how exact's grow, of the others how DataInf's change.
fn sentence(
    study: &Study,
    slice: &Slice,
    key: &str,
    metric: &str,
    series: &[(&str, Marks)],
) -> Option<String> {
    let found = find(metric)?;
    let x = match key {
        DTYPE => "bits a number".to_owned(),
        key => axis_short(key),
    };
    let first = winners(study, slice, key, metric, &x)?;
    let subject = if found.is_computed() {
        "datainf"
    } else {
        "exact"
    };
    let change = series
        .iter()
        .find(|(label, _)| *label == subject)
        .and_then(|(label, marks)| {
            let change = change(slice, label, metric, marks, &x)?;
            Some(format!("; {} {change}", study.palette.style(label).name))
        })
        .unwrap_or_default();
    Some(format!("{}: best is {first}{change}.", found.title))
}
