//! The embedded font of the figures: DejaVu Sans, reduced to the characters needed (its licence
//! stands beside it in `assets/`). No system font is looked for.

use std::sync::OnceLock;

use plotters::style::{FontFamily, FontStyle, IntoFont, register_font};

use crate::report::error::ReportError;

static FONT: &[u8] = include_bytes!("../../../assets/DejaVuSans-subset.ttf");

/// Name under which plotters knows it.
pub const FAMILY: FontFamily<'static> = FontFamily::SansSerif;

/// (ascent − descent)/em of the font: plotters' bitmaps scale glyphs by this height, not by the em.
pub const HEIGHT: f64 = 1.164;

/// Makes the font known to plotters, once per process.
///
/// # Errors
/// When the embedded file is not a font that plotters reads.
pub fn register() -> Result<(), ReportError> {
    static DONE: OnceLock<bool> = OnceLock::new();
    let known = || register_font(FAMILY.as_str(), FontStyle::Normal, FONT).is_ok();
    let problem = || ReportError::Drawing("the embedded font cannot be read".to_owned());
    DONE.get_or_init(known).then_some(()).ok_or_else(problem)
}

/// Width of a text in pixels at `em` pixels an em.
pub fn width(text: &str, em: f64) -> f64 {
    // Measured large, since plotters rounds to whole pixels.
    const LARGE: f64 = 200.0;
    let font = (FAMILY, LARGE * HEIGHT).into_font();
    let measured = register().ok().and_then(|()| font.layout_box(text).ok());
    let guess = || 0.6 * em * text.chars().count() as f64;
    measured.map_or_else(guess, |(low, high)| f64::from(high.0 - low.0) * em / LARGE)
}

/// Breaks a text into lines of at most `limit` pixels, at spaces.
pub fn wrap(text: &str, em: f64, limit: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(&format!("{line} {word}"), em) <= limit => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The text, cut to at most `limit` pixels with an ellipsis.
pub fn shorten(text: &str, em: f64, limit: f64) -> String {
    if width(text, em) <= limit {
        return text.to_owned();
    }
    let mut kept: String = text.to_owned();
    while !kept.is_empty() && width(&kept, em) + width("…", em) > limit {
        kept.pop();
    }
    kept.trim_end().to_owned() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_the_characters_of_the_figures() {
        register().expect("the embedded font is a font");
        let blank = width("\u{f8ff}", 100.0);
        for c in "ρλ⁻³·−–≤√ℓ".chars().filter(|c| *c != 'ℓ') {
            // A missing character is drawn as the font's box, whose width none of these shares.
            assert!(
                (width(&c.to_string(), 100.0) - blank).abs() > 0.5,
                "{c} is missing"
            );
        }
        assert!(width("mm", 10.0) > 1.9 * width("m", 10.0));
    }

    #[test]
    fn wraps_at_spaces() {
        assert_eq!(shorten("short", 10.0, 100.0), "short");
        let cut = shorten("a very long name of a method", 10.0, 60.0);
        assert!(cut.ends_with('…') && width(&cut, 10.0) <= 60.0, "{cut}");
        let lines = wrap("one two three four", 10.0, width("three four", 10.0));
        assert_eq!(lines.join(" "), "one two three four");
        assert!(
            lines.len() >= 2
                && lines
                    .iter()
                    .all(|line| width(line, 10.0) <= width("three four", 10.0))
        );
    }
}
