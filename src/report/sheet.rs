//! A sheet: panels in a grid with aligned axes, a legend below them, and notes below that.

use super::axis::{Axis, Scale};
use super::font;
use super::marks::{Mark, Origin, Part, Place, Said};
use super::palette::{Colour, Dash, GREY, GRID, INK, Style, WHITE};
use super::scene::{Anchor, Scene};
use super::series::LABEL;

pub use super::series::{Entry, Point, short_name};

/// Width of every figure: what a README shows without scaling.
pub const WIDTH: f64 = 800.0;

const TITLE: f64 = 15.0;
const TICK: f64 = 12.5;
const NOTE: f64 = 12.5;

/// Room to the right of a plot, for half of a tick label.
const RIGHT: f64 = 22.0;

/// A panel before it has a place.
#[derive(Clone, Debug)]
pub struct PanelSpec {
    /// Heading.
    pub title: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
}

/// A panel in its place.
#[derive(Clone, Debug)]
struct Panel {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
    x: Axis,
    y: Axis,
}

/// A sheet being drawn.
#[derive(Debug)]
pub struct Sheet {
    scene: Scene,
    panels: Vec<Panel>,
}

impl Sheet {
    /// Lays out the panels in `columns` columns, each row `plot_height` pixels high without its axis
    /// texts, and draws frames, legend and notes.
    pub fn new(
        columns: usize,
        plot_height: f64,
        specs: Vec<PanelSpec>,
        legend: &[Entry],
        notes: &[String],
    ) -> Self {
        let columns = columns.clamp(1, specs.len().max(1));
        let widest = |spec: &PanelSpec| {
            spec.y
                .ticks
                .iter()
                .map(|(_, label)| font::width(label, TICK))
                .fold(0.0, f64::max)
        };
        let margins: Vec<f64> = (0..columns)
            .map(|column| {
                let of_column = specs.iter().skip(column).step_by(columns);
                of_column
                    .map(|spec| widest(spec) + if spec.y.title.is_empty() { 18.0 } else { 38.0 })
                    .fold(0.0, f64::max)
            })
            .collect();
        // Plots are equally wide, whatever stands to their left.
        let plot_width = (WIDTH - margins.iter().sum::<f64>()) / columns as f64 - RIGHT;
        let cell_left = |column: usize| {
            margins[..column].iter().sum::<f64>() + column as f64 * (plot_width + RIGHT)
        };
        let headings: Vec<Vec<String>> = specs
            .iter()
            .map(|spec| font::wrap(&spec.title, TITLE, plot_width))
            .collect();
        let heading = headings.iter().map(|lines| lines.len()).max().unwrap_or(0) as f64
            * (TITLE + 4.0)
            + 10.0;
        let foot = TICK + LABEL + 26.0;
        let row_height = heading + plot_height + foot;
        let rows = specs.len().div_ceil(columns);

        let entries = legend_rows(legend);
        let note_lines: Vec<String> = notes
            .iter()
            .flat_map(|note| font::wrap(note, NOTE, WIDTH - 32.0))
            .collect();
        let legend_height = if entries.is_empty() {
            0.0
        } else {
            entries.len() as f64 * 22.0 + 8.0
        };
        let notes_height = if note_lines.is_empty() {
            0.0
        } else {
            note_lines.len() as f64 * 18.0 + 6.0
        };
        let height = 8.0 + rows as f64 * row_height + legend_height + notes_height + 6.0;

        let mut sheet = Self {
            scene: Scene::new(WIDTH, height.ceil()),
            panels: Vec::new(),
        };
        for (i, spec) in specs.into_iter().enumerate() {
            let (row, column) = (i / columns, i % columns);
            let top = 8.0 + row as f64 * row_height + heading;
            let left = cell_left(column) + margins[column];
            let panel = Panel {
                left,
                top,
                right: left + plot_width,
                bottom: top + plot_height,
                x: spec.x,
                y: spec.y,
            };
            sheet.scene.begin(Place::Panel(i), None, None);
            let lines = &headings[i];
            for (line, text) in lines.iter().enumerate() {
                let up = (lines.len() - line) as f64 * (TITLE + 4.0) - TITLE / 2.0 + 4.0;
                sheet.scene.text(
                    ((panel.left + panel.right) / 2.0, top - up),
                    text.clone(),
                    TITLE,
                    Anchor::Middle,
                    INK,
                );
            }
            sheet.scene.parts.panels.push(Part {
                bounds: [
                    cell_left(column),
                    top - heading,
                    panel.right + RIGHT,
                    panel.bottom + foot,
                ],
                title: spec.title,
                x: panel.x.title.clone(),
                y: panel.y.title.clone(),
                joined: panel.y.title.is_empty() && column > 0,
            });
            sheet.frame(&panel, cell_left(column));
            sheet.panels.push(panel);
        }
        sheet.scene.parts.legend = legend.to_vec();
        sheet.scene.begin(Place::Legend, None, None);
        let mut y = 8.0 + rows as f64 * row_height + 12.0;
        for row in entries {
            let total: f64 = row.iter().map(|entry| entry_width(entry)).sum();
            let mut x = (WIDTH - total) / 2.0;
            for entry in row {
                if let Some(dash) = entry.dash {
                    sheet
                        .scene
                        .line(&[(x, y), (x + 28.0, y)], entry.colour, 2.0, dash);
                }
                if let Some(marker) = entry.marker {
                    sheet.scene.marker((x + 14.0, y), marker, 4.2, entry.colour);
                }
                sheet
                    .scene
                    .text((x + 34.0, y), entry.name.clone(), LABEL, Anchor::Start, INK);
                x += entry_width(entry);
            }
            y += 22.0;
        }
        sheet.scene.parts.notes = notes.to_vec();
        sheet.scene.begin(Place::Note, None, None);
        let mut y = 8.0 + rows as f64 * row_height + legend_height + 10.0;
        for line in note_lines {
            sheet.scene.text((16.0, y), line, NOTE, Anchor::Start, GREY);
            y += 18.0;
        }
        sheet.end();
        sheet
    }

