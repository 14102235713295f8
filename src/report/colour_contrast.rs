//! Colours on a light and on a dark ground: contrast as WCAG 2.2 counts it, and a colour's neighbour that has
//! enough of it. Hue is kept, lightness moved, in Ottosson's OKLCh (2020).

use palette::color_difference::Wcag21RelativeContrast;
use palette::convert::FromColorUnclamped;
use palette::{LinSrgb, Oklch, Srgb};

use super::palette::Colour;

/// Ground of the page's figures when it is light.
pub const LIGHT: Colour = [0xff, 0xff, 0xff];
/// Ground of the page's figures when it is dark.
#[cfg(test)]
pub const DARK: Colour = [0x1b, 0x1e, 0x23];
/// Least contrast of a line or a marker (WCAG AA, 1.4.11).
pub const GRAPHIC: f64 = 3.0;

fn srgb(colour: Colour) -> Srgb<f64> {
    Srgb::from(colour).into_format()
}

fn oklch(colour: Colour) -> Oklch<f64> {
    Oklch::from_color_unclamped(srgb(colour))
}

/// Contrast ratio of two colours, 1 to 21.
pub fn ratio(a: Colour, b: Colour) -> f64 {
    srgb(a).relative_contrast(srgb(b))
}

/// The colour at another lightness: same hue, as much chroma as sRGB has there.
fn at_lightness(colour: Colour, lightness: f64) -> Colour {
    let Oklch { chroma, hue, .. } = oklch(colour);
    let steps = (0..=40).rev().map(f64::from);
    let mut nearer = steps.map(|step| {
        let chroma = chroma * step / 40.0;
        LinSrgb::from_color_unclamped(Oklch::new(lightness, chroma, hue))
    });
    let inside = |x: f64| (-1e-4..=1.0001).contains(&x);
    let found = nearer.find(|found| [found.red, found.green, found.blue].into_iter().all(inside));
    // without chroma every lightness up to 1 is inside
    let found = found.unwrap_or_else(|| LinSrgb::new(1.0, 1.0, 1.0));
    Srgb::<u8>::from_linear(found).into()
}

/// A method's colour on the light ground: its own, darkened as far as [`GRAPHIC`] asks.
pub fn on_light(colour: Colour) -> Colour {
    let mut lightness = oklch(colour).l;
    let mut found = colour;
    while ratio(found, LIGHT) < GRAPHIC {
        lightness -= 0.01;
        found = at_lightness(colour, lightness);
    }
    found
}

/// A method's colour on the dark ground. Lightness is mirrored, so that shades keep their order: what stands
/// out most on white (exact's black) does so on black; all have [`GRAPHIC`] at least.
pub fn on_dark(colour: Colour) -> Colour {
    let lightness = 1.02 - 0.52 * oklch(colour).l;
    at_lightness(colour, lightness.clamp(0.54, 0.97))
}

/// `#rrggbb`
pub fn hex([r, g, b]: Colour) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_the_guidelines() {
        assert!((ratio([0; 3], [255; 3]) - 21.0).abs() < 1e-9);
        // #767676 is the lightest grey that passes 4.5 on white
        assert!(ratio([0x76; 3], LIGHT) >= 4.5 && ratio([0x77; 3], LIGHT) < 4.5);
        assert_eq!(hex([0, 0x72, 0xb2]), "#0072b2");
    }

    #[test]
    fn lightness_changes_and_hue_stays() {
        // 24-bit colours are 0.002 apart in lightness, and hue is as sharp as their chroma allows
        for colour in [[0x00, 0x72, 0xb2], [0xe6, 0x9f, 0x00], [0x88, 0x22, 0x55]] {
            let same = at_lightness(colour, oklch(colour).l);
            for (a, b) in colour.iter().zip(same) {
                assert!(a.abs_diff(b) <= 1, "{colour:?} {same:?}");
            }
            let hue = |c: Colour| oklch(c).hue.into_radians();
            let light = at_lightness(colour, 0.8);
            assert!((oklch(light).l - 0.8).abs() < 0.01, "{light:?}");
            assert!((hue(light) - hue(colour)).abs() < 0.1, "{light:?}");
        }
    }

    #[test]
    fn every_colour_has_enough_contrast_on_both_grounds() {
        for i in 0..18usize.pow(3) {
            let colour = [i / 324, i / 18 % 18, i % 18].map(|step| 15 * step as u8);
            let (light, dark) = (on_light(colour), on_dark(colour));
            assert!(ratio(light, LIGHT) >= GRAPHIC, "{colour:?} {light:?}");
            assert!(ratio(dark, DARK) >= GRAPHIC, "{colour:?} {dark:?}");
        }
        // mirrored: black is nearly white
        assert!(ratio(on_dark([0; 3]), DARK) > 12.0);
    }
}
