//! Colours on a light and on a dark ground: contrast as WCAG 2.2 counts it, and a colour's neighbour that has
//! enough of it. Hue is kept, lightness moved, in Ottosson's OKLab (2020).

use super::palette::Colour;

/// Ground of the page's figures when it is light.
pub const LIGHT: Colour = [0xff, 0xff, 0xff];
/// Ground of the page's figures when it is dark.
#[cfg(test)]
pub const DARK: Colour = [0x1b, 0x1e, 0x23];
/// Least contrast of a line or a marker (WCAG AA, 1.4.11).
pub const GRAPHIC: f64 = 3.0;

fn linear(channel: u8) -> f64 {
    let x = f64::from(channel) / 255.0;
    if x <= 0.04045 {
        x / 12.92
    } else {
        ((x + 0.055) / 1.055).powf(2.4)
    }
}

fn encoded(x: f64) -> u8 {
    let x = x.clamp(0.0, 1.0);
    let y = if x <= 0.0031308 {
        12.92 * x
    } else {
        1.055 * x.powf(1.0 / 2.4) - 0.055
    };
    (255.0 * y).round() as u8
}

/// Relative luminance, 0 (black) to 1 (white).
pub fn luminance(colour: Colour) -> f64 {
    let [r, g, b] = colour.map(linear);
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// Contrast ratio of two colours, 1 to 21.
pub fn ratio(a: Colour, b: Colour) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Lightness and the two opponent axes.
fn oklab(colour: Colour) -> [f64; 3] {
    let [r, g, b] = colour.map(linear);
    let l = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b).cbrt();
    let m = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b).cbrt();
    let s = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b).cbrt();
    [
        0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
        1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
        0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
    ]
}

/// The colour, or nothing when it is outside of sRGB.
fn srgb([lightness, a, b]: [f64; 3]) -> Option<Colour> {
    let l = (lightness + 0.3963377774 * a + 0.2158037573 * b).powi(3);
    let m = (lightness - 0.1055613458 * a - 0.0638541728 * b).powi(3);
    let s = (lightness - 0.0894841775 * a - 1.2914855480 * b).powi(3);
    let channels = [
        4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
        -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
        -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s,
    ];
    let inside = channels.iter().all(|x| (-1e-4..=1.0001).contains(x));
    inside.then(|| channels.map(encoded))
}

/// The colour at another lightness: same hue, as much chroma as sRGB has there.
fn at_lightness(colour: Colour, lightness: f64) -> Colour {
    let [_, a, b] = oklab(colour);
    (0..=40)
        .rev()
        .find_map(|step| {
            let chroma = f64::from(step) / 40.0;
            srgb([lightness, chroma * a, chroma * b])
        })
        .unwrap_or([encoded(lightness.powi(3)); 3])
}

/// A method's colour on the light ground: its own, darkened as far as [`GRAPHIC`] asks.
pub fn on_light(colour: Colour) -> Colour {
    let mut lightness = oklab(colour)[0];
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
    let lightness = 1.02 - 0.52 * oklab(colour)[0];
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
            let same = at_lightness(colour, oklab(colour)[0]);
            for (a, b) in colour.iter().zip(same) {
                assert!(a.abs_diff(b) <= 1, "{colour:?} {same:?}");
            }
            let hue = |c: Colour| oklab(c)[2].atan2(oklab(c)[1]);
            let light = at_lightness(colour, 0.8);
            assert!((oklab(light)[0] - 0.8).abs() < 0.01, "{light:?}");
            assert!((hue(light) - hue(colour)).abs() < 0.1, "{light:?}");
        }
    }

    #[test]
    fn every_colour_has_enough_contrast_on_both_grounds() {
        for r in (0..=255).step_by(15) {
            for g in (0..=255).step_by(15) {
                for b in (0..=255).step_by(15) {
                    let colour = [r as u8, g as u8, b as u8];
                    let (light, dark) = (on_light(colour), on_dark(colour));
                    assert!(ratio(light, LIGHT) >= GRAPHIC, "{colour:?} {light:?}");
                    assert!(ratio(dark, DARK) >= GRAPHIC, "{colour:?} {dark:?}");
                }
            }
        }
        // mirrored: black is nearly white
        assert!(ratio(on_dark([0; 3]), DARK) > 12.0);
    }
}
