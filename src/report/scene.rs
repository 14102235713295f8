//! A figure as shapes in pixels, before a backend draws it: geometry can be tested without a picture.

#[cfg(test)]
use super::font;
use super::marks::{Parts, Place, Run, Said};
use super::palette::{Colour, Dash, Marker};

/// Where a text's position is on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// At its start.
    Start,
    /// At its middle.
    Middle,
    /// At its end.
    End,
}

/// One shape; coordinates are pixels from the top left.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A polyline.
    Line {
        /// Its vertices.
        points: Vec<(f64, f64)>,
        /// Colour.
        colour: Colour,
        /// Width.
        width: f64,
        /// Dash.
        dash: Dash,
        /// Opacity, 0–1.
        opacity: f64,
    },
    /// A filled polygon.
    Area {
        /// Its vertices.
        points: Vec<(f64, f64)>,
        /// Colour.
        colour: Colour,
        /// Opacity, 0–1.
        opacity: f64,
    },
    /// A filled circle.
    Disc {
        /// Centre.
        at: (f64, f64),
        /// Radius.
        radius: f64,
        /// Colour.
        colour: Colour,
    },
    /// A text.
    Text {
        /// Its anchor, at half the height of a capital.
        at: (f64, f64),
        /// The text.
        text: String,
        /// Size of an em.
        size: f64,
        /// What of it is at `at`.
        anchor: Anchor,
        /// Whether it reads upwards.
        upwards: bool,
        /// Colour.
        colour: Colour,
    },
}

/// A figure's shapes, in drawing order.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Width in pixels.
    pub width: f64,
    /// Height in pixels.
    pub height: f64,
    /// The shapes.
    pub shapes: Vec<Shape>,
    /// What they stand for.
    pub parts: Parts,
}

