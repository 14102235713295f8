//! A figure's panels as compact inline SVG: colours are variables of the page, points are links.
//!
//! The files under `figures/` are drawn by plotters for a light ground; here the same shapes are written for
//! any ground, a tenth as large, and with what they stand for.

use std::fmt::Write as _;

use super::markup::escape;
use super::theme::Colours;
use crate::report::marks::{Place, Run, Said};
use crate::report::palette::{Colour, INK};
use crate::report::scene::{Anchor, Scene, Shape};

/// Sizes of texts that have a class in the style sheet.
const SIZES: [(f64, &str); 3] = [(15.0, "t1"), (13.5, "t2"), (12.5, "t3")];

/// The shapes of `scene` within `bounds` (left, top, right, bottom) that stand on one of the `panels`, or all
/// of them when there is none; `label` says what they show.
pub fn drawing(
    scene: &Scene,
    panels: &[usize],
    bounds: [f64; 4],
    label: &str,
    colours: &mut Colours,
) -> String {
    let [left, top, right, bottom] = bounds;
    let mut writer = Writer {
        text: format!(
            "<svg class=\"fig\" viewBox=\"0 0 {} {}\" style=\"--w:{}\" role=\"group\" aria-label=\"{}\">",
            tenths(tenth(right - left)),
            tenths(tenth(bottom - top)),
            (right - left).round(),
            escape(label)
        ),
        origin: (left, top),
        colours,
        colour: None,
    };
    let whole = Run {
        start: 0,
        place: Place::Anywhere,
        key: None,
        said: None,
    };
    let runs: Vec<&Run> = std::iter::once(&whole).chain(&scene.parts.runs).collect();
    let mut open: Option<String> = None;
    let mut method = None;
    for (i, run) in runs.iter().enumerate() {
        let end = runs
            .get(i + 1)
            .map_or(scene.shapes.len(), |next| next.start);
        let shapes = &scene.shapes[run.start..end];
        let here = match run.place {
            Place::Panel(panel) => panels.contains(&panel),
            Place::Anywhere if !panels.is_empty() => {
                let inside: Vec<Shape> = shapes
                    .iter()
                    .filter(|shape| within(shape, bounds))
                    .cloned()
                    .collect();
                writer.shapes(&inside);
                false
            }
            _ => panels.is_empty(),
        };
        if !here || shapes.is_empty() {
            continue;
        }
        // one group a series: its line and its points
        let name = match (run.key, &run.said) {
            (Some(key), _) => scene.parts.legend.get(key).map(|entry| entry.name.clone()),
            (None, Some(said)) => Some(said.series.clone()),
            (None, None) => None,
        };
        if open != name {
            if open.is_some() {
                writer.text.push_str("</g>");
            }
            (writer.colour, method) = (None, None);
            if let Some(name) = &name {
                // the line comes before the points that know the method
                let points = runs[i..].iter().take(2).filter_map(|run| run.said.as_ref());
                method = points
                    .filter_map(|said| said.origin.as_ref()?.method)
                    .next();
                let own = method.map_or(String::new(), |m| format!(" data-m=\"{m}\""));
                let class = colour(&shapes[0]).map(|c| writer.colours.class(c));
                writer.colour.clone_from(&class);
                let class = class.map_or(String::new(), |class| format!(" {class}"));
                let key = run
                    .key
                    .map_or(String::new(), |key| format!(" data-k=\"{key}\""));
                let _ = write!(
                    writer.text,
                    "<g class=\"s{class}\"{key}{own} data-n=\"{}\">",
                    escape(name)
                );
            }
            open = name;
        }
        writer.run(shapes, run.said.as_ref(), method);
    }
    if open.is_some() {
        writer.text.push_str("</g>");
    }
    writer.text.push_str("</svg>");
    writer.text
}

struct Writer<'c> {
    text: String,
    origin: (f64, f64),
    colours: &'c mut Colours,
    /// Class of the colour that the open group has.
    colour: Option<String>,
}

