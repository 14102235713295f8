//! Error against group size, from DataInf to exact.

use super::along::{cases, origin};
use crate::metrics::interval::{mean, t_interval};
use crate::report::axis::Axis;
use crate::report::figures::Outcome;
use crate::report::figures::findings::{self, Change};
use crate::report::marks::{Mark, Marks, Origin};
use crate::report::number;
use crate::report::palette::{Colour, Dash, Marker, Palette, Style};
use crate::report::sheet::{Entry, PanelSpec, Point, Sheet};
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
    let mut factors: Vec<f64> = along.iter().map(|(c, _)| *c).collect();
    factors.dedup();
    // at most as many as can be told apart, evenly chosen
    let count = factors.len().min(SHADES.len());
    let factors: Vec<f64> = (0..count)
        .map(|i| {
            factors[if count == 1 {
                0
            } else {
                i * (factors.len() - 1) / (count - 1)
            }]
        })
        .collect();
    let lines: Vec<(f64, Marks)> = factors
        .iter()
        .map(|&factor| {
            let cases: Vec<&CaseRecord> = along
                .iter()
                .filter(|(c, _)| *c == factor)
                .map(|(_, case)| *case)
                .collect();
            (factor, line(&cases, &origin(results, "damping", factor)))
        })
        .filter(|(_, line)| line.len() > 1)
        .collect();
    let Some((_, first)) = lines.first() else {
        return Outcome::omitted(TITLE, "no case has more than one group size");
    };
    let sizes: Vec<f64> = first.iter().map(|(b, _)| *b).collect();
    let top = lines
        .iter()
        .flat_map(|(_, line)| line)
        .filter_map(|(_, mark)| Some(mark.as_ref()?.point))
        .map(|point| point.interval.map_or(point.value, |i| i.1.max(point.value)))
        .fold(0.0, f64::max);
    let styles: Vec<Style> = lines
        .iter()
        .enumerate()
        .map(|(i, (factor, _))| Style {
            name: format!("c = {}", number::plain(*factor)),
            colour: SHADES[i],
            marker: MARKERS[i],
            dash: Dash::Solid,
        })
        .collect();
    let palette = Palette::new(["datainf", "exact"]);
    let ends = [palette.style("datainf"), palette.style("exact")];
    let named = |style: &Style, name: &str| Entry {
        name: name.to_owned(),
        dash: None,
        ..Entry::method(style)
    };
    let mut legend: Vec<Entry> = styles.iter().map(Entry::method).collect();
    legend.push(named(&ends[0], "DataInf (b = 1)"));
    legend.push(named(&ends[1], "Exact (b = n)"));
    let spec = PanelSpec {
        title: String::new(),
        x: Axis::at_values("Group size b", &sizes),
        y: Axis::linear("‖D_b − E‖ · λ", -0.04 * top, 1.08 * top),
    };
    let mut sheet = Sheet::new(1, 300.0, vec![spec], &legend, &[]);
    for ((_, line), style) in lines.iter().zip(&styles) {
        sheet.series(0, line, style, 0.0);
        for (end, style) in [(line.first(), &ends[0]), (line.last(), &ends[1])] {
            if let Some((b, Some(mark))) = end {
                let plain = |value| Mark {
                    point: Point {
                        value,
                        interval: None,
                    },
                    origin: mark.origin.clone(),
                };
                sheet.point(0, plain(*b), plain(mark.point.value), style);
            }
        }
    }
    let seen = lines
        .iter()
        .filter_map(|(factor, line)| sentence(*factor, line));
    let seen: Vec<String> = seen.collect();
    Outcome::drawn(
        "theory_groups",
        TITLE,
        "D_b is the mean over groups of b examples of (F_group + λI)⁻¹: DataInf at b = 1, exact at b = n. One line a \
         damping factor c. Mean over seeds and blocks; bars: 95 % t-interval."
            .to_owned(),
        sheet.finish(),
    )
    .finding(seen)
}

/// How much of DataInf's error groups take away, and from which size on less than half is left.
fn sentence(factor: f64, line: &Marks) -> Option<String> {
    let change = findings::change(
        line,
        "b",
        |value| number::significant(value, 2),
        Change::Unknown,
    )?;
    let defined = || {
        line.iter()
            .filter_map(|(b, mark)| Some((*b, mark.as_ref()?.point.value)))
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
fn line(cases: &[&CaseRecord], origin: &Origin) -> Marks {
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
            let mark = mean(&errors).map(|value| Mark {
                point: Point {
                    value,
                    interval: t_interval(&errors).map(|i| (i.low, i.high)),
                },
                origin: Some(origin.clone()),
            });
            Some((*b as f64, mark))
        })
        .collect()
}
