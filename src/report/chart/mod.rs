//! A figure as plain data: panels with axes and layers, a legend and notes. [`draw`] draws it on any backend of plotters.
//!
//! ```text
//! Chart ─ layout → places ─ draw ─┬→ SVGBackend, BitMapBackend (files)
//!                                 └→ PageBackend (page/svg.rs): groups, tooltips, links
//! ```

mod axis;
mod draw;
mod files;
mod font;
mod layout;
#[cfg(test)]
mod texts;

use super::palette::{Colour, Dash, GREY, Marker, Style};

pub use axis::{Axis, AxisScale, Limits, UNLIMITED};
pub use draw::{Canvas, Meaning};
pub use files::{png, svg};
pub use layout::{Bounds, Layout};
#[cfg(test)]
pub use texts::check_texts;

/// Size of labels, pixels an em.
const LABEL: f64 = 13.5;

/// Longest name of a method in a legend or before a row, pixels.
const NAME: f64 = 260.0;

/// The records that a number comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRef {
    /// Id of the page's entry that lists the records.
    pub anchor: String,
    /// The method, by its position in the result set; `None` for what all methods share.
    pub method: Option<usize>,
    /// Records that the number stands on.
    pub records: usize,
}

/// A value with its interval and its records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataPoint {
    /// The value.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// Where it comes from; a point without is drawn, but links to nothing.
    pub record: Option<RecordRef>,
}

impl From<f64> for DataPoint {
    fn from(value: f64) -> Self {
        Self {
            value,
            ..Self::default()
        }
    }
}

impl DataPoint {
    /// With an interval.
    pub fn within(mut self, interval: Option<(f64, f64)>) -> Self {
        self.interval = interval;
        self
    }

    /// With the records it comes from.
    pub fn with_record(mut self, record: RecordRef) -> Self {
        self.record = Some(record);
        self
    }
}

/// Points over x; `None` where there is no value.
pub type Series = Vec<(f64, Option<DataPoint>)>;

/// The defined points of series, for the range of an axis.
pub fn points<'m>(
    series: impl IntoIterator<Item = &'m Series>,
) -> impl Iterator<Item = &'m DataPoint> {
    let all = series.into_iter().flatten();
    all.filter_map(|(_, point)| point.as_ref())
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    /// Colour.
    pub colour: Colour,
    /// Width in pixels.
    pub width: f64,
    /// Dash pattern.
    pub dash: Dash,
    /// Opacity, 0–1.
    pub opacity: f64,
}

impl Stroke {
    /// An opaque line.
    pub const fn new(colour: Colour, width: f64, dash: Dash) -> Self {
        Self {
            colour,
            width,
            dash,
            opacity: 1.0,
        }
    }

    /// A grey reference line.
    pub const fn reference(dash: Dash) -> Self {
        Self::new(GREY, 1.3, dash)
    }
}

/// How a shape is painted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Paint {
    /// Its outline is stroked.
    Stroke(Stroke),
    /// It is filled, with an opacity of 0–1.
    Fill(Colour, f64),
}

/// Something that a panel shows, in the coordinates of its axes. Layers are drawn in their order.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// Markers with intervals.
    Points {
        /// What they look like, and the name of their series.
        style: Style,
        /// x and y; `None` breaks the line.
        points: Vec<Option<(DataPoint, DataPoint)>>,
        /// Whether neighbours are joined by a line.
        joined: bool,
        /// Pixels to the right, so that intervals of several series do not cover one another.
        dodge: f64,
    },
    /// A line or a polygon.
    Shape {
        /// Its vertices.
        points: Vec<(f64, f64)>,
        /// Its look.
        paint: Paint,
        /// Name of the series that it shows, its numbers (may be empty) and records; `None` for a reference.
        series: Option<(String, String, RecordRef)>,
    },
    /// A word at the left end of a row.
    Word {
        /// The row.
        y: f64,
        /// The word.
        text: String,
    },
}