impl Writer<'_> {
    fn run(&mut self, shapes: &[Shape], said: Option<&Said>, group: Option<usize>) {
        let link = said.and_then(|said| Some((said, said.origin.as_ref()?)));
        let Some((said, origin)) = link else {
            return self.shapes(shapes);
        };
        let method = origin
            .method
            .filter(|method| Some(*method) != group)
            .map_or(String::new(), |m| format!(" data-m=\"{m}\""));
        let of = match origin.records {
            1 => "1 record".to_owned(),
            count => format!("{count} records"),
        };
        let numbers = if said.numbers.is_empty() {
            of
        } else {
            format!("{}; {of}", said.numbers)
        };
        let _ = write!(
            self.text,
            "<a href=\"#{}\"{method} aria-label=\"{}\">",
            escape(&origin.anchor),
            escape(&numbers)
        );
        self.shapes(shapes);
        self.text.push_str("</a>");
    }

    /// Consecutive strokes of one look are one path.
    fn shapes(&mut self, shapes: &[Shape]) {
        let mut at = 0;
        while at < shapes.len() {
            let look = stroke(&shapes[at]);
            let mut next = at + 1;
            while look.is_some() && next < shapes.len() && stroke(&shapes[next]) == look {
                next += 1;
            }
            self.shape(&shapes[at], &shapes[at..next]);
            at = next;
        }
    }

    fn shape(&mut self, shape: &Shape, alike: &[Shape]) {
        match shape {
            Shape::Line {
                colour,
                width,
                dash,
                opacity,
                ..
            } => {
                let class = self.class("l", *colour);
                let mut path = Path::default();
                for shape in alike {
                    if let Shape::Line { points, .. } = shape {
                        path.polyline(points, self.origin);
                    }
                }
                let lengths: Vec<String> = dash.lengths().iter().map(f64::to_string).collect();
                let dash = if lengths.is_empty() {
                    String::new()
                } else {
                    format!(" stroke-dasharray=\"{}\"", lengths.join(" "))
                };
                let _ = write!(
                    self.text,
                    "<path{class}{}{dash}{} d=\"{}\"/>",
                    stroke_width(*width),
                    transparency(*opacity),
                    path.text
                );
            }
            Shape::Area {
                points,
                colour,
                opacity,
            } => {
                let class = self.class("", *colour);
                let mut path = Path::default();
                path.polyline(points, self.origin);
                let _ = write!(
                    self.text,
                    "<path{class}{} d=\"{}z\"/>",
                    transparency(*opacity),
                    path.text
                );
            }
            Shape::Disc { at, radius, colour } => {
                let class = self.class("", *colour);
                let (x, y) = self.place(*at);
                let _ = write!(
                    self.text,
                    "<circle{class} cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"/>"
                );
            }
            Shape::Text {
                at,
                text,
                size,
                anchor,
                upwards,
                colour,
            } => self.words(*at, text, *size, *anchor, *upwards, *colour),
        }
    }

    fn words(
        &mut self,
        at: (f64, f64),
        text: &str,
        size: f64,
        anchor: Anchor,
        upwards: bool,
        colour: Colour,
    ) {
        // `at` is half a capital's height (0.365 em) above the baseline, across the reading direction
        let drop = 0.365 * size;
        let at = if upwards {
            (at.0 + drop, at.1)
        } else {
            (at.0, at.1 + drop)
        };
        let (x, y) = self.place(at);
        let mut classes: Vec<String> = Vec::new();
        let known = SIZES.iter().find(|(known, _)| *known == size);
        let own = match known {
            Some((_, class)) => {
                classes.push((*class).to_owned());
                String::new()
            }
            None => format!(" font-size=\"{size}\""),
        };
        match anchor {
            Anchor::Start => {}
            Anchor::Middle => classes.push("m".to_owned()),
            Anchor::End => classes.push("e".to_owned()),
        }
        if colour != INK {
            classes.push(self.colours.class(colour));
        }
        let turn = if upwards {
            format!(" transform=\"rotate(-90 {x} {y})\"")
        } else {
            String::new()
        };
        let _ = write!(
            self.text,
            "<text class=\"{}\" x=\"{x}\" y=\"{y}\"{own}{turn}>{}</text>",
            classes.join(" "),
            escape(text)
        );
    }

    /// The classes of a shape as an attribute: its kind, and its colour unless the group has it.
    fn class(&mut self, kind: &str, colour: Colour) -> String {
        let class = self.colours.class(colour);
        let own = if self.colour.as_ref() == Some(&class) {
            ""
        } else {
            &class
        };
        match [kind, own].join(" ").trim() {
            "" => String::new(),
            classes => format!(" class=\"{classes}\""),
        }
    }

    fn place(&self, (x, y): (f64, f64)) -> (String, String) {
        (
            tenths(tenth(x - self.origin.0)),
            tenths(tenth(y - self.origin.1)),
        )
    }
}

/// Whether a shape begins within bounds.
fn within(shape: &Shape, [left, top, right, bottom]: [f64; 4]) -> bool {
    let at = match shape {
        Shape::Line { points, .. } | Shape::Area { points, .. } => points.first(),
        Shape::Disc { at, .. } | Shape::Text { at, .. } => Some(at),
    };
    at.is_some_and(|(x, y)| (left..right).contains(x) && (top..bottom).contains(y))
}

/// What must agree for two strokes to be one path.
fn stroke(shape: &Shape) -> Option<(Colour, u64, &'static [f64], u64)> {
    match shape {
        Shape::Line {
            colour,
            width,
            dash,
            opacity,
            ..
        } => Some((*colour, width.to_bits(), dash.lengths(), opacity.to_bits())),
        _ => None,
    }
}

/// Width of a stroke; the style sheet has that of intervals.
fn stroke_width(width: f64) -> String {
    if width == 1.4 {
        String::new()
    } else {
        format!(" stroke-width=\"{width}\"")
    }
}

