//! What a fine-tune and its gradients take, against a setting that was swept. No method has a part in it.

use super::draft::{Draft, MOST, dodge, styles, values};
use super::{Outcome, change_between, findings, lower_first, omitted, slug};
use crate::report::chart::{Axis, AxisScale, DataPoint, Entry, Series, UNLIMITED, points};
use crate::report::data::{LAYERS, ResultSet, Slice, SweptAxis, axis_short, axis_title};
use crate::report::number;
use crate::results::record::Record;

/// A number of a cell.
type Pick = fn(&Record) -> Option<f64>;

/// The panels: title, unit (none of a share), number.
const NUMBERS: [(&str, &str, Pick); 4] = [
    ("Fine-tuning (s)", "s", |r| {
        Some(r.training.as_ref()?.seconds)
    }),
    ("Taking gradients (s)", "s", |r| {
        Some(r.gradients.as_ref()?.seconds)
    }),
    ("Training gradients", "bytes", |r| {
        Some(r.gradients.as_ref()?.bytes as f64)
    }),
    ("", "", |r| {
        r.training.as_ref()?.epochs.last()?.query_accuracy
    }),
];

/// One figure per swept setting, one line per task.
pub fn draw(results: &ResultSet) -> Vec<Outcome> {
    const TITLE: &str = "Fine-tuning and gradients against a swept setting";
    if results.records.iter().all(|r| r.training.is_none()) {
        return vec![omitted(TITLE, "no cell was fine-tuned")];
    }
    // influence has no part in the fine-tune, nor has how gradients are kept
    let mut sweeps = results.sweeps();
    let of_it = |key: &str| !key.starts_with("influence.") && !key.starts_with("store.");
    sweeps.retain(|axis| of_it(&axis.key));
    if sweeps.is_empty() {
        let reason = "no numeric setting of the fine-tune was swept over two values or more";
        return vec![omitted(TITLE, reason)];
    }
    let draw = |axis: &&SweptAxis| draw_axis(results, &axis.key);
    sweeps.iter().map(draw).collect()
}

fn draw_axis(results: &ResultSet, key: &str) -> Outcome {
    let name = axis_title(key);
    let title = format!("Fine-tuning and gradients against {}", lower_first(&name));
    let mut slices = results.slices(Some(key));
    let all = slices.len();
    slices.truncate(MOST);
    let styles = styles(slices.iter().map(|slice| slice.title.clone()));
    let x_values = values(slices.iter().flat_map(|slice| &slice.groups), key);
    let mut draft = Draft::new(2, 190.0);
    for (label, unit, pick) in NUMBERS {
        let label = match label {
            "" => format!("{} at the end", results.accuracy_title()),
            label => label.to_owned(),
        };
        let of = |slice: &Slice| draft.of_cells(results, slice, key, pick);
        let series: Vec<Series> = slices.iter().map(of).collect();
        let shown: Vec<&DataPoint> = points(&series).collect();
        let Some(y) = axis(&label, unit, &shown) else {
            continue;
        };
        let x = match key {
            // so that what grows with every layer is a straight line
            LAYERS => Axis::at_values_on(name.clone(), &x_values, AxisScale::Linear),
            _ => Axis::at_values(name.clone(), &x_values),
        };
        let what = lower_first(label.trim_end_matches(" (s)"));
        let said = slices.iter().zip(&series).filter_map(|(slice, series)| {
            let change = change(slice, series, key, unit, pick)?;
            Some(format!("{}, {what}: {change}.", slice.title))
        });
        draft.findings.extend(said);
        let lines = series.into_iter().zip(&styles).enumerate();
        let lines = lines.map(|(i, (line, style))| (style.clone(), line, dodge(i, styles.len())));
        draft.lines("", (x, y), lines);
    }
    draft.chart.legend.extend(styles.iter().map(Entry::method));
    let rest = (all > MOST).then(|| format!("The first {MOST} of {all} lines are shown."));
    slices.iter().for_each(|slice| draft.covers(slice));
    let text = [
        "Wall time of the fine-tune and of taking all training and query gradients, the size of the training gradients, and the accuracy after the last epoch.",
        &draft.intervals(),
        &rest.unwrap_or_default(),
    ];
    let id = format!("training_cost_{}", slug(key));
    draft.outcome(id, title, &text, "no cell has a time or an accuracy")
}

/// How a line goes from its first to its last value.
fn change(slice: &Slice, series: &Series, key: &str, unit: &str, pick: Pick) -> Option<String> {
    let show = |x: f64| match unit {
        "s" => number::seconds(x),
        "bytes" => number::bytes(x),
        _ => number::fixed(x, 3),
    };
    let scaled = |x: f64| if unit.is_empty() { x } else { x.ln() };
    let difference = change_between(slice, series, &|record| pick(record).map(scaled));
    findings::change(series, &axis_short(key), show, difference)
}

/// Times start at 0, so that heights compare, unless they differ by a factor of 10.
fn axis(title: &str, unit: &str, points: &[&DataPoint]) -> Option<Axis> {
    let positive = || points.iter().map(|point| point.value).filter(|x| *x > 0.0);
    let factor = positive().fold(0.0, f64::max) / positive().fold(f64::INFINITY, f64::min);
    let (scale, limits) = match unit {
        "bytes" => (AxisScale::LogBytes, UNLIMITED),
        "s" if factor >= 10.0 => (AxisScale::Log, UNLIMITED),
        "s" => (AxisScale::Linear, (Some(0.0), None)),
        _ => (AxisScale::Linear, (Some(0.0), Some(1.0))),
    };
    let axis = Axis::fit(title, points.iter().copied(), scale, limits)?;
    Some(match (unit, scale) {
        ("s", AxisScale::Linear) => Axis::linear(title, 0.0, axis.high),
        _ => axis,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_start_at_nothing_unless_they_span_it() {
        let axis = |values: &[f64]| {
            let points: Vec<DataPoint> = values.iter().map(|x| DataPoint::from(*x)).collect();
            let points: Vec<&DataPoint> = points.iter().collect();
            axis("t", "s", &points).map(|axis| (axis.scale, axis.low))
        };
        assert_eq!(axis(&[2.0, 3.0]), Some((AxisScale::Linear, 0.0)));
        let scale = axis(&[1.0, 30.0]).map(|found| found.0);
        assert_eq!(scale, Some(AxisScale::Log));
        assert_eq!(axis(&[]), None);
    }
}
