//! Points over x, and entries of a legend.

use super::font;
use super::palette::{Colour, Dash, Marker, Style};

/// Size of labels, pixels.
pub const LABEL: f64 = 13.5;

/// Longest name of a method in a legend or before a row.
const NAME: f64 = 260.0;

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
            colour: style.colour,
            marker: Some(style.marker),
            dash: Some(style.dash),
        }
    }
}

/// A series over x: `None` where it has no value.
pub type Series<P = Point> = Vec<(f64, Option<P>)>;

/// A value with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The value.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: Option<(f64, f64)>,
}

/// A method's name, cut when it is too long for a figure.
pub fn short_name(style: &Style) -> String {
    font::shorten(&style.name, LABEL, NAME)
}
