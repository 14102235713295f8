//! Scenes to SVG and PNG, by plotters.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::error::ReportError;
use super::font;
use super::scene::{Anchor, Scene, Shape, dashes};
use crate::atomic;

/// plotters draws on whole pixels: figures are drawn this much larger. The SVG keeps the drawing and
/// states the smaller size; the PNG is averaged down.
const FINE: f64 = 4.0;

/// Pixels of the PNG per pixel of the scene.
const PNG_SCALE: u32 = 2;

/// Fonts that SVG viewers are asked for, the embedded one's relatives first.
const SVG_FONTS: &str = "DejaVu Sans, Verdana, Helvetica Neue, Arial, sans-serif";

/// How a backend places text: scale of plotters' font size per em, and the baseline's distance below
/// the given point in units of that size.
struct TextRule {
    size_per_em: f64,
    baseline: f64,
}

/// plotters writes `font-size = size/1.24` and, anchored at the top, `dy = 0.76em`.
const SVG_TEXT: TextRule = TextRule {
    size_per_em: 1.24,
    baseline: 0.76 / 1.24,
};

/// plotters' bitmaps scale the font's height to `size` and put the baseline half of it below.
const PNG_TEXT: TextRule = TextRule {
    size_per_em: font::HEIGHT,
    baseline: 0.5,
};

/// The figure as an SVG document of its own, also fit to stand inside a page.
///
/// # Errors
/// When plotters fails.
pub fn svg(scene: &Scene, title: &str) -> Result<String, ReportError> {
    let (width, height) = fine_size(scene);
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
        paint(&area, scene, &SVG_TEXT)?;
        area.present().map_err(drawing)?;
    }
    let start = text
        .find("<svg")
        .ok_or_else(|| drawing("no <svg> was written"))?;
    let end = start
        + text[start..]
            .find('>')
            .ok_or_else(|| drawing("the <svg> tag is not closed"))?
        + 1;
    let body = text[end..].replace(
        "font-family=\"sans-serif\"",
        &format!("font-family=\"{SVG_FONTS}\""),
    );
    let title = super::page::escape(title);
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{title}\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {width} {height}\">\n<title>{title}</title>{body}",
        scene.width.ceil(),
        scene.height.ceil(),
    ))
}

/// Writes the figure as a PNG of twice the scene's size.
///
/// # Errors
/// When plotters or the disk fails.
pub fn png(scene: &Scene, path: &Path) -> Result<(), ReportError> {
    let (width, height) = fine_size(scene);
    let mut fine = vec![0; 3 * width as usize * height as usize];
    {
        let area = BitMapBackend::with_buffer(&mut fine, (width, height)).into_drawing_area();
        paint(&area, scene, &PNG_TEXT)?;
        area.present().map_err(drawing)?;
    }
    let step = FINE as usize / PNG_SCALE as usize;
    let (out_width, out_height) = (width as usize / step, height as usize / step);
    let mut small = Vec::with_capacity(3 * out_width * out_height);
    for y in 0..out_height {
        for x in 0..out_width {
            for channel in 0..3 {
                let pixel = |i: usize| {
                    fine[((y * step + i / step) * width as usize + x * step + i % step) * 3
                        + channel]
                };
                let sum: usize = (0..step * step).map(|i| usize::from(pixel(i))).sum();
                small.push(((sum + step * step / 2) / (step * step)) as u8);
            }
        }
    }
    let image = image::RgbImage::from_raw(out_width as u32, out_height as u32, small)
        .ok_or_else(|| drawing("the pixels do not fill the image"))?;
    let mut bytes = std::io::Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, image::ImageFormat::Png)
        .map_err(drawing)?;
    atomic::write(path, bytes.get_ref()).map_err(|source| ReportError::Write {
        path: path.to_owned(),
        source,
    })
}

fn fine_size(scene: &Scene) -> (u32, u32) {
    (
        (scene.width.ceil() * FINE) as u32,
        (scene.height.ceil() * FINE) as u32,
    )
}

fn drawing(error: impl ToString) -> ReportError {
    ReportError::Drawing(error.to_string())
}