impl Layer {
    /// A series over x, its points joined where neighbours are defined.
    pub fn series(style: &Style, series: Series, dodge: f64) -> Self {
        let both = |(x, y): (f64, Option<DataPoint>)| Some((x.into(), y?));
        Self::Points {
            style: style.clone(),
            points: series.into_iter().map(both).collect(),
            joined: true,
            dodge,
        }
    }

    /// Separate points.
    pub fn dots(style: &Style, points: impl IntoIterator<Item = (DataPoint, DataPoint)>) -> Self {
        Self::Points {
            style: style.clone(),
            points: points.into_iter().map(Some).collect(),
            joined: false,
            dodge: 0.0,
        }
    }

    /// A word in a row.
    pub fn word(y: f64, text: &str) -> Self {
        let text = text.to_owned();
        Self::Word { y, text }
    }

    /// A shape that stands for no series.
    pub fn shape(points: impl Into<Vec<(f64, f64)>>, paint: Paint) -> Self {
        Self::Shape {
            points: points.into(),
            paint,
            series: None,
        }
    }

    /// A reference line.
    pub fn line(points: impl Into<Vec<(f64, f64)>>, stroke: Stroke) -> Self {
        Self::shape(points, Paint::Stroke(stroke))
    }

    /// A band between two curves over the same abscissae.
    pub fn band(lower: &[(f64, f64)], upper: &[(f64, f64)], colour: Colour) -> Self {
        let points: Vec<_> = lower.iter().chain(upper.iter().rev()).copied().collect();
        Self::shape(points, Paint::Fill(colour, 0.13))
    }

    /// A grey line at a value, drawn between the ends `at` gives it, over a band for its interval.
    pub fn level(value: &DataPoint, at: impl Fn(f64) -> [(f64, f64); 2]) -> Vec<Self> {
        let band = value
            .interval
            .map(|(low, high)| Self::band(&at(low), &at(high), GREY));
        let line = Self::line(at(value.value), Stroke::reference(Dash::Solid));
        band.into_iter().chain([line]).collect()
    }
}

/// Axes and what is drawn between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Heading; may be empty.
    pub title: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis; without a title when it has named rows.
    pub y: Axis,
    /// What is drawn.
    pub layers: Vec<Layer>,
}

impl Panel {
    /// Without layers.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self {
            title: title.into(),
            x,
            y,
            layers: Vec::new(),
        }
    }

    /// Ends of a vertical line, from the top.
    pub fn upright(&self, x: f64) -> [(f64, f64); 2] {
        [(x, self.y.high), (x, self.y.low)]
    }
}

/// A line of the legend.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Text.
    pub name: String,
    /// Colour.
    pub colour: Colour,
    /// Marker; a line without one otherwise.
    pub marker: Option<Marker>,
    /// Dash of the line; a marker alone otherwise.
    pub dash: Option<Dash>,
}

impl Entry {
    /// A line that no method draws.
    pub fn line(name: &str, colour: Colour, dash: Dash) -> Self {
        Self {
            name: name.to_owned(),
            colour,
            marker: None,
            dash: Some(dash),
        }
    }

    /// A method's line and marker.
    pub fn method(style: &Style) -> Self {
        Self {
            name: short_name(style),
            colour: style.look.colour,
            marker: Some(style.look.marker),
            dash: Some(style.look.dash),
        }
    }

    /// A method's marker alone.
    pub fn dot(style: &Style) -> Self {
        Self {
            dash: None,
            ..Self::method(style)
        }
    }
}

/// A method's name, cut when it is too long for a figure.
pub fn short_name(style: &Style) -> String {
    font::shorten(&style.name, LABEL, NAME)
}

/// A figure before it is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// Columns of the grid of panels.
    pub columns: usize,
    /// Height of every plot in pixels, without titles and axis labels.
    pub height: f64,
    /// Panels, row by row.
    pub panels: Vec<Panel>,
    /// Legend below the panels.
    pub legend: Vec<Entry>,
    /// Notes below the legend.
    pub notes: Vec<String>,
}
