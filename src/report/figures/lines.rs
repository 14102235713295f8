//! How lines look that stand for settings, not for methods.

use crate::report::palette::{Colour, Dash, Marker, Style};

/// Lines a panel shows.
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
