//! Line plots: series over x in panels, and what is missing from them.

use super::shared::{dodge, mark, measure};
use crate::report::aggregate::{Aggregate, Gaps, aggregate_cell};
use crate::report::axis::Axis;
use crate::report::marks::Marks;
use crate::report::palette::{Colour, Dash, Marker, Style};
use crate::report::scene::Scene;
use crate::report::sheet::{Entry, PanelSpec, Sheet};
use crate::report::study::{Group, Slice, Study};
use crate::results::record::Record;

/// A series with its look, set `dodge` pixels to the right.
pub struct Line {
    pub style: Style,
    pub marks: Marks,
    pub dodge: f64,
}

/// Axes and lines of a panel.
pub type Panel = (PanelSpec, Vec<Line>);

/// Draws panels in `columns`, each `height` pixels high without its axis texts; `below` draws what the lines of a panel
/// cover.
pub fn draw(
    (columns, height): (usize, f64),
    panels: Vec<Panel>,
    legend: &[Entry],
    notes: &[String],
    below: impl Fn(&mut Sheet, usize),
) -> Scene {
    let (specs, lines): (Vec<_>, Vec<_>) = panels.into_iter().unzip();
    let mut sheet = Sheet::new(columns, height, specs, legend, notes);
    for (panel, lines) in lines.iter().enumerate() {
        below(&mut sheet, panel);
        for line in lines {
            sheet.series(panel, &line.marks, &line.style, line.dodge);
        }
    }
    sheet.finish()
}

/// Lines of methods. A method stands at its place among `all`, so that it is the same in panels that lack some.
pub fn of_methods(study: &Study, series: Vec<(&str, Marks)>, all: &[&str]) -> Vec<Line> {
    let line = |(label, marks)| {
        let place = all.iter().position(|other| *other == label);
        Line {
            style: study.palette.style(label),
            marks,
            dodge: dodge(place.unwrap_or(0), all.len()),
        }
    };
    series.into_iter().map(line).collect()
}

/// The numbers of a figure as they are collected, with what is missing.
#[derive(Default)]
pub struct Tally {
    pub gaps: Gaps,
    pub aggregates: Vec<Aggregate>,
}

impl Tally {
    /// A metric of these methods along a swept setting.
    pub fn along<'l>(
        &mut self,
        study: &Study,
        slice: &Slice,
        key: &str,
        metric: &str,
        labels: Vec<&'l str>,
    ) -> Vec<(&'l str, Marks)> {
        let mut of = |label| {
            let numbers = slice.groups.iter().filter_map(|group| {
                let x = group.number(key)?;
                let result = measure(study, group, label, metric, &mut self.gaps);
                self.aggregates.push(result);
                Some((x, mark(study, group, Some(label), &result)))
            });
            (label, numbers.collect())
        };
        labels.into_iter().map(&mut of).collect()
    }

    /// A number of the cells themselves along a swept setting.
    pub fn of_cells(
        &mut self,
        study: &Study,
        slice: &Slice,
        key: &str,
        pick: impl Fn(&Record) -> Option<f64>,
    ) -> Marks {
        let numbers = slice.groups.iter().filter_map(|group| {
            let x = group.number(key)?;
            let result = aggregate_cell(group, &pick);
            self.aggregates.push(result);
            Some((x, mark(study, group, None, &result)))
        });
        numbers.collect()
    }

    /// Counts the cells of groups; what is missing in a sentence, empty when nothing is.
    pub fn missing<'g, 'r: 'g>(
        &mut self,
        groups: impl IntoIterator<Item = &'g &'g Group<'r>>,
    ) -> String {
        let groups = groups.into_iter();
        groups.for_each(|group| self.gaps.group(group));
        self.gaps.text().unwrap_or_default()
    }
}

/// The distinct values of a swept setting, ascending.
pub fn values<'g, 'r: 'g>(
    groups: impl IntoIterator<Item = &'g &'g Group<'r>>,
    key: &str,
) -> Vec<f64> {
    let mut values: Vec<f64> = groups.into_iter().filter_map(|g| g.number(key)).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

/// An axis of epochs from 1 to `last`, each with a tick.
pub fn epochs(last: f64) -> Axis {
    let mut axis = Axis::linear("Epoch", 0.5, last + 0.5);
    axis.ticks.retain(|(x, _)| x.fract() == 0.0);
    for (x, label) in &mut axis.ticks {
        *label = format!("{x}");
    }
    axis
}

/// The texts that are not empty, as the notes of a figure.
pub fn notes(texts: &[&str]) -> Vec<String> {
    let texts = texts.iter().filter(|text| !text.is_empty());
    texts.map(|text| (*text).to_owned()).collect()
}

/// Lines a panel shows that stand for settings, not for methods.
pub const MOST: usize = 8;

/// From dark to light, one a line: not the methods' colours.
const COLOURS: [Colour; MOST] = [
    [0x44, 0x01, 0x54],
    [0x46, 0x32, 0x7e],
    [0x36, 0x5c, 0x8d],
    [0x27, 0x7f, 0x8e],
    [0x1f, 0xa1, 0x87],
    [0x4a, 0xc1, 0x6d],
    [0x8f, 0xb0, 0x30],
    [0xc8, 0xa0, 0x20],
];
const MARKERS: [Marker; 4] = [Marker::Circle, Marker::Square, Marker::Up, Marker::Diamond];

/// One style for each of the names, of which there are [`MOST`] at most.
pub fn styles(names: impl ExactSizeIterator<Item = String>) -> Vec<Style> {
    let count = names.len();
    names
        .enumerate()
        .map(|(i, name)| Style {
            name,
            colour: COLOURS[i * MOST / count],
            marker: MARKERS[i % MARKERS.len()],
            dash: Dash::Solid,
        })
        .collect()
}
