//! A backend of plotters that writes a figure's panels into the page: compact SVG whose colours are variables of the page,
//! with a group per series and a link per point.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::rc::Rc;

use maud::{Markup, PreEscaped, html};
use plotters::drawing::IntoDrawingArea;
use plotters::style::FontTransform;
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
};

use super::markup::escape;
use super::theme::Colours;
use crate::progress::count;
use crate::report::chart::{Bounds, Canvas, Chart, Entry, Layout, Meaning};
use crate::report::palette::{Colour, INK};

/// Coordinates are tenths of a pixel.
const FINE: f64 = 10.0;
/// plotters' text size of one em, as its own SVG backend has it.
const EM: f64 = 1.24;
/// Sizes of texts that have a class in the style sheet.
const SIZES: [(f64, &str); 3] = [(15.0, "t1"), (13.5, "t2"), (12.5, "t3")];

type Written = Result<(), DrawingErrorKind<Infallible>>;

/// Some panels of a figure, which are within `bounds`; `label` says what they show.
pub fn panels(
    (chart, layout): (&Chart, &Layout),
    panels: &[usize],
    bounds: Bounds,
    label: &str,
    colours: &mut Colours,
) -> String {
    let label = format!("role=\"group\" aria-label=\"{}\"", escape(label));
    drawing(bounds, &label, colours, |canvas| {
        let mut panels = panels.iter();
        panels.try_for_each(|panel| canvas.panel(chart, layout, *panel))
    })
}

/// The line and the marker of a legend's entry.
pub fn sample(entry: &Entry, colours: &mut Colours) -> String {
    let bounds = [0.0, 0.0, 30.0, 14.0];
    drawing(bounds, "aria-hidden=\"true\"", colours, |canvas| {
        canvas.sample(entry, (1.0, 7.0), 28.0)
    })
}

fn drawing<E: std::fmt::Debug>(
    [left, top, right, bottom]: Bounds,
    attributes: &str,
    colours: &mut Colours,
    draw: impl FnOnce(&Canvas<PageBackend>) -> Result<(), E>,
) -> String {
    let [left, top, right, bottom] = [left, top, right, bottom].map(|x| (FINE * x).round() as i32);
    let writer = Rc::new(RefCell::new(Writer {
        text: format!(
            "<svg class=\"fig\" viewBox=\"0 0 {} {}\" style=\"--w:{}\" {attributes}>",
            tenths(right - left),
            tenths(bottom - top),
            (right - left + 5) / 10,
        ),
        origin: (left, top),
        size: (right as u32, bottom as u32),
        colours,
        group: None,
        is_linked: false,
        stroke: None,
    }));
    let canvas = Canvas {
        area: PageBackend(writer.clone()).into_drawing_area(),
        scale: FINE,
        em: EM,
        drop: 0.0,
        begin: &|meaning| writer.borrow_mut().begin(meaning),
    };
    draw(&canvas).expect("writing to a string does not fail");
    let mut writer = writer.borrow_mut();
    writer.begin(None);
    writer.text.push_str("</svg>");
    std::mem::take(&mut writer.text)
}

/// Writes what plotters draws.
pub struct PageBackend<'c>(Rc<RefCell<Writer<'c>>>);

struct Writer<'c> {
    text: String,
    /// Of the bounds.
    origin: BackendCoord,
    size: (u32, u32),
    colours: &'c mut Colours,
    /// Name and method of the open group of a series, and the class of its colour.
    group: Option<(String, Option<usize>, String)>,
    is_linked: bool,
    /// Strokes of one look, which are one path.
    stroke: Option<(Look, String)>,
}

/// What strokes of one path share: colour, opacity, width.
type Look = ((u8, u8, u8), f64, u32);

