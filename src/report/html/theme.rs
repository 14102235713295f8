//! The page's colours on a light and a dark ground, as variables of its style sheet.

use std::fmt::Write as _;

use crate::report::colour_contrast::{LIGHT, hex, on_dark, on_light};
use crate::report::palette::{Colour, GREY, GRID, INK};

/// Name, on light, on dark: of the page itself.
pub const GROUND: [(&str, Colour, Colour); 13] = [
    ("paper", [0xf7, 0xf8, 0xfa], [0x12, 0x14, 0x17]),
    ("card", [0xff, 0xff, 0xff], [0x1b, 0x1e, 0x23]),
    ("stripe", [0xf3, 0xf5, 0xf8], [0x21, 0x25, 0x2b]),
    ("mark", [0xff, 0xf2, 0xc2], [0x3d, 0x37, 0x1c]),
    ("ink", [0x1d, 0x1f, 0x23], [0xe7, 0xe9, 0xec]),
    ("soft", [0x55, 0x5b, 0x64], [0xa9, 0xb0, 0xba]),
    ("grid", [0xe4, 0xe6, 0xea], [0x33, 0x38, 0x40]),
    ("rule", [0xd4, 0xd8, 0xde], [0x3a, 0x40, 0x49]),
    ("edge", [0x7d, 0x85, 0x90], [0x78, 0x81, 0x8e]),
    ("link", [0x0b, 0x5c, 0xad], [0x7d, 0xb7, 0xf5]),
    ("bad", [0xb3, 0x26, 0x1e], [0xff, 0x8a, 0x80]),
    ("good", [0x1b, 0x6e, 0x3c], [0x7b, 0xd3, 0x9a]),
    ("focus", [0xb4, 0x53, 0x09], [0xff, 0xb8, 0x6b]),
];

/// The colours of a page's figures, each with a class.
#[derive(Clone, Debug, Default)]
pub struct Colours {
    used: Vec<Colour>,
}

impl Colours {
    /// Class of a colour. Text, secondary text and grid follow the page's own.
    pub fn class(&mut self, colour: Colour) -> String {
        match colour {
            INK => return "ink".to_owned(),
            GREY => return "soft".to_owned(),
            GRID => return "grid".to_owned(),
            // a halo is of the ground's colour
            LIGHT => return "card".to_owned(),
            _ => {}
        }
        let position = self.used.iter().position(|other| *other == colour);
        let position = position.unwrap_or_else(|| {
            self.used.push(colour);
            self.used.len() - 1
        });
        format!("c{position}")
    }

    /// The variables: light, dark by the reader's system or choice, light again on paper.
    pub fn style(&self) -> String {
        let mut rules = String::new();
        let (mut light, mut dark) = (String::new(), String::new());
        for (name, on_light, on_dark) in GROUND {
            let _ = write!(light, "--{name}:{};", hex(on_light));
            let _ = write!(dark, "--{name}:{};", hex(on_dark));
        }
        for (i, colour) in self.used.iter().enumerate() {
            let _ = write!(light, "--k{i}:{};", hex(on_light(*colour)));
            let _ = write!(dark, "--k{i}:{};", hex(on_dark(*colour)));
            let _ = write!(rules, ".c{i}{{--c:var(--k{i})}}");
        }
        for name in ["card", "ink", "soft", "grid"] {
            let _ = write!(rules, ".{name}{{--c:var(--{name})}}");
        }
        format!(
            ":root{{color-scheme:light;{light}}}\n\
             @media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n\
             :root[data-theme=dark]{{color-scheme:dark;{dark}}}\n\
             @media print{{:root,:root[data-theme=dark],:root:not([data-theme=light]){{color-scheme:light;{light}}}}}\n\
             {rules}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::colour_contrast::{DARK, GRAPHIC, ratio};

    fn ground(name: &str) -> [Colour; 2] {
        let found = GROUND.iter().find(|(other, ..)| *other == name);
        found
            .map(|(_, light, dark)| [*light, *dark])
            .expect("listed")
    }

    #[test]
    fn texts_and_controls_have_the_contrast_that_wcag_aa_asks() {
        assert_eq!(ground("card"), [LIGHT, DARK]);
        for back in ["paper", "card", "stripe", "mark"] {
            for (i, back_colour) in ground(back).into_iter().enumerate() {
                for text in ["ink", "soft", "link", "bad", "good"] {
                    let found = ratio(ground(text)[i], back_colour);
                    assert!(found >= 4.5, "{text} on {back}: {found:.2}");
                }
                for graphic in ["edge", "focus"] {
                    let found = ratio(ground(graphic)[i], back_colour);
                    assert!(found >= GRAPHIC, "{graphic} on {back}: {found:.2}");
                }
            }
        }
    }

    #[test]
    fn a_colour_has_one_class() {
        let mut colours = Colours::default();
        assert_eq!(colours.class([1, 2, 3]), "c0");
        assert_eq!(colours.class(INK), "ink");
        assert_eq!(colours.class([4, 5, 6]), "c1");
        assert_eq!(colours.class([1, 2, 3]), "c0");
        let style = colours.style();
        assert!(style.contains(".c1{--c:var(--k1)}") && !style.contains("--k2"));
    }
}