    /// What is drawn next belongs to no point or panel that was named.
    fn end(&mut self) {
        self.scene.begin(Place::Anywhere, None, None);
    }

    /// The finished scene.
    pub fn finish(self) -> Scene {
        self.scene
    }

    fn frame(&mut self, panel: &Panel, cell_left: f64) {
        let scene = &mut self.scene;
        let categories = panel.y.title.is_empty();
        let x_at = |value: f64| panel.left + panel.x.position(value) * (panel.right - panel.left);
        let y_at = |value: f64| panel.bottom - panel.y.position(value) * (panel.bottom - panel.top);
        for (value, label) in panel
            .y
            .ticks
            .iter()
            .filter(|(value, _)| panel.y.shows(*value))
        {
            let y = y_at(*value);
            scene.line(&[(panel.left, y), (panel.right, y)], GRID, 1.0, Dash::Solid);
            scene.text((panel.left - 7.0, y), label.clone(), TICK, Anchor::End, INK);
        }
        let mut taken = f64::NEG_INFINITY;
        for (value, label) in panel
            .x
            .ticks
            .iter()
            .filter(|(value, _)| panel.x.shows(*value))
        {
            let x = x_at(*value);
            scene.line(&[(x, panel.top), (x, panel.bottom)], GRID, 1.0, Dash::Solid);
            scene.line(
                &[(x, panel.bottom), (x, panel.bottom + 4.0)],
                INK,
                1.0,
                Dash::Solid,
            );
            let half = font::width(label, TICK) / 2.0;
            if x - half > taken + 6.0 {
                scene.text(
                    (x, panel.bottom + 14.0),
                    label.clone(),
                    TICK,
                    Anchor::Middle,
                    INK,
                );
                taken = x + half;
            }
        }
        let corners = [
            (panel.left, panel.top),
            (panel.left, panel.bottom),
            (panel.right, panel.bottom),
        ];
        scene.line(&corners, INK, 1.2, Dash::Solid);
        scene.text(
            ((panel.left + panel.right) / 2.0, panel.bottom + 34.0),
            panel.x.title.clone(),
            LABEL,
            Anchor::Middle,
            INK,
        );
        if !categories {
            scene.text_upwards(
                (cell_left + 14.0, (panel.top + panel.bottom) / 2.0),
                panel.y.title.clone(),
                LABEL,
                INK,
            );
        }
    }