impl Writer<'_> {
    /// Writes the start of an element, which [`Writer::begin`] ends.
    fn open(&mut self, element: &Markup) {
        let start = element.0.rsplit_once("</").map_or("", |(start, _)| start);
        self.text.push_str(start);
    }

    /// Ends what was begun before, and opens the group of a series and the link of a point.
    fn begin(&mut self, meaning: Option<&Meaning>) {
        self.end_stroke();
        if std::mem::take(&mut self.is_linked) {
            self.text.push_str("</a>");
        }
        let is_other = |name: &str| meaning.is_none_or(|meaning| meaning.series != name);
        if self.group.take_if(|(name, ..)| is_other(name)).is_some() {
            self.text.push_str("</g>");
        }
        let Some(meaning) = meaning else { return };
        if self.group.is_none() {
            let class = self.colours.class(meaning.colour);
            let name = PreEscaped(escape(meaning.series));
            self.open(&html! {
                g class={ "s " (class) } data-k=[meaning.key] data-m=[meaning.method] data-n=(name) {}
            });
            self.group = Some((meaning.series.to_owned(), meaning.method, class));
        }
        if let Some((numbers, record)) = &meaning.link {
            let known = self.group.as_ref().and_then(|(_, method, _)| *method);
            let own = record.method.filter(|method| Some(*method) != known);
            let records = count(record.records, "record");
            let mut parts = vec![numbers.as_str(), &records];
            parts.retain(|part| !part.is_empty());
            let (to, label) = (escape(&record.anchor), escape(&parts.join("; ")));
            self.open(&html! {
                a href={ "#" (PreEscaped(to)) } data-m=[own] aria-label=(PreEscaped(label)) {}
            });
            self.is_linked = true;
        }
    }

    fn end_stroke(&mut self) {
        if let Some(((rgb, alpha, width), path)) = self.stroke.take() {
            let colour = BackendColor { rgb, alpha };
            let class = self.class("l", colour);
            // the style sheet has the width of intervals
            let width = match width {
                14 => String::new(),
                width => format!(" stroke-width=\"{}\"", tenths(width as i32)),
            };
            let opacity = opacity(colour);
            let _ = write!(self.text, "<path{class}{width}{opacity} d=\"{path}\"/>");
        }
    }

    /// The classes of a shape as an attribute: its kind, and its colour unless the group has it.
    fn class(&mut self, kind: &str, colour: BackendColor) -> String {
        let class = self.colours.class(rgb(colour));
        let group = self.group.as_ref();
        let inherited = group.is_some_and(|(.., known)| *known == class);
        match [kind, if inherited { "" } else { &class }].join(" ").trim() {
            "" => String::new(),
            classes => format!(" class=\"{classes}\""),
        }
    }

    fn place(&self, (x, y): BackendCoord) -> (String, String) {
        (tenths(x - self.origin.0), tenths(y - self.origin.1))
    }
}

