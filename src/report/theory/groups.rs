//! Error against group size, from DataInf to exact.

use super::along::{cases, origin, values};
use crate::metrics::interval::{mean, t_interval};
use crate::report::chart::{
    Axis, Chart, DataPoint, Entry, Layer, Panel, RecordRef, Series, points,
};
use crate::report::figures::Outcome;
use crate::report::figures::findings::{self, Change};
use crate::report::number;
use crate::report::palette::{Colour, Dash, Marker, Palette, Style};
use crate::results::theory::{CaseRecord, TheoryResults};

const TITLE: &str = "Error against group size";

/// From much damping to little.
const SHADES: [Colour; 6] = [
    [0xcc, 0x79, 0xa7],
    [0xe6, 0x9f, 0x00],
    [0x00, 0x9e, 0x73],
    [0x56, 0xb4, 0xe9],
    [0x48, 0x58, 0xa6],
    [0x6b, 0x6b, 0x6b],
];
const MARKERS: [Marker; 6] = [
    Marker::Up,
    Marker::Diamond,
    Marker::Down,
    Marker::Square,
    Marker::Plus,
    Marker::Cross,
];

/// One line a damping, the rest as in the base.
pub fn draw(results: &TheoryResults) -> Outcome {
    let along = cases(results, "damping");
    let lines: Vec<(f64, Series)> = spread(values(&along), SHADES.len())
        .into_iter()
        .map(|factor| {
            let own = along.iter().filter(|(c, _)| *c == factor);
            let cases: Vec<&CaseRecord> = own.map(|(_, case)| *case).collect();
            (factor, line(&cases, &origin(results, "damping", factor)))
        })
        .filter(|(_, line)| line.len() > 1)
        .collect();
    let Some((_, first)) = lines.first() else {
        return Outcome::omitted(TITLE, "no case has more than one group size");
    };
    let sizes: Vec<f64> = first.iter().map(|(b, _)| *b).collect();
    let top = points(lines.iter().map(|(_, line)| line))
        .map(|point| point.interval.map_or(point.value, |i| i.1.max(point.value)))
        .fold(0.0, f64::max);
    let styles = lines.iter().enumerate().map(|(i, (factor, _))| Style {
        name: format!("c = {}", number::plain(*factor)),
        colour: SHADES[i],
        marker: MARKERS[i],
        dash: Dash::Solid,
    });
    let styles: Vec<Style> = styles.collect();
    let palette = Palette::new(["datainf", "exact"]);
    let ends = [("datainf", "DataInf (b = 1)"), ("exact", "Exact (b = n)")];
    let ends = ends.map(|(method, name)| Style {
        name: name.to_owned(),
        ..palette.style(method)
    });
    let y = Axis::linear("‖D_b − E‖ · λ", -0.04 * top, 1.08 * top);
    let mut panel = Panel::new("", Axis::at_values("Group size b", &sizes), y);
    for ((_, line), style) in lines.iter().zip(&styles) {
        panel.layers.push(Layer::series(style, line.clone(), 0.0));
        for (end, style) in [line.first(), line.last()].into_iter().zip(&ends) {
            if let Some((b, Some(point))) = end {
                let point = point.clone().within(None);
                panel
                    .layers
                    .push(Layer::dots(style, [((*b).into(), point)]));
            }
        }
    }
    let legend = styles.iter().map(Entry::method);
    let ends = ends.iter().map(|style| Entry {
        dash: None,
        ..Entry::method(style)
    });
    let chart = Chart {
        columns: 1,
        height: 300.0,
        panels: vec![panel],
        legend: legend.chain(ends).collect(),
        notes: Vec::new(),
    };
    let seen = lines
        .iter()
        .filter_map(|(factor, line)| sentence(*factor, line));
    let text = "D_b is the mean over groups of b examples of (F_group + λI)⁻¹: DataInf at b = 1, exact at b = n. One line a \
                damping factor c. Mean over seeds and blocks; bars: 95 % t-interval.";
    Outcome::drawn(
        "theory_groups",
        TITLE,
        seen.collect(),
        text.to_owned(),
        chart,
    )
}

/// At most `most` of the values, evenly chosen, with the first and the last.
fn spread(values: Vec<f64>, most: usize) -> Vec<f64> {
    let count = values.len().min(most);
    let place = |i: usize| i * (values.len() - 1) / (count - 1).max(1);
    (0..count).map(|i| values[place(i)]).collect()
}

/// How much of DataInf's error groups take away, and from which size on less than half is left.
fn sentence(factor: f64, line: &Series) -> Option<String> {
    let change = findings::change(
        line,
        "b",
        |value| number::significant(value, 2),
        Change::Unknown,
    )?;
    let defined = || {
        line.iter()
            .filter_map(|(b, point)| Some((*b, point.as_ref()?.value)))
    };
    let (_, first) = defined().next()?;
    let half = defined().find(|(_, error)| *error <= first / 2.0);
    let half = half.map_or(String::new(), |(b, _)| {
        format!(
            "; half of it or less is left from b = {} on",
            number::plain(b)
        )
    });
    Some(format!(
        "c = {}: the error {change}{half}.",
        number::plain(factor)
    ))
}

/// Mean error at each group size that all the cases have.
fn line(cases: &[&CaseRecord], record: &RecordRef) -> Series {
    let Some(first) = cases.first() else {
        return Vec::new();
    };
    first
        .groups
        .iter()
        .filter_map(|(b, _)| {
            let errors: Option<Vec<f64>> = cases
                .iter()
                .filter(|case| case.error.is_none())
                .map(|case| Some(case.groups.iter().find(|(other, _)| other == b)?.1))
                .collect();
            let errors: Vec<f64> = errors?.into_iter().filter(|e| e.is_finite()).collect();
            let interval = t_interval(&errors).map(|i| (i.low, i.high));
            let point = mean(&errors).map(|value| DataPoint::from(value).within(interval));
            let record = || Some(record.clone());
            Some((*b as f64, point.map(|point| point.with_record(record()))))
        })
        .collect()
}