    /// Pixel of a point of panel `i`; points beyond the axes are held at the frame.
    fn pixel(&self, i: usize, (x, y): (f64, f64)) -> (f64, f64) {
        let panel = &self.panels[i];
        let x = panel.left + panel.x.position(x) * (panel.right - panel.left);
        (
            x,
            panel.bottom - panel.y.position(y) * (panel.bottom - panel.top),
        )
    }

    /// Whether panel `i` can show the point.
    pub fn shows(&self, i: usize, (x, y): (f64, f64)) -> bool {
        let panel = &self.panels[i];
        let positive = |axis: &Axis, value: f64| axis.scale == Scale::Linear || value > 0.0;
        x.is_finite() && y.is_finite() && positive(&panel.x, x) && positive(&panel.y, y)
    }

    /// A line through points, with an opacity.
    pub fn line(
        &mut self,
        i: usize,
        points: &[(f64, f64)],
        colour: Colour,
        width: f64,
        dash: Dash,
        opacity: f64,
    ) {
        self.scene.begin(Place::Panel(i), None, None);
        self.stroke(i, points, colour, width, dash, opacity);
    }

    /// A method's curve without points, which leads to the records that it is drawn from.
    pub fn curve(
        &mut self,
        i: usize,
        points: &[(f64, f64)],
        style: &Style,
        width: f64,
        origin: Option<Origin>,
    ) {
        let said = Said {
            series: style.name.clone(),
            numbers: String::new(),
            origin,
        };
        let key = self.key(style);
        self.scene.begin(Place::Panel(i), key, Some(said));
        self.stroke(i, points, style.colour, width, style.dash, 1.0);
    }

    fn stroke(
        &mut self,
        i: usize,
        points: &[(f64, f64)],
        colour: Colour,
        width: f64,
        dash: Dash,
        opacity: f64,
    ) {
        let mut points: Vec<(f64, f64)> =
            points.iter().map(|point| self.pixel(i, *point)).collect();
        // a line within half a pixel of upright is drawn upright: plotters joins the edges of a thick line at
        // their intersection, which for nearly parallel ones lies far outside the figure
        for at in 1..points.len() {
            if (points[at].0 - points[at - 1].0).abs() < 0.5 {
                points[at].0 = points[at - 1].0;
            }
        }
        self.scene
            .line_with_opacity(&points, colour, width, dash, opacity);
        self.end();
    }

    /// A band between two curves over the same abscissae.
    pub fn band(&mut self, i: usize, lower: &[(f64, f64)], upper: &[(f64, f64)], colour: Colour) {
        let points = lower
            .iter()
            .chain(upper.iter().rev())
            .map(|point| self.pixel(i, *point))
            .collect();
        self.scene.begin(Place::Panel(i), None, None);
        self.scene.area(points, colour, 0.13);
        self.end();
    }