impl DrawingBackend for PageBackend<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.0.borrow().size
    }

    fn ensure_prepared(&mut self) -> Written {
        Ok(())
    }

    fn present(&mut self) -> Written {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, colour: BackendColor) -> Written {
        let corners = [(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)];
        self.fill_polygon(corners, &colour)
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Written {
        self.draw_path([from, to], style)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Written {
        let mut writer = self.0.borrow_mut();
        let colour = style.color();
        let look = (colour.rgb, colour.alpha, style.stroke_width());
        if writer
            .stroke
            .as_ref()
            .is_some_and(|(other, _)| *other != look)
        {
            writer.end_stroke();
        }
        let origin = writer.origin;
        let (_, text) = writer.stroke.get_or_insert_with(|| (look, String::new()));
        polyline(text, path, origin);
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        corners: I,
        style: &S,
    ) -> Written {
        let mut writer = self.0.borrow_mut();
        writer.end_stroke();
        let class = writer.class("", style.color());
        let mut path = String::new();
        polyline(&mut path, corners, writer.origin);
        let opacity = opacity(style.color());
        let _ = write!(writer.text, "<path{class}{opacity} d=\"{path}z\"/>");
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        centre: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Written {
        let mut writer = self.0.borrow_mut();
        writer.end_stroke();
        let class = writer.class(if fill { "" } else { "l" }, style.color());
        let (x, y) = writer.place(centre);
        let radius = tenths(radius as i32);
        let _ = write!(
            writer.text,
            "<circle{class} cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"/>"
        );
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        (x, y): BackendCoord,
    ) -> Written {
        let mut writer = self.0.borrow_mut();
        writer.end_stroke();
        let em = (style.size() / EM).round() / FINE;
        // from the point to the baseline, across the reading direction
        let drop = match style.anchor().v_pos {
            VPos::Top => 0.76,
            VPos::Center => 0.365,
            VPos::Bottom => -0.25,
        };
        let drop = (drop * em * FINE).round() as i32;
        let is_turned = matches!(style.transform(), FontTransform::Rotate270);
        let (right, down) = if is_turned { (drop, 0) } else { (0, drop) };
        let (x, y) = writer.place((x + right, y + down));
        let turn = match is_turned {
            true => format!(" transform=\"rotate(-90 {x} {y})\""),
            false => String::new(),
        };
        let known = SIZES.iter().find(|(known, _)| *known == em);
        let size = known.map_or(format!(" font-size=\"{em}\""), |_| String::new());
        let anchor = match style.anchor().h_pos {
            HPos::Left => None,
            HPos::Center => Some("m"),
            HPos::Right => Some("e"),
        };
        let colour = rgb(style.color());
        let colour = (colour != INK).then(|| writer.colours.class(colour));
        let classes = [known.map(|(_, class)| *class), anchor, colour.as_deref()];
        let classes: Vec<&str> = classes.into_iter().flatten().collect();
        let _ = write!(
            writer.text,
            "<text class=\"{}\" x=\"{x}\" y=\"{y}\"{size}{turn}>{}</text>",
            classes.join(" "),
            escape(text)
        );
        Ok(())
    }
}

fn rgb(colour: BackendColor) -> Colour {
    colour.rgb.into()
}

fn opacity(colour: BackendColor) -> String {
    match colour.alpha {
        1.0 => String::new(),
        alpha => format!(" opacity=\"{alpha}\""),
    }
}

/// Appends path data in tenths of a pixel, relative after the first point.
fn polyline(
    text: &mut String,
    points: impl IntoIterator<Item = BackendCoord>,
    origin: BackendCoord,
) {
    let mut last: Option<BackendCoord> = None;
    for (x, y) in points {
        let at = (x - origin.0, y - origin.1);
        let _ = match last.map(|before| (at.0 - before.0, at.1 - before.1)) {
            None => write!(text, "M{} {}", tenths(at.0), tenths(at.1)),
            Some((0, 0)) => Ok(()),
            Some((dx, 0)) => write!(text, "h{}", tenths(dx)),
            Some((0, dy)) => write!(text, "v{}", tenths(dy)),
            Some((dx, dy)) if dy < 0 => write!(text, "l{}{}", tenths(dx), tenths(dy)),
            Some((dx, dy)) => write!(text, "l{} {}", tenths(dx), tenths(dy)),
        };
        last = Some(at);
    }
}

/// `12`, `12.3`, `-.5`
fn tenths(x: i32) -> String {
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
    use crate::report::chart::{Axis, DataPoint, Layer, Panel, RecordRef, Stroke};
    use crate::report::palette::{Dash, Look, Marker, Style};

    #[test]
    fn numbers_are_short() {
        let numbers = [120, -5, 123, 0, -123].map(tenths);
        assert_eq!(numbers, ["12", "-.5", "12.3", "0", "-12.3"]);
        let mut path = String::new();
        let points = [(100, 50), (200, 50), (200, 50), (210, 40), (220, 60)];
        polyline(&mut path, points, (100, 0));
        assert_eq!(path, "M0 5h10l1-1l1 2");
    }

    #[test]
    fn a_point_links_to_its_records_and_strokes_of_one_look_are_one_path() {
        let style = Style::new("A & B", Look::new([1, 2, 3], Marker::Plus, Dash::Dotted));
        let record = RecordRef {
            anchor: "e7".to_owned(),
            method: Some(2),
            records: 3,
        };
        let axis = || Axis::linear("z", 0.0, 1.0);
        let point = DataPoint::from(0.5).with_record(record);
        let mut panel = Panel::new("", axis(), axis());
        let diagonal = Layer::line([(0.0, 0.0), (1.0, 1.0)], Stroke::reference(Dash::Solid));
        let series = Layer::series(&style, vec![(0.2, Some(point))], 0.0);
        panel.layers = vec![diagonal, series];
        let chart = Chart {
            columns: 2,
            height: 50.0,
            panels: vec![panel, Panel::new("elsewhere", axis(), axis())],
            ..Chart::default()
        };
        let layout = Layout::new(&chart);
        let bounds = layout.panels[0].bounds;
        let mut colours = Colours::default();
        let text = panels((&chart, &layout), &[0], bounds, "a <b>", &mut colours);
        let group = "<g class=\"s c0\" data-m=\"2\" data-n=\"A &amp; B\">";
        let link = "<a href=\"#e7\" aria-label=\"0.2: 0.500; 3 records\"><path class=\"l\"";
        assert!(text.contains(&format!("{group}{link}")), "{text}");
        // the two strokes of the marker; all lines of the grid
        let (_, marker) = text.split_once("records\">").expect("a point");
        let (marker, _) = marker.split_once("</a>").expect("closed");
        assert_eq!(marker.matches('M').count(), 2, "{text}");
        assert_eq!(text.matches("class=\"l grid\"").count(), 1, "{text}");
        assert!(text.ends_with("</a></g></svg>") && text.contains("a &lt;b&gt;"));
        assert!(!text.contains("elsewhere") && text.contains(" transform=\"rotate(-90 "));
        let entry = sample(&Entry::method(&style), &mut colours);
        assert!(
            entry.contains("aria-hidden") && entry.matches("<path").count() == 2,
            "{entry}"
        );
    }
}
