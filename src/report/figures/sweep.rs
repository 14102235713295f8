//! Correlation, error, detection, time and memory against any numeric setting that was swept.

use super::lineplot::{self, Tally, notes, of_methods, values};
use super::{
    Outcome, caption, compared, has_values, held_text, interval_text, legend, lower_first,
    metric_axis, ours, points, slug, winners,
};
use crate::metrics::find;
use crate::report::axis::{Axis, Scale};
use crate::report::marks::Marks;
use crate::report::sheet::PanelSpec;
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
    let x_values = values(&slice.groups, key);
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
    let all: Vec<&str> = study.methods.iter().map(String::as_str).collect();
    let (mut panels, mut tally, mut zeros) = (Vec::new(), Tally::default(), 0);
    let mut seen = Vec::new();
    for metric in metrics {
        let series = tally.along(study, slice, key, metric, compared(study, metric));
        let shown = || points(series.iter().map(|(_, marks)| marks));
        let Some(y) = metric_axis(metric, shown()) else {
            continue;
        };
        if y.scale == Scale::Log {
            zeros += shown().filter(|point| point.value <= 0.0).count();
        }
        // The vertical axis names the metric.
        let mut x = Axis::at_values(name.clone(), &x_values);
        for (value, text) in &mut x.ticks {
            if let Some(named) = tick_text(key, *value) {
                *text = named;
            }
        }
        let spec = PanelSpec {
            title: String::new(),
            x,
            y,
        };
        seen.extend(sentence(study, slice, key, metric, &series));
        panels.push((spec, of_methods(study, series, &all)));
    }
    if panels.is_empty() {
        return Outcome::omitted(title, "no metric has a value here");
    }
    let missing = tally.missing(&slice.groups);
    let off = if zeros > 0 {
        format!("{zeros} values of exactly 0 are off a log axis.")
    } else {
        String::new()
    };
    let entries = legend(study, all);
    let scene = lineplot::draw(
        (2, 190.0),
        panels,
        &entries,
        &notes(&[&missing, &off]),
        |_, _| {},
    );
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
        &interval_text(&tally.aggregates),
        &held_text(&slice.held),
        &missing,
        &off,
    ]);
    let id = if several {
        format!("sweep_{}_{}", slug(key), slug(&slice.title))
    } else {
        format!("sweep_{}", slug(key))
    };
    Outcome::drawn(id, title, text, scene).finding(seen)
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
    let change = ours(study, slice, subject, metric, series, &x);
    Some(format!("{}: best is {first}{change}.", found.title))
}