    /// A method's series over x: markers with vertical intervals, joined where neighbours are defined.
    ///
    /// `dodge` pixels to the right keep overlapping intervals of several methods apart.
    pub fn series<P: Clone + Into<Mark>>(
        &mut self,
        i: usize,
        points: &[(f64, Option<P>)],
        style: &Style,
        dodge: f64,
    ) {
        let placed: Vec<Option<Placed>> = points
            .iter()
            .map(|(x, point)| {
                let mark: Mark = point.clone()?.into();
                if !self.shows(i, (*x, mark.point.value)) {
                    return None;
                }
                let (px, py) = self.pixel(i, (*x, mark.point.value));
                Some((*x, (px + dodge, py), mark))
            })
            .collect();
        let key = self.key(style);
        self.scene.begin(Place::Panel(i), key, None);
        for run in placed.split(Option::is_none) {
            let line: Vec<(f64, f64)> = run.iter().flatten().map(|(_, at, _)| *at).collect();
            self.scene.line(&line, style.colour, 2.0, style.dash);
        }
        for (value, (x, y), mark) in placed.into_iter().flatten() {
            let panel = &self.panels[i];
            let said = Said {
                series: style.name.clone(),
                numbers: format!("{}: {}", panel.x.show(value), words(&panel.y, &mark.point)),
                origin: mark.origin,
            };
            self.scene.begin(Place::Panel(i), key, Some(said));
            let point = mark.point;
            if let Some((low, high)) = point.interval {
                let panel = &self.panels[i];
                let at = |value: f64| {
                    panel.bottom - panel.y.position(value) * (panel.bottom - panel.top)
                };
                let caps = [
                    (at(low), panel.y.shows(low)),
                    (at(high), panel.y.shows(high)),
                ];
                self.interval(
                    (x, caps[0].0),
                    (x, caps[1].0),
                    [caps[0].1, caps[1].1],
                    style.colour,
                );
            }
            self.scene.marker((x, y), style.marker, 4.2, style.colour);
        }
        self.end();
    }

    /// One marker with a horizontal and a vertical interval, whichever there are.
    pub fn point(&mut self, i: usize, x: impl Into<Mark>, y: impl Into<Mark>, style: &Style) {
        let (x, y): (Mark, Mark) = (x.into(), y.into());
        if !self.shows(i, (x.point.value, y.point.value)) {
            return;
        }
        let panel = self.panels[i].clone();
        let across = words(&panel.x, &x.point);
        let numbers = if panel.y.title.is_empty() {
            format!("{}: {across}", panel.x.title)
        } else {
            format!("{across}; {}", words(&panel.y, &y.point))
        };
        let said = Said {
            series: style.name.clone(),
            numbers,
            origin: x.origin.or(y.origin),
        };
        let key = self.key(style);
        self.scene.begin(Place::Panel(i), key, Some(said));
        let (x, y) = (x.point, y.point);
        if let Some((low, high)) = x.interval {
            let (from, to) = (
                self.pixel(i, (low, y.value)),
                self.pixel(i, (high, y.value)),
            );
            self.interval(
                from,
                to,
                [panel.x.shows(low), panel.x.shows(high)],
                style.colour,
            );
        }
        if let Some((low, high)) = y.interval {
            let (from, to) = (
                self.pixel(i, (x.value, low)),
                self.pixel(i, (x.value, high)),
            );
            self.interval(
                from,
                to,
                [panel.y.shows(low), panel.y.shows(high)],
                style.colour,
            );
        }
        let at = self.pixel(i, (x.value, y.value));
        self.scene.marker(at, style.marker, 5.0, style.colour);
        self.end();
    }

    /// A filled bar along x in the row at y, `height` pixels high, its middle `down` pixels below the row's.
    pub fn bar(
        &mut self,
        i: usize,
        (from, to): (f64, f64),
        y: f64,
        (down, height): (f64, f64),
        colour: Colour,
        said: Said,
    ) {
        let (from, middle) = self.pixel(i, (from, y));
        let (to, _) = self.pixel(i, (to, y));
        let (top, bottom) = (middle + down - height / 2.0, middle + down + height / 2.0);
        let corners = [(from, top), (to, top), (to, bottom), (from, bottom)];
        self.scene.begin(Place::Panel(i), None, Some(said));
        self.scene.area(corners.to_vec(), colour, 1.0);
        self.end();
    }

