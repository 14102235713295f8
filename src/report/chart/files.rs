//! Figures as files: SVG and PNG, by plotters' own backends.

use std::path::Path;

use image::imageops::thumbnail;
use image::{ImageFormat, RgbImage};
use plotters::prelude::*;

use super::draw::drawing;
use super::{Canvas, Chart, Layout, font, layout::WIDTH};
use crate::atomic;
use crate::report::error::ReportError;

/// plotters draws on whole pixels, and areas in bitmaps without smooth edges: figures are drawn this much larger. The SVG
/// states the smaller size; the PNG is averaged down to twice the figure's size.
const FINE: u32 = 4;

/// Fonts that SVG viewers are asked for, the embedded one's relatives first.
const SVG_FONTS: &str = "DejaVu Sans, Verdana, Helvetica Neue, Arial, sans-serif";

/// Draws a figure on a backend, of which `em` and `drop` are those of [`Canvas`].
fn draw<B: DrawingBackend>(
    chart: &Chart,
    layout: &Layout,
    backend: B,
    em: f64,
    drop: f64,
) -> Result<(), ReportError> {
    font::register()?;
    let canvas = Canvas {
        area: backend.into_drawing_area(),
        scale: f64::from(FINE),
        em,
        drop,
        begin: &|_| (),
    };
    canvas.figure(chart, layout)?;
    canvas.area.present().map_err(drawing)
}

/// The figure as an SVG document of its own.
///
/// # Errors
/// When plotters fails.
pub fn svg(chart: &Chart, title: &str) -> Result<String, ReportError> {
    let layout = Layout::new(chart);
    let (width, height) = (WIDTH as u32, layout.height as u32);
    let mut text = String::new();
    let backend = SVGBackend::with_string(&mut text, (FINE * width, FINE * height));
    draw(chart, &layout, backend, 1.24, 0.09)?;
    // the head is ours: plotters' has neither a title nor a size other than that of its pixels
    let body = text
        .split_once("<svg")
        .and_then(|(_, rest)| rest.split_once('>'));
    let (_, body) = body.ok_or_else(|| drawing("no <svg> was written"))?;
    let body = compact(&body.replace(" font-family=\"sans-serif\"", ""));
    let title = maud::html! { (title) }.into_string();
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{title}\" width=\"{width}\" \
         height=\"{height}\" viewBox=\"0 0 {} {}\" font-family=\"{SVG_FONTS}\">\n<title>{title}</title>{body}",
        FINE * width,
        FINE * height,
    ))
}

/// Writes the figure as a PNG of twice its size.
///
/// # Errors
/// When plotters or the disk fails.
pub fn png(chart: &Chart, path: &Path) -> Result<(), ReportError> {
    let layout = Layout::new(chart);
    let (width, height) = (FINE * WIDTH as u32, FINE * layout.height as u32);
    let mut pixels = vec![0; 3 * width as usize * height as usize];
    let backend = BitMapBackend::with_buffer(&mut pixels, (width, height));
    draw(chart, &layout, backend, font::HEIGHT, 0.25)?;
    let image = RgbImage::from_raw(width, height, pixels);
    let image = image.ok_or_else(|| drawing("the pixels do not fill the image"))?;
    let mut bytes = std::io::Cursor::new(Vec::new());
    thumbnail(&image, width / 2, height / 2)
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(drawing)?;
    atomic::write(path, bytes.get_ref()).map_err(|source| ReportError::Write {
        path: path.to_owned(),
        source,
    })
}

/// The same drawing in a fraction of the bytes (plotters writes every dash of a line as an element with all its attributes):
/// opaque polylines of the same stroke, one after another, as one path, without attributes that say what is the default.
fn compact(svg: &str) -> String {
    let mut out = String::with_capacity(svg.len() / 2);
    // the path that is open, by all but its points
    let mut open = "";
    for line in svg.split_inclusive('\n') {
        let polyline = line.strip_prefix("<polyline ").and_then(|rest| {
            let (style, points) = rest.split_once(" points=\"")?;
            let points = points.trim_end().strip_suffix("\"/>")?;
            style.contains(" opacity=\"1\"").then_some((style, points))
        });
        let style = polyline.map_or("", |(style, _)| style);
        if style != open {
            if !open.is_empty() {
                out.push_str("\"/>\n");
            }
            if !style.is_empty() {
                out.push_str(&format!(
                    "<path {} d=\"",
                    style.replace(" opacity=\"1\"", "")
                ));
            }
            open = style;
        }
        match polyline {
            Some((_, points)) => out.push_str(&path(points)),
            None if line.starts_with('<') => out.push_str(&line.replace(" opacity=\"1\"", "")),
            None => out.push_str(line),
        }
    }
    if !open.is_empty() {
        out.push_str("\"/>\n");
    }
    out
}

/// Points `x,y x,y …` as a path from the first through the others.
fn path(points: &str) -> String {
    let mut points = points.split_whitespace();
    let first = points.next().map(|point| format!("M{point}"));
    let others: Vec<&str> = points.collect();
    let others = if others.is_empty() {
        String::new()
    } else {
        format!("L{}", others.join(" "))
    };
    first.unwrap_or_default() + &others
}
