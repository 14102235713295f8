//! Draws a figure, or a part of it, on a backend of plotters.

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::layout::{FOOT, HEADING, LEFT, Layout, NOTE, RIGHT, TICK, TITLE};
use super::{
    Axis, Chart, DataPoint, Entry, LABEL, Layer, NAME, Paint, Panel, RecordRef, Stroke, font,
};
use crate::report::error::ReportError;
use crate::report::number;
use crate::report::palette::{Colour, Dash, GREY, GRID, INK, Marker};

type Drawn = Result<(), ReportError>;
type Pixel = (i32, i32);

/// Radius of the markers of a line, and of separate ones.
const RADIUS: [f64; 2] = [4.2, 5.0];

/// What the shapes drawn next stand for: the page makes groups and links of it, files ignore it.
#[derive(Debug)]
pub struct Meaning<'a> {
    /// Name of the series.
    pub series: &'a str,
    /// Its colour.
    pub colour: Colour,
    /// Its entry of the legend.
    pub key: Option<usize>,
    /// The method that it shows.
    pub method: Option<usize>,
    /// Numbers of a point (empty for a curve) and their records.
    pub link: Option<(String, &'a RecordRef)>,
}

/// Where a figure is drawn.
pub struct Canvas<'c, B: DrawingBackend> {
    /// The drawing area of plotters, `scale` times as large as the figure.
    pub area: DrawingArea<B, Shift>,
    /// plotters' whole pixels per pixel of the figure.
    pub scale: f64,
    /// plotters' text size of one em.
    pub em: f64,
    /// How far, in em, the backend draws vertically centred capitals too high.
    pub drop: f64,
    /// Told what comes next.
    pub begin: &'c dyn Fn(Option<&Meaning>),
}