fn colour(shape: &Shape) -> Option<Colour> {
    match shape {
        Shape::Line { colour, .. } | Shape::Area { colour, .. } | Shape::Disc { colour, .. } => {
            Some(*colour)
        }
        Shape::Text { .. } => None,
    }
}

fn transparency(opacity: f64) -> String {
    if opacity < 1.0 {
        format!(" opacity=\"{opacity}\"")
    } else {
        String::new()
    }
}

/// Path data in tenths of a pixel, relative after the first point, so that no rounding adds up.
#[derive(Default)]
struct Path {
    text: String,
}

impl Path {
    fn polyline(&mut self, points: &[(f64, f64)], origin: (f64, f64)) {
        let mut last: Option<(i64, i64)> = None;
        for (x, y) in points {
            let at = (tenth(x - origin.0), tenth(y - origin.1));
            match last {
                None => {
                    let _ = write!(self.text, "M{} {}", tenths(at.0), tenths(at.1));
                }
                Some(before) => {
                    let (dx, dy) = (at.0 - before.0, at.1 - before.1);
                    let _ = match (dx, dy) {
                        (0, 0) => Ok(()),
                        (_, 0) => write!(self.text, "h{}", tenths(dx)),
                        (0, _) => write!(self.text, "v{}", tenths(dy)),
                        (_, dy) if dy < 0 => write!(self.text, "l{}{}", tenths(dx), tenths(dy)),
                        _ => write!(self.text, "l{} {}", tenths(dx), tenths(dy)),
                    };
                }
            }
            last = Some(at);
        }
    }
}

fn tenth(x: f64) -> i64 {
    (10.0 * x).round() as i64
}

/// `12`, `12.3`, `-.5`
fn tenths(x: i64) -> String {
    let (sign, size) = (if x < 0 { "-" } else { "" }, x.abs());
    match (size / 10, size % 10) {
        (whole, 0) => format!("{sign}{whole}"),
        (0, rest) => format!("{sign}.{rest}"),
        (whole, rest) => format!("{sign}{whole}.{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::marks::Origin;
    use crate::report::palette::Dash;

    #[test]
    fn numbers_are_short() {
        let of = [
            (120, "12"),
            (-5, "-.5"),
            (123, "12.3"),
            (0, "0"),
            (-123, "-12.3"),
        ];
        for (x, text) in of {
            assert_eq!(tenths(x), text);
        }
        let mut path = Path::default();
        path.polyline(
            &[
                (10.0, 5.0),
                (20.0, 5.0),
                (20.0, 5.04),
                (21.0, 4.0),
                (22.0, 6.0),
            ],
            (10.0, 0.0),
        );
        assert_eq!(path.text, "M0 5h10l1-1l1 2");
    }

    #[test]
    fn a_point_leads_to_its_records_and_looks_alike_are_one_path() {
        let mut scene = Scene::new(100.0, 100.0);
        scene.begin(Place::Panel(0), None, None);
        for x in [10.0, 20.0] {
            scene.line(&[(x, 0.0), (x, 9.0)], [1, 2, 3], 1.0, Dash::Solid);
        }
        let said = Said {
            series: "A & B".to_owned(),
            numbers: "4: 0.5".to_owned(),
            origin: Some(Origin {
                anchor: "e7".to_owned(),
                method: Some(2),
                records: 3,
            }),
        };
        scene.begin(Place::Panel(0), None, Some(said));
        scene.line(&[(0.0, 0.0), (5.0, 5.0)], [0; 3], 2.0, Dash::Dotted);
        scene.begin(Place::Panel(1), None, None);
        scene.text((0.0, 0.0), "elsewhere", 12.5, Anchor::Start, INK);
        let mut colours = Colours::default();
        let text = drawing(&scene, &[0], [0.0, 0.0, 50.0, 50.0], "a <b>", &mut colours);
        assert!(text.contains("d=\"M10 0v9M20 0v9\""), "{text}");
        assert!(
            text.contains("<g class=\"s c1\" data-m=\"2\" data-n=\"A &amp; B\"><a href=\"#e7\" aria-label=\"4: 0.5; 3 records\">"),
            "{text}"
        );
        assert!(text.contains("stroke-dasharray=\"2.5 3\"") && !text.contains("elsewhere"));
        assert!(text.ends_with("</a></g></svg>") && text.contains("a &lt;b&gt;"));
        // what was drawn without a word of where it belongs is where it is
        scene.begin(Place::Anywhere, None, None);
        scene.text((9.0, 9.0), "inside", 12.5, Anchor::Start, INK);
        scene.text((9.0, 60.0), "below", 12.5, Anchor::Start, INK);
        let text = drawing(&scene, &[0], [0.0, 0.0, 50.0, 50.0], "", &mut colours);
        assert!(text.contains("inside") && !text.contains("below"));
    }
}
