//! What a fine-tune and its gradients take, against a setting that was swept. No method has a part in it.

use super::lineplot::{self, Line, MOST, Tally, styles, values};
use super::{
    Outcome, caption, change_between, dodge, findings, held_text, interval_text, lower_first,
    points, slug,
};
use crate::report::axis::{Axis, Labels, Scale, range};
use crate::report::marks::Marks;
use crate::report::number;
use crate::report::sheet::{Entry, PanelSpec, Point};
use crate::report::study::{LAYERS, Study, axis_short, axis_title};
use crate::results::record::Record;

/// How a number is shown.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Seconds,
    Bytes,
    Share,
}

/// A number of a cell.
type Pick = fn(&Record) -> Option<f64>;

/// The panels: title, kind, number.
const NUMBERS: [(&str, Kind, Pick); 4] = [
    ("Fine-tuning (s)", Kind::Seconds, |record| {
        Some(record.training.as_ref()?.seconds)
    }),
    ("Taking gradients (s)", Kind::Seconds, |record| {
        Some(record.gradients.as_ref()?.seconds)
    }),
    ("Training gradients", Kind::Bytes, |record| {
        Some(record.gradients.as_ref()?.bytes as f64)
    }),
    ("Accuracy at the end", Kind::Share, |record| {
        record.training.as_ref()?.epochs.last()?.query_accuracy
    }),
];

/// One figure a swept setting, one line a task.
pub fn draw(study: &Study) -> Vec<Outcome> {
    const TITLE: &str = "Fine-tuning and gradients against a swept setting";
    if study.records.iter().all(|record| record.training.is_none()) {
        return vec![Outcome::omitted(TITLE, "no cell was fine-tuned")];
    }
    // influence has no part in the fine-tune, nor has how gradients are kept
    let mut sweeps = study.sweeps();
    let of_it = |key: &str| !key.starts_with("influence.") && !key.starts_with("store.");
    sweeps.retain(|axis| of_it(&axis.key));
    if sweeps.is_empty() {
        let reason = "no numeric setting of the fine-tune was swept over two values or more";
        return vec![Outcome::omitted(TITLE, reason)];
    }
    sweeps
        .iter()
        .map(|axis| draw_axis(study, &axis.key))
        .collect()
}

fn draw_axis(study: &Study, key: &str) -> Outcome {
    let name = axis_title(key);
    let title = format!("Fine-tuning and gradients against {}", lower_first(&name));
    let mut slices = study.slices(Some(key));
    let all = slices.len();
    slices.truncate(MOST);
    let styles = styles(slices.iter().map(|slice| slice.title.clone()));
    let groups = || slices.iter().flat_map(|slice| &slice.groups);
    let x_values = values(groups(), key);
    let (mut panels, mut tally, mut seen) = (Vec::new(), Tally::default(), Vec::new());
    for (label, kind, pick) in NUMBERS {
        let label = match kind {
            Kind::Share => format!("{} at the end", study.accuracy_title()),
            Kind::Seconds | Kind::Bytes => label.to_owned(),
        };
        let label = label.as_str();
        let series: Vec<Marks> = slices
            .iter()
            .map(|slice| tally.of_cells(study, slice, key, pick))
            .collect();
        let Some(y) = axis(label, kind, points(&series).copied()) else {
            continue;
        };
        let spec = PanelSpec {
            title: String::new(),
            x: match key {
                // so that what grows with every layer is a straight line
                LAYERS => Axis::at_values_on(name.clone(), &x_values, Scale::Linear),
                _ => Axis::at_values(name.clone(), &x_values),
            },
            y,
        };
        for (slice, marks) in slices.iter().zip(&series) {
            let show = |x: f64| match kind {
                Kind::Seconds => number::seconds(x),
                Kind::Bytes => number::bytes(x),
                Kind::Share => number::fixed(x, 3),
            };
            let what = label.trim_end_matches(" (s)");
            let of = |record: &Record| {
                let value = pick(record)?;
                Some(match kind {
                    Kind::Share => value,
                    Kind::Seconds | Kind::Bytes => value.ln(),
                })
            };
            let known = change_between(slice, marks, &of);
            if let Some(change) = findings::change(marks, &axis_short(key), show, known) {
                seen.push(format!("{}, {}: {change}.", slice.title, lower_first(what)));
            }
        }
        let line = |(at, (marks, style)): (usize, (Marks, &_))| Line {
            style: Clone::clone(style),
            marks,
            dodge: dodge(at, styles.len()),
        };
        let lines = series.into_iter().zip(&styles).enumerate().map(line);
        panels.push((spec, lines.collect()));
    }
    if panels.is_empty() {
        return Outcome::omitted(title, "no cell has a time or an accuracy");
    }
    let entries: Vec<Entry> = styles.iter().map(Entry::method).collect();
    let scene = lineplot::draw((2, 190.0), panels, &entries, &[], |_, _| {});
    let rest = if all > MOST {
        format!("The first {MOST} of {all} lines are shown.")
    } else {
        String::new()
    };
    let held = slices.first().map_or("", |slice| &slice.held);
    let missing = tally.missing(groups());
    let text = caption(&[
        "Wall time of the fine-tune and of taking all training and query gradients, the size of the training gradients, and the accuracy after the last epoch.",
        &interval_text(&tally.aggregates),
        &held_text(held),
        &rest,
        &missing,
    ]);
    let id = format!("training_cost_{}", slug(key));
    Outcome::drawn(id, title, text, scene).finding(seen)
}

/// Times start at 0, so that heights compare, unless they differ by a factor of 10.
fn axis(title: &str, kind: Kind, points: impl Iterator<Item = Point>) -> Option<Axis> {
    let values: Vec<_> = points.map(|point| (point.value, point.interval)).collect();
    let positive = || values.iter().map(|value| value.0).filter(|x| *x > 0.0);
    let factor = positive().fold(0.0, f64::max) / positive().fold(f64::INFINITY, f64::min);
    let linear = |bounds| range(&values, Scale::Linear, bounds);
    let log = || range(&values, Scale::Log, (None, None));
    Some(match kind {
        Kind::Share => {
            let (low, high) = linear((Some(0.0), Some(1.0)))?;
            Axis::linear(title, low, high)
        }
        Kind::Bytes => {
            let (low, high) = log()?;
            Axis::log(title, low, high, Labels::Bytes)
        }
        Kind::Seconds if factor >= 10.0 => {
            let (low, high) = log()?;
            Axis::log(title, low, high, Labels::Number)
        }
        Kind::Seconds => Axis::linear(title, 0.0, linear((Some(0.0), None))?.1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_start_at_nothing_unless_they_span_it() {
        let axis = |values: &[f64]| {
            let point = |value: &f64| Point {
                value: *value,
                interval: None,
            };
            axis("t", Kind::Seconds, values.iter().map(point)).map(|axis| (axis.scale, axis.low))
        };
        assert_eq!(axis(&[2.0, 3.0]), Some((Scale::Linear, 0.0)));
        assert_eq!(axis(&[1.0, 30.0]).map(|found| found.0), Some(Scale::Log));
        assert_eq!(axis(&[]), None);
    }
}