fn paint<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    scene: &Scene,
    rule: &TextRule,
) -> Result<(), ReportError> {
    font::register()?;
    area.fill(&WHITE).map_err(drawing)?;
    let pixel = |(x, y): (f64, f64)| ((x * FINE).round() as i32, (y * FINE).round() as i32);
    let pixels = |points: &[(f64, f64)]| {
        let mut pixels: Vec<(i32, i32)> = points.iter().map(|point| pixel(*point)).collect();
        pixels.dedup();
        pixels
    };
    for shape in &scene.shapes {
        match shape {
            Shape::Line {
                points,
                colour,
                width,
                dash,
                opacity,
            } => {
                let style = RGBColor(colour[0], colour[1], colour[2])
                    .mix(*opacity)
                    .stroke_width((width * FINE).round().max(1.0) as u32);
                for stroke in dashes(points, dash.lengths()) {
                    let stroke = pixels(&stroke);
                    if stroke.len() > 1 {
                        area.draw(&PathElement::new(stroke, style))
                            .map_err(drawing)?;
                    }
                }
            }
            Shape::Area {
                points,
                colour,
                opacity,
            } => {
                let style = RGBColor(colour[0], colour[1], colour[2])
                    .mix(*opacity)
                    .filled();
                area.draw(&Polygon::new(pixels(points), style))
                    .map_err(drawing)?;
            }
            Shape::Disc { at, radius, colour } => {
                let style = RGBColor(colour[0], colour[1], colour[2]).filled();
                area.draw(&Circle::new(
                    pixel(*at),
                    (radius * FINE).round() as i32,
                    style,
                ))
                .map_err(drawing)?;
            }
            Shape::Text {
                at,
                text,
                size,
                anchor,
                upwards,
                colour,
            } => {
                let font_size = size * rule.size_per_em * FINE;
                let horizontal = match anchor {
                    Anchor::Start => HPos::Left,
                    Anchor::Middle => HPos::Center,
                    Anchor::End => HPos::Right,
                };
                // `at` is half a capital's height (0.365 em) above the baseline, across the reading direction.
                let shift = (0.365 * size * FINE - rule.baseline * font_size).round() as i32;
                let (x, y) = pixel(*at);
                let at = if *upwards {
                    (x + shift, y)
                } else {
                    (x, y + shift)
                };
                let mut font = (font::FAMILY, font_size).into_font();
                if *upwards {
                    font = font.transform(FontTransform::Rotate270);
                }
                let style = font
                    .color(&RGBColor(colour[0], colour[1], colour[2]))
                    .pos(Pos::new(horizontal, VPos::Top));
                area.draw(&Text::new(text.as_str(), at, style))
                    .map_err(drawing)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::palette::{Dash, Marker};

    #[test]
    fn both_backends_draw_and_repeat_the_same_bytes() {
        let mut scene = Scene::new(200.0, 100.0);
        scene.line(
            &[(10.0, 10.0), (190.0, 90.0)],
            [0, 0, 200],
            2.0,
            Dash::Dashed,
        );
        scene.marker((100.0, 50.0), Marker::Circle, 4.0, [200, 0, 0]);
        scene.text(
            (100.0, 20.0),
            "ρ < 10⁻³ & more",
            14.0,
            Anchor::Middle,
            [0, 0, 0],
        );
        let text = svg(&scene, "A \"title\"").expect("drawn");
        assert!(
            text.contains("width=\"200\"")
                && text.contains("viewBox=\"0 0 800 400\"")
                && text.contains("A &quot;title&quot;")
        );
        assert!(text.contains("ρ &lt; 10⁻³ &amp; more"), "{text}");
        assert_eq!(text, svg(&scene, "A \"title\"").expect("drawn"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let paths = [folder.path().join("a.png"), folder.path().join("b.png")];
        for path in &paths {
            png(&scene, path).expect("drawn");
        }
        let bytes = paths.map(|path| std::fs::read(path).expect("written"));
        assert!(bytes[0].starts_with(b"\x89PNG") && bytes[0].len() > 1000);
        assert_eq!(bytes[0], bytes[1]);
    }
}