    /// A thin interval along x in the row at y, `down` pixels below its middle, to be read on any colour.
    pub fn thin_interval(&mut self, i: usize, (low, high): (f64, f64), y: f64, down: f64) {
        let shown = [low, high].map(|x| self.x_shows(i, x));
        let [(from, middle), (to, _)] = [low, high].map(|x| self.pixel(i, (x, y)));
        let at = middle + down;
        self.scene.begin(Place::Panel(i), None, None);
        for (colour, width) in [(WHITE, 3.4), (INK, 1.2)] {
            let mut stroke = |points: &[(f64, f64)]| {
                self.scene.line(points, colour, width, Dash::Solid);
            };
            stroke(&[(from, at), (to, at)]);
            for (x, _) in [from, to]
                .into_iter()
                .zip(shown)
                .filter(|(_, shown)| *shown)
            {
                stroke(&[(x, at - 2.5), (x, at + 2.5)]);
            }
        }
        self.end();
    }

    /// A marker with a horizontal interval in the row at y, `down` pixels below its middle.
    pub fn mark(&mut self, i: usize, x: impl Into<Mark>, y: f64, down: f64, style: &Style) {
        let mark: Mark = x.into();
        let panel = &self.panels[i];
        let said = Said {
            series: style.name.clone(),
            numbers: format!("{}: {}", panel.x.title, words(&panel.x, &mark.point)),
            origin: mark.origin,
        };
        let x = mark.point;
        let key = self.key(style);
        self.scene.begin(Place::Panel(i), key, Some(said));
        let (at, middle) = self.pixel(i, (x.value, y));
        if let Some((low, high)) = x.interval {
            let caps = [low, high].map(|x| self.x_shows(i, x));
            let [(from, _), (to, _)] = [low, high].map(|x| self.pixel(i, (x, y)));
            let y = middle + down;
            self.interval((from, y), (to, y), caps, style.colour);
        }
        let at = (at, middle + down);
        self.scene.marker(at, style.marker, 4.6, style.colour);
        self.end();
    }

    /// Whether panel `i`'s horizontal axis reaches the value.
    pub fn x_shows(&self, i: usize, x: f64) -> bool {
        self.panels[i].x.shows(x)
    }

    /// A word at the left end of a row that has no point.
    pub fn annotate_left(&mut self, i: usize, y: f64, text: &str) {
        let (x, y) = self.pixel(i, (self.panels[i].x.low, y));
        self.scene.begin(Place::Panel(i), None, None);
        self.scene
            .text((x + 8.0, y), text, TICK, Anchor::Start, GREY);
        self.end();
    }

    /// The entry of the legend that this look belongs to.
    fn key(&self, style: &Style) -> Option<usize> {
        let name = short_name(style);
        let mut entries = self.scene.parts.legend.iter();
        entries.position(|entry| entry.name == name)
    }

    /// A straight interval with caps at the ends that are within the panel.
    fn interval(&mut self, from: (f64, f64), to: (f64, f64), caps: [bool; 2], colour: Colour) {
        self.scene.line(&[from, to], colour, 1.4, Dash::Solid);
        let horizontal = (to.0 - from.0).abs() > (to.1 - from.1).abs();
        let (dx, dy) = if horizontal { (0.0, 4.0) } else { (4.0, 0.0) };
        for (end, cap) in [from, to].into_iter().zip(caps) {
            if cap {
                self.scene.line(
                    &[(end.0 - dx, end.1 - dy), (end.0 + dx, end.1 + dy)],
                    colour,
                    1.4,
                    Dash::Solid,
                );
            }
        }
    }
}

/// A mark of a series: its x, its pixel, and what it is.
type Placed = (f64, (f64, f64), Mark);

/// `0.912 [0.900, 0.925]`
fn words(axis: &Axis, point: &Point) -> String {
    let value = axis.show(point.value);
    match point.interval {
        Some((low, high)) => format!("{value} [{}, {}]", axis.show(low), axis.show(high)),
        None => value,
    }
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
