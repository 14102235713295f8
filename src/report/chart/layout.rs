//! Where the parts of a figure are: panels in a grid with aligned plots, the legend below them, notes below that.
//!
//! plotters arranges one chart. It can neither align the plots of a column nor put a legend outside of a plot; over a
//! plot it covers lines, e.g. in the figure of the damping, which has twelve methods.

use super::font;
use super::{Chart, Entry, LABEL, Panel};

/// Width of every figure: what a README shows without scaling.
pub const WIDTH: f64 = 800.0;

/// Size of headings, pixels an em.
pub const TITLE: f64 = 15.0;
/// Size of tick labels.
pub const TICK: f64 = 12.5;
/// Size of notes.
pub const NOTE: f64 = 12.5;
/// Room to the right of a plot, for half of a tick label.
pub const RIGHT: f64 = 22.0;
/// Room below a plot, for its tick labels and the name of its axis.
pub const FOOT: f64 = TICK + LABEL + 16.0;
/// Left of the name of a vertical axis.
pub const LEFT: f64 = 5.0;
/// Between two rows of panels.
const GAP: f64 = 10.0;
/// Of a line of a heading.
pub const HEADING: f64 = TITLE + 4.0;
/// Of a line of the legend.
pub const ROW: f64 = 22.0;
/// Of a line of the notes.
pub const LINE: f64 = 18.0;

/// Left, top, right, bottom in pixels.
pub type Bounds = [f64; 4];

/// Where a panel is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The panel with its texts.
    pub bounds: Bounds,
    /// Between its axes.
    pub plot: Bounds,
    /// The lines of its heading.
    pub heading: Vec<String>,
}

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Layout<'c> {
    /// Panels.
    pub panels: Vec<Place>,
    /// Entries of the legend with the middle of their left end.
    pub legend: Vec<(&'c Entry, (f64, f64))>,
    /// Lines of the notes with the middle of their left end.
    pub notes: Vec<(String, (f64, f64))>,
    /// Height of the figure.
    pub height: f64,
}

impl<'c> Layout<'c> {
    /// Arranges the parts of a figure.
    pub fn new(chart: &'c Chart) -> Self {
        let columns = chart.columns.clamp(1, chart.panels.len().max(1));
        let margins: Vec<f64> = (0..columns)
            .map(|column| {
                let own = chart.panels.iter().skip(column).step_by(columns);
                own.map(margin).fold(0.0, f64::max)
            })
            .collect();
        // Plots are equally wide, whatever stands to their left.
        let width = (WIDTH - margins.iter().sum::<f64>()) / columns as f64 - RIGHT;
        let headings: Vec<Vec<String>> = chart
            .panels
            .iter()
            .map(|panel| font::wrap(&panel.title, TITLE, width))
            .collect();
        let lines = headings.iter().map(Vec::len).max().unwrap_or(0);
        let heading = lines as f64 * HEADING + 10.0;
        let row = heading + chart.height + FOOT + GAP;
        let panels = headings.into_iter().enumerate().map(|(i, lines)| {
            let column = i % columns;
            let left = margins[..column].iter().sum::<f64>() + column as f64 * (width + RIGHT);
            let top = 8.0 + (i / columns) as f64 * row;
            let plot = [
                left + margins[column],
                top + heading,
                left + margins[column] + width,
                top + heading + chart.height,
            ];
            Place {
                bounds: [left, top, plot[2] + RIGHT, plot[3] + FOOT + GAP],
                plot,
                heading: lines,
            }
        });
        let panels = panels.collect();
        let mut y = 8.0 + chart.panels.len().div_ceil(columns) as f64 * row;
        let mut legend = Vec::new();
        for row in legend_rows(&chart.legend) {
            let mut x = (WIDTH - row.iter().map(|entry| entry_width(entry)).sum::<f64>()) / 2.0;
            for entry in row {
                legend.push((entry, (x, y + 12.0)));
                x += entry_width(entry);
            }
            y += ROW;
        }
        if !legend.is_empty() {
            y += 8.0;
        }
        let mut notes = Vec::new();
        for note in &chart.notes {
            for line in font::wrap(note, NOTE, WIDTH - 32.0) {
                notes.push((line, (16.0, y + 10.0)));
                y += LINE;
            }
        }
        Self {
            panels,
            legend,
            notes,
            height: (y + 10.0).ceil(),
        }
    }
}

/// Room to the left of a plot: its tick labels, and the name of its axis.
fn margin(panel: &Panel) -> f64 {
    let labels = panel.y.ticks.iter();
    let widest = labels.map(|(_, label)| font::width(label, TICK));
    widest.fold(0.0, f64::max) + if panel.y.title.is_empty() { 18.0 } else { 38.0 }
}

fn entry_width(entry: &Entry) -> f64 {
    34.0 + font::width(&entry.name, LABEL) + 22.0
}

/// Breaks the legend into rows that fit.
fn legend_rows(entries: &[Entry]) -> Vec<Vec<&Entry>> {
    let mut rows: Vec<Vec<&Entry>> = Vec::new();
    let mut used = f64::INFINITY;
    for entry in entries {
        let width = entry_width(entry);
        if used + width > WIDTH - 16.0 {
            rows.push(Vec::new());
            used = 0.0;
        }
        used += width;
        if let Some(row) = rows.last_mut() {
            row.push(entry);
        }
    }
    rows
}
