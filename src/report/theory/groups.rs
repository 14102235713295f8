//! Error against group size, from DataInf to exact.

use super::along::{cases, origin, values};
use crate::report::chart::{Axis, Entry, Layer, Panel, RecordRef, Series, UNLIMITED, points};
use crate::report::figures::draft::Draft;
use crate::report::figures::{Outcome, findings, mean_point};
use crate::report::number;
use crate::report::palette::{Dash, GREY, Look, Marker, Palette, Style};
use crate::results::theory::{CaseRecord, TheoryResults};

/// From much damping to little.
const LOOKS: [Look; 6] = [
    Look::new([0xcc, 0x79, 0xa7], Marker::Up, Dash::Solid),
    Look::new([0xe6, 0x9f, 0x00], Marker::Diamond, Dash::Solid),
    Look::new([0x00, 0x9e, 0x73], Marker::Down, Dash::Solid),
    Look::new([0x56, 0xb4, 0xe9], Marker::Square, Dash::Solid),
    Look::new([0x48, 0x58, 0xa6], Marker::Plus, Dash::Solid),
    Look::new(GREY, Marker::Cross, Dash::Solid),
];

/// One line per damping, the rest as in the base.
pub fn draw(results: &TheoryResults) -> Outcome {
    let along = cases(results, "damping");
    let line_at = |factor: f64| {
        let own = along.iter().filter(|(c, _)| *c == factor);
        let cases: Vec<&CaseRecord> = own.map(|(_, case)| *case).collect();
        line(&cases, &origin(results, "damping", factor))
    };
    let factors = spread(values(&along), LOOKS.len()).into_iter();
    let lines = factors.map(|factor| (format!("c = {}", number::plain(factor)), line_at(factor)));
    let lines: Vec<(String, Series)> = lines.filter(|(_, line)| line.len() > 1).collect();
    let mut draft = Draft::new(1, 300.0);
    if let Some((_, first)) = lines.first() {
        let sizes: Vec<f64> = first.iter().map(|(b, _)| *b).collect();
        let top = points(lines.iter().map(|(_, line)| line))
            .map(|point| point.interval.map_or(point.value, |i| i.1.max(point.value)))
            .fold(0.0, f64::max);
        let palette = Palette::new(["datainf", "exact"]);
        let ends = [("datainf", "DataInf (b = 1)"), ("exact", "Exact (b = n)")];
        let ends = ends.map(|(method, name)| Style {
            name: name.to_owned(),
            ..palette.style(method)
        });
        let x = Axis::at_values("Group size b", &sizes);
        let y = Axis::linear("‖D_b − E‖ · λ", -0.04 * top, 1.08 * top);
        let mut panel = Panel::new("", x, y);
        for ((name, line), look) in lines.iter().zip(LOOKS) {
            draft.findings.extend(sentence(name, line));
            let style = Style::new(name, look);
            draft.chart.legend.push(Entry::method(&style));
            panel.layers.push(Layer::series(&style, line.clone(), 0.0));
            for (end, style) in [line.first(), line.last()].into_iter().zip(&ends) {
                if let Some((b, Some(point))) = end {
                    let point = ((*b).into(), point.clone().within(None));
                    panel.layers.push(Layer::dots(style, [point]));
                }
            }
        }
        draft.chart.legend.extend(ends.iter().map(Entry::dot));
        draft.chart.panels.push(panel);
    }
    let text = "D_b is the mean over groups of b examples of (F_group + λI)⁻¹: DataInf at b = 1, exact at b = n. One line a \
                damping factor c. Mean over seeds and blocks; bars: 95 % t-interval.";
    let empty = "no case has more than one group size";
    draft.outcome("theory_groups", "Error against group size", &[text], empty)
}

/// At most `most` of the values, evenly chosen, with the first and the last.
fn spread(values: Vec<f64>, most: usize) -> Vec<f64> {
    let count = values.len().min(most);
    let place = |i: usize| i * (values.len() - 1) / (count - 1).max(1);
    (0..count).map(|i| values[place(i)]).collect()
}

/// How much of DataInf's error groups take away, and from which size on less than half is left.
fn sentence(name: &str, line: &Series) -> Option<String> {
    let change = findings::change(line, "b", |value| number::significant(value, 2), None)?;
    let defined = line.iter();
    let mut defined = defined.filter_map(|(b, point)| Some((*b, point.as_ref()?.value)));
    let (_, first) = defined.clone().next()?;
    let half = defined.find(|(_, error)| *error <= first / 2.0);
    let half = half.map(|(b, _)| {
        let b = number::plain(b);
        format!("; half of it or less is left from b = {b} on")
    });
    Some(format!(
        "{name}: the error {change}{}.",
        half.unwrap_or_default()
    ))
}

/// Mean error at each group size that all the cases have.
fn line(cases: &[&CaseRecord], record: &RecordRef) -> Series {
    let at = |(b, _): &(usize, f64)| {
        let able = cases.iter().filter(|case| case.error.is_none());
        let own = able.map(|case| Some(case.groups.iter().find(|(other, _)| other == b)?.1));
        let errors: Vec<f64> = own.collect::<Option<_>>()?;
        let point = mean_point(errors, UNLIMITED);
        let point = point.map(|point| point.with_record(record.clone()));
        Some((*b as f64, point))
    };
    let sizes = cases.first().map_or(&[][..], |first| &first.groups);
    sizes.iter().filter_map(at).collect()
}