impl Scene {
    /// An empty scene.
    pub fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            shapes: Vec::new(),
            parts: Parts::default(),
        }
    }

    /// From the next shape on: where shapes stand, what entry of the legend they belong to, what they draw.
    pub fn begin(&mut self, place: Place, key: Option<usize>, said: Option<Said>) {
        let start = self.shapes.len();
        self.parts.runs.push(Run {
            start,
            place,
            key,
            said,
        });
    }

    /// A straight line or polyline.
    pub fn line(&mut self, points: &[(f64, f64)], colour: Colour, width: f64, dash: Dash) {
        self.line_with_opacity(points, colour, width, dash, 1.0);
    }

    /// [`line`](Self::line) with an opacity.
    pub fn line_with_opacity(
        &mut self,
        points: &[(f64, f64)],
        colour: Colour,
        width: f64,
        dash: Dash,
        opacity: f64,
    ) {
        if points.len() > 1 {
            self.shapes.push(Shape::Line {
                points: points.to_vec(),
                colour,
                width,
                dash,
                opacity,
            });
        }
    }

    /// A filled polygon.
    pub fn area(&mut self, points: Vec<(f64, f64)>, colour: Colour, opacity: f64) {
        self.shapes.push(Shape::Area {
            points,
            colour,
            opacity,
        });
    }

    /// A point's marker of about `2·radius` across.
    pub fn marker(&mut self, (x, y): (f64, f64), marker: Marker, radius: f64, colour: Colour) {
        let r = radius;
        let polygon: Vec<(f64, f64)> = match marker {
            Marker::Circle => {
                return self.shapes.push(Shape::Disc {
                    at: (x, y),
                    radius,
                    colour,
                });
            }
            Marker::Square => vec![(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Marker::Diamond => vec![(0.0, -1.25), (1.1, 0.0), (0.0, 1.25), (-1.1, 0.0)],
            Marker::Up => vec![(0.0, -1.2), (1.15, 0.85), (-1.15, 0.85)],
            Marker::Down => vec![(0.0, 1.2), (1.15, -0.85), (-1.15, -0.85)],
            Marker::Cross | Marker::Plus => {
                let d = if marker == Marker::Cross { 0.8 } else { 1.1 };
                let strokes = if marker == Marker::Cross {
                    [[(-d, -d), (d, d)], [(-d, d), (d, -d)]]
                } else {
                    [[(-d, 0.0), (d, 0.0)], [(0.0, -d), (0.0, d)]]
                };
                for stroke in strokes {
                    self.line(
                        &stroke.map(|(dx, dy)| (x + dx * r, y + dy * r)),
                        colour,
                        2.2,
                        Dash::Solid,
                    );
                }
                return;
            }
        };
        self.area(
            polygon
                .into_iter()
                .map(|(dx, dy)| (x + dx * r, y + dy * r))
                .collect(),
            colour,
            1.0,
        );
    }

    /// A text.
    pub fn text(
        &mut self,
        at: (f64, f64),
        text: impl Into<String>,
        size: f64,
        anchor: Anchor,
        colour: Colour,
    ) {
        self.shapes.push(Shape::Text {
            at,
            text: text.into(),
            size,
            anchor,
            upwards: false,
            colour,
        });
    }

    /// A text that reads upwards, centred on `at`.
    pub fn text_upwards(
        &mut self,
        at: (f64, f64),
        text: impl Into<String>,
        size: f64,
        colour: Colour,
    ) {
        self.shapes.push(Shape::Text {
            at,
            text: text.into(),
            size,
            anchor: Anchor::Middle,
            upwards: true,
            colour,
        });
    }

    /// The texts with their boxes (left, top, right, bottom).
    #[cfg(test)]
    pub fn text_boxes(&self) -> Vec<(&str, [f64; 4])> {
        let of = |shape| match shape {
            &Shape::Text {
                at: (x, y),
                ref text,
                size,
                anchor,
                upwards,
                ..
            } => {
                let (width, half) = (font::width(text, size), 0.45 * size);
                let start = match anchor {
                    Anchor::Start => 0.0,
                    Anchor::Middle => -width / 2.0,
                    Anchor::End => -width,
                };
                let bounds = if upwards {
                    [x - half, y - width - start, x + half, y - start]
                } else {
                    [x + start, y - half, x + start + width, y + half]
                };
                Some((text.as_str(), bounds))
            }
            _ => None,
        };
        self.shapes.iter().filter_map(of).collect()
    }
}

/// Cuts a polyline into the strokes of a dash pattern (the whole line when the pattern is empty).
pub fn dashes(points: &[(f64, f64)], pattern: &[f64]) -> Vec<Vec<(f64, f64)>> {
    if points.len() < 2 {
        return Vec::new();
    }
    if pattern.is_empty() {
        return vec![points.to_vec()];
    }
    let (mut strokes, mut stroke) = (Vec::new(), vec![points[0]]);
    let (mut at, mut left) = (0, pattern[0]);
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            if length <= left {
                left -= length;
                stroke.push(to);
                break;
            }
            let t = left / length;
            from = (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1));
            stroke.push(from);
            if at % 2 == 0 {
                strokes.push(std::mem::take(&mut stroke));
            }
            stroke = vec![from];
            at = (at + 1) % pattern.len();
            left = pattern[at];
        }
    }
    if at % 2 == 0 && stroke.len() > 1 {
        strokes.push(stroke);
    }
    strokes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_cover_their_share_of_the_line() {
        let line = [(0.0, 0.0), (30.0, 0.0), (30.0, 90.0)];
        let length = |stroke: &Vec<(f64, f64)>| {
            stroke
                .windows(2)
                .map(|p| (p[1].0 - p[0].0).hypot(p[1].1 - p[0].1))
                .sum::<f64>()
        };
        let strokes = dashes(&line, &[8.0, 4.0]);
        assert_eq!(strokes.len(), 10);
        assert!((strokes.iter().map(length).sum::<f64>() - 80.0).abs() < 1e-9);
        assert_eq!(dashes(&line, &[]), vec![line.to_vec()]);
        assert!(dashes(&line[..1], &[8.0, 4.0]).is_empty());
    }

    #[test]
    fn text_boxes_follow_the_anchor() {
        let mut scene = Scene::new(100.0, 100.0);
        scene.text((50.0, 50.0), "abc", 10.0, Anchor::End, [0; 3]);
        scene.text_upwards((10.0, 50.0), "abc", 10.0, [0; 3]);
        let boxes = scene.text_boxes();
        assert!((boxes[0].1[2] - 50.0).abs() < 1e-9 && boxes[0].1[0] < 40.0);
        assert!(
            (boxes[1].1[1] + boxes[1].1[3] - 100.0).abs() < 1e-9
                && boxes[1].1[2] - boxes[1].1[0] < 10.0
        );
    }
}