impl<B: DrawingBackend> Canvas<'_, B> {
    /// The whole figure.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn figure(&self, chart: &Chart, layout: &Layout) -> Drawn {
        self.area.fill(&WHITE).map_err(drawing)?;
        for panel in 0..chart.panels.len() {
            self.panel(chart, layout, panel)?;
        }
        for (entry, (x, y)) in &layout.legend {
            self.sample(entry, (*x, *y), 28.0)?;
            let at = self.pixel((x + 34.0, *y));
            self.text(at, &entry.name, LABEL, HPos::Left, INK)?;
        }
        for (line, at) in &layout.notes {
            self.text(self.pixel(*at), line, NOTE, HPos::Left, GREY)?;
        }
        Ok(())
    }

    /// One panel.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn panel(&self, chart: &Chart, layout: &Layout, i: usize) -> Drawn {
        let (panel, place) = (&chart.panels[i], &layout.panels[i]);
        let [left, _, right, _] = place.bounds;
        let plot = place.plot;
        for (line, text) in place.heading.iter().enumerate() {
            let up = (place.heading.len() - line) as f64 * HEADING - TITLE / 2.0 + 4.0;
            let at = self.pixel(((plot[0] + plot[2]) / 2.0, plot[1] - up));
            self.text(at, text, TITLE, HPos::Center, INK)?;
        }
        let x = panel.x.without_overlaps(plot[2] - plot[0], TICK);
        let cell = self.area.clone().shrink(
            self.pixel((left, plot[1])),
            self.pixel((right - left, plot[3] - plot[1] + FOOT)),
        );
        let mut context = ChartBuilder::on(&cell)
            .margin_left(self.size(LEFT))
            .margin_right(self.size(RIGHT))
            .x_label_area_size(self.size(FOOT))
            .y_label_area_size(self.size(plot[0] - left - LEFT))
            .build_cartesian_2d(x.clone(), panel.y.clone())
            .map_err(drawing)?;
        let (of_x, of_y) = (|v: &f64| x.tick(*v), |v: &f64| panel.y.tick(*v));
        let grid = rgb(GRID).stroke_width(self.size(1.0) as u32);
        let mut mesh = context.configure_mesh();
        mesh.axis_style(rgb(INK).stroke_width(self.size(1.2) as u32))
            .bold_line_style(grid)
            .light_line_style(grid)
            .label_style(self.font(TICK, INK))
            .axis_desc_style(self.font(LABEL, INK))
            .set_all_tick_mark_size(self.size(4.0))
            .y_label_offset(self.size(self.drop * TICK))
            .x_label_formatter(&of_x)
            .y_label_formatter(&of_y)
            .x_desc(&panel.x.title);
        if !panel.y.title.is_empty() {
            mesh.y_desc(&panel.y.title);
        }
        mesh.draw().map_err(drawing)?;
        for layer in &panel.layers {
            let at = |x: f64, y: f64| context.backend_coord(&(x, y));
            self.layer(chart, panel, layer, &at)?;
            (self.begin)(None);
        }
        Ok(())
    }

    fn layer(
        &self,
        chart: &Chart,
        Panel { x, y, .. }: &Panel,
        layer: &Layer,
        at: &dyn Fn(f64, f64) -> Pixel,
    ) -> Drawn {
        match layer {
            Layer::Points {
                style,
                points,
                joined,
                dodge,
            } => {
                let shown = |(px, py): &&Point| x.can_show(px.value) && y.can_show(py.value);
                let points = points.iter().map(|point| point.as_ref().filter(shown));
                let points: Vec<Option<&Point>> = points.collect();
                let dodge = self.size(*dodge);
                let at = |x: f64, y: f64| (at(x, y).0 + dodge, at(x, y).1);
                let first = points.iter().flatten().find_map(|point| record(point));
                let mut meaning = Meaning {
                    series: &style.name,
                    colour: style.look.colour,
                    key: key(chart, &style.name),
                    method: first.and_then(|record| record.method),
                    link: None,
                };
                (self.begin)(Some(&meaning));
                if *joined {
                    let stroke = Stroke::new(style.look.colour, 2.0, style.look.dash);
                    for run in points.split(Option::is_none) {
                        let run = run.iter().flatten();
                        self.stroke(run.map(|(x, y)| at(x.value, y.value)).collect(), stroke)?;
                    }
                }
                for point in points.into_iter().flatten() {
                    let (px, py) = point;
                    let numbers = match (y.title.is_empty(), joined) {
                        (true, _) => format!("{}: {}", x.title, words(x, x.show(px.value), px)),
                        (_, joined) => format!(
                            "{}{} {}",
                            words(x, x.show_tick(px.value), px),
                            if *joined { ':' } else { ';' },
                            words(y, y.show(py.value), py)
                        ),
                    };
                    meaning.link = record(point).map(|record| (numbers, record));
                    (self.begin)(Some(&meaning));
                    if let Some((low, high)) = px.interval {
                        let ends = [at(low, py.value), at(high, py.value)];
                        self.interval(ends, [x.shows(low), x.shows(high)], style.look.colour)?;
                    }
                    if let Some((low, high)) = py.interval {
                        let ends = [at(px.value, low), at(px.value, high)];
                        self.interval(ends, [y.shows(low), y.shows(high)], style.look.colour)?;
                    }
                    let radius = RADIUS[usize::from(!joined)];
                    self.marker(
                        at(px.value, py.value),
                        style.look.marker,
                        radius,
                        style.look.colour,
                    )?;
                }
                Ok(())
            }
            Layer::Shape {
                points,
                paint,
                series,
            } => {
                let (Paint::Stroke(Stroke { colour, .. }) | Paint::Fill(colour, _)) = *paint;
                let meaning = series.as_ref().map(|(name, numbers, record)| Meaning {
                    series: name,
                    colour,
                    key: key(chart, name),
                    method: record.method,
                    link: Some((numbers.clone(), record)),
                });
                (self.begin)(meaning.as_ref());
                let points = points
                    .iter()
                    .filter(|(px, py)| x.can_show(*px) && y.can_show(*py));
                let points = points.map(|&(x, y)| at(x, y)).collect();
                match *paint {
                    Paint::Stroke(stroke) => self.stroke(points, stroke),
                    Paint::Fill(colour, opacity) => self.fill(points, colour, opacity),
                }
            }
            Layer::Word { y, text } => {
                let (left, middle) = at(x.low, *y);
                let at = (left + self.size(8.0), middle);
                self.text(at, text, TICK, HPos::Left, GREY)
            }
        }
    }

    /// The sample of a legend's entry: its line, `length` pixels long, and its marker.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn sample(&self, entry: &Entry, (x, y): (f64, f64), length: f64) -> Drawn {
        if let Some(dash) = entry.dash {
            let ends = [(x, y), (x + length, y)].map(|at| self.pixel(at));
            self.stroke(ends.to_vec(), Stroke::new(entry.colour, 2.0, dash))?;
        }
        let at = self.pixel((x + length / 2.0, y));
        let marker = entry.marker;
        marker.map_or(Ok(()), |marker| {
            self.marker(at, marker, RADIUS[0], entry.colour)
        })
    }

    /// A straight interval with caps at the ends that the axis reaches. plotters' `ErrorBar` also draws a circle
    /// around the mean, and a cap where the axis cuts the interval (the figure of the rank with three seeds).
    fn interval(&self, ends: [Pixel; 2], caps: [bool; 2], colour: Colour) -> Drawn {
        let stroke = Stroke::new(colour, 1.4, Dash::Solid);
        self.stroke(ends.to_vec(), stroke)?;
        let [from, to] = ends;
        let horizontal = (to.0 - from.0).abs() > (to.1 - from.1).abs();
        let half = self.size(4.0);
        let (dx, dy) = if horizontal { (0, half) } else { (half, 0) };
        for ((x, y), _) in ends.into_iter().zip(caps).filter(|(_, cap)| *cap) {
            self.stroke(vec![(x - dx, y - dy), (x + dx, y + dy)], stroke)?;
        }
        Ok(())
    }

    fn stroke(&self, mut points: Vec<Pixel>, stroke: Stroke) -> Drawn {
        // plotters' bitmaps join the edges of a thick line where they intersect, which for nearly parallel edges is
        // far outside of the figure (detection curves that rise at once): what is nearly upright is drawn upright
        for at in 1..points.len() {
            if (points[at].0 - points[at - 1].0).abs() < self.size(0.5) {
                points[at].0 = points[at - 1].0;
            }
        }
        points.dedup();
        if points.len() < 2 {
            return Ok(());
        }
        let width = self.size(stroke.width).max(1) as u32;
        let style = rgb(stroke.colour).mix(stroke.opacity).stroke_width(width);
        let area = &self.area;
        let drawn = match stroke.dash.lengths() {
            None => area.draw(&PathElement::new(points, style)),
            Some(lengths) => {
                let [dash, gap] = lengths.map(|length| self.size(length));
                area.draw(&DashedPathElement::new(points, dash, gap, style))
            }
        };
        drawn.map_err(drawing)
    }

    fn fill(&self, points: Vec<Pixel>, colour: Colour, opacity: f64) -> Drawn {
        let style = rgb(colour).mix(opacity).filled();
        let polygon = Polygon::new(points, style);
        self.area.draw(&polygon).map_err(drawing)
    }

    /// A marker of about `2·radius` across. Of plotters' own markers (circle, triangle, cross) there are too few.
    fn marker(&self, (x, y): Pixel, marker: Marker, radius: f64, colour: Colour) -> Drawn {
        let at = |(dx, dy): (f64, f64)| (x + self.size(dx * radius), y + self.size(dy * radius));
        let strokes = |ends: [[(f64, f64); 2]; 2]| {
            let stroke = Stroke::new(colour, 2.2, Dash::Solid);
            let mut ends = ends.into_iter();
            ends.try_for_each(|ends| self.stroke(ends.map(at).to_vec(), stroke))
        };
        let polygon: &[(f64, f64)] = match marker {
            Marker::Circle => {
                let circle = Circle::new((x, y), self.size(radius), rgb(colour).filled());
                return self.area.draw(&circle).map_err(drawing);
            }
            Marker::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Marker::Diamond => &[(0.0, -1.25), (1.1, 0.0), (0.0, 1.25), (-1.1, 0.0)],
            Marker::Up => &[(0.0, -1.2), (1.15, 0.85), (-1.15, 0.85)],
            Marker::Down => &[(0.0, 1.2), (1.15, -0.85), (-1.15, -0.85)],
            Marker::Cross => {
                return strokes([[(-0.8, -0.8), (0.8, 0.8)], [(-0.8, 0.8), (0.8, -0.8)]]);
            }
            Marker::Plus => return strokes([[(-1.1, 0.0), (1.1, 0.0)], [(0.0, -1.1), (0.0, 1.1)]]),
        };
        self.fill(polygon.iter().map(|of| at(*of)).collect(), colour, 1.0)
    }

    /// A text whose capitals are vertically centred on the point.
    fn text(&self, (x, y): Pixel, text: &str, em: f64, start: HPos, colour: Colour) -> Drawn {
        let style = self.font(em, colour).pos(Pos::new(start, VPos::Center));
        let text = Text::new(text, (x, y + self.size(self.drop * em)), style);
        self.area.draw(&text).map_err(drawing)
    }

    fn font(&self, em: f64, colour: Colour) -> TextStyle<'static> {
        let font = (font::FAMILY, em * self.em * self.scale).into_font();
        font.color(&rgb(colour))
    }

    fn size(&self, pixels: f64) -> i32 {
        (pixels * self.scale).round() as i32
    }

    fn pixel(&self, (x, y): (f64, f64)) -> Pixel {
        (self.size(x), self.size(y))
    }
}

/// The entry of the legend that a series belongs to.
fn key(chart: &Chart, name: &str) -> Option<usize> {
    let short = font::shorten(name, LABEL, NAME);
    let mut entries = chart.legend.iter();
    entries.position(|entry| entry.name == name || entry.name == short)
}

/// x and y.
type Point = (DataPoint, DataPoint);

/// The records of a point.
fn record((x, y): &Point) -> Option<&RecordRef> {
    x.record.as_ref().or(y.record.as_ref())
}

/// `0.912 [0.900, 0.925]`
fn words(axis: &Axis, value: String, point: &DataPoint) -> String {
    value + &number::ends(point.interval, |x| axis.show(x))
}

fn rgb([r, g, b]: Colour) -> RGBColor {
    RGBColor(r, g, b)
}

/// plotters' errors have a type a backend.
pub fn drawing(error: impl ToString) -> ReportError {
    ReportError::Drawing(error.to_string())
}
