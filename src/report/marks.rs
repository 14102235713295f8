//! What the shapes of a figure stand for: panels, the legend's entries, points and where they come from.
//!
//! A backend that draws a picture needs none of this; the page takes it to lay panels out for any width
//! and to link every point to the records behind it.

use super::series::{Entry, Point, Series};

/// Where a number comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Id of the page's entry that lists the records.
    pub anchor: String,
    /// The method, by its position in the study; `None` for what all methods share.
    pub method: Option<usize>,
    /// Records that the number stands on.
    pub records: usize,
}

/// A point with its origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Value and interval.
    pub point: Point,
    /// Where it comes from; a point without is drawn, but leads nowhere.
    pub origin: Option<Origin>,
}

impl From<Point> for Mark {
    fn from(point: Point) -> Self {
        Self {
            point,
            origin: None,
        }
    }
}

/// Points over x with their origins; `None` where there is no value.
pub type Marks = Series<Mark>;

/// Where on a figure a shape stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Wherever its coordinates are.
    Anywhere,
    /// On a panel.
    Panel(usize),
    /// In the legend.
    Legend,
    /// In the notes below it.
    Note,
}

/// A point, or a curve, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What it belongs to: a method, a setting.
    pub series: String,
    /// Its numbers, with the interval; empty for a curve.
    pub numbers: String,
    /// Where it comes from.
    pub origin: Option<Origin>,
}

/// Consecutive shapes with one meaning; it reaches to the next run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Index of its first shape.
    pub start: usize,
    /// Where its shapes stand.
    pub place: Place,
    /// The entry of the legend that they are drawn for.
    pub key: Option<usize>,
    /// The point or curve that they draw.
    pub said: Option<Said>,
}

/// A panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Left, top, right, bottom, with titles and tick labels.
    pub bounds: [f64; 4],
    /// Heading.
    pub title: String,
    /// Title of the horizontal axis.
    pub x: String,
    /// Title of the vertical axis; empty when it has named rows.
    pub y: String,
    /// Whether its rows are named at the panel to its left.
    pub joined: bool,
}

/// The parts of a figure; none when it was not drawn on a sheet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// Panels.
    pub panels: Vec<Part>,
    /// Legend.
    pub legend: Vec<Entry>,
    /// Notes.
    pub notes: Vec<String>,
    /// What the shapes are, by their first index.
    pub runs: Vec<Run>,
}
