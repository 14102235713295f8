//! Figures as files: SVG and PNG, by plotters' own backends.

use std::path::Path;

use image::imageops::thumbnail;
use image::{ImageFormat, RgbImage};
use plotters::prelude::*;

use super::compact::compact;
use super::draw::drawing;
use super::{Canvas, Chart, Layout, font, layout::WIDTH};
use crate::atomic;
use crate::report::error::ReportError;

/// plotters draws on whole pixels, and areas in bitmaps without smooth edges: figures are drawn this much larger. The SVG
/// states the smaller size; the PNG is averaged down to twice the figure's size.
const FINE: u32 = 4;

/// Fonts that SVG viewers are asked for, the embedded one's relatives first.
const SVG_FONTS: &str = "DejaVu Sans, Verdana, Helvetica Neue, Arial, sans-serif";

/// The figure as an SVG document of its own.
///
/// # Errors
/// When plotters fails.
pub fn svg(chart: &Chart, title: &str) -> Result<String, ReportError> {
    font::register()?;
    let layout = Layout::new(chart);
    let (width, height) = (WIDTH as u32, layout.height as u32);
    let mut text = String::new();
    {
        let backend = SVGBackend::with_string(&mut text, (FINE * width, FINE * height));
        let canvas = Canvas {
            area: backend.into_drawing_area(),
            scale: f64::from(FINE),
            em: 1.24,
            drop: 0.09,
            begin: &|_| (),
        };
        canvas.figure(chart, &layout)?;
        canvas.area.present().map_err(drawing)?;
    }
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
    font::register()?;
    let layout = Layout::new(chart);
    let (width, height) = (FINE * WIDTH as u32, FINE * layout.height as u32);
    let mut pixels = vec![0; 3 * width as usize * height as usize];
    {
        let backend = BitMapBackend::with_buffer(&mut pixels, (width, height));
        let canvas = Canvas {
            area: backend.into_drawing_area(),
            scale: f64::from(FINE),
            em: font::HEIGHT,
            drop: 0.25,
            begin: &|_| (),
        };
        canvas.figure(chart, &layout)?;
        canvas.area.present().map_err(drawing)?;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::{Axis, DataPoint, Entry, Layer, Panel};
    use crate::report::palette::Palette;

    #[test]
    fn both_backends_draw_and_repeat_the_same_bytes() {
        let style = Palette::new(["hessian_free"]).style("hessian_free");
        let axis = || Axis::linear("ρ < 10⁻³ & more", 0.0, 1.0);
        let mut panel = Panel::new("A panel", axis(), axis());
        let point = |y: f64| Some(DataPoint::from(y).within(Some((y - 0.1, y + 0.1))));
        let series = vec![(0.2, point(0.3)), (0.8, point(0.7))];
        panel.layers.push(Layer::series(&style, series, 0.0));
        let chart = Chart {
            columns: 1,
            height: 100.0,
            panels: vec![panel],
            legend: vec![Entry::method(&style)],
            notes: vec!["A note.".to_owned()],
        };
        let text = svg(&chart, "A \"title\"").expect("drawn");
        for part in [
            "width=\"800\"",
            "viewBox=\"0 0 3200 ",
            "A &quot;title&quot;",
            "ρ &lt; 10⁻³ &amp; more",
            "A panel",
            "Hessian-free",
            "A note.",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(text, svg(&chart, "A \"title\"").expect("drawn"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let paths = [folder.path().join("a.png"), folder.path().join("b.png")];
        for path in &paths {
            png(&chart, path).expect("drawn");
        }
        let bytes = paths.map(|path| std::fs::read(path).expect("written"));
        assert!(bytes[0].starts_with(b"\x89PNG") && bytes[0].len() > 1000);
        assert_eq!(bytes[0], bytes[1]);
    }
}
