//! One colour, marker, dash and name per method, the same in every figure: as the method says, and different ones for
//! variants that it does not tell apart.

use std::collections::BTreeMap;

use crate::look::{Drawn, Given};
use crate::results::methods::drawn;

pub use crate::look::{Colour, DASHES, Dash, Look, MARKERS, Marker};

/// Text and axes.
pub const INK: Colour = [0x22, 0x22, 0x22];
/// The ground of every figure.
pub const WHITE: Colour = [0xff, 0xff, 0xff];
/// Secondary text and reference lines.
pub const GREY: Colour = [0x6b, 0x6b, 0x6b];
/// Grid lines.
pub const GRID: Colour = [0xe4, 0xe4, 0xe4];

/// How a method is drawn and called.
#[derive(Clone, Debug, PartialEq)]
pub struct Style {
    /// Name for readers.
    pub name: String,
    /// Colour.
    pub colour: Colour,
    /// Marker.
    pub marker: Marker,
    /// Dash of its lines.
    pub dash: Dash,
}

/// Styles of all methods of a report.
#[derive(Clone, Debug, Default)]
pub struct Palette {
    styles: BTreeMap<String, Style>,
}

/// For methods that the table below does not know (Tol's muted scheme), by order.
const OTHERS: [Colour; 7] = [
    [0x88, 0x22, 0x55],
    [0x99, 0x99, 0x33],
    [0x33, 0x22, 0x88],
    [0x44, 0xaa, 0x99],
    [0xaa, 0x44, 0x99],
    [0x11, 0x77, 0x33],
    [0x66, 0x66, 0x66],
];

impl Palette {
    /// Styles for method labels (`name` or `name:key=value,...`), given in the order of the settings.
    ///
    /// A known method looks the same in every report; an unknown one takes the next free colour. Two
    /// labels never share colour, marker and dash all at once (up to 28 variants of one method).
    pub fn new<'a>(labels: impl IntoIterator<Item = &'a str>) -> Self {
        let mut styles: BTreeMap<String, Style> = BTreeMap::new();
        let mut unknown: Vec<String> = Vec::new();
        for label in labels {
            if styles.contains_key(label) {
                continue;
            }
            let (method, options) = Given::parse(label);
            let drawn = drawn_or_plain(method, &options);
            let Look {
                colour,
                marker,
                dash,
            } = drawn.look.unwrap_or_else(|| {
                let position = unknown
                    .iter()
                    .position(|name| name == method)
                    .unwrap_or_else(|| {
                        unknown.push(method.to_owned());
                        unknown.len() - 1
                    });
                Look::new(
                    OTHERS[position % OTHERS.len()],
                    MARKERS[position % MARKERS.len()],
                    DASHES[position / OTHERS.len() % DASHES.len()],
                )
            });
            let mut style = Style {
                name: name(&drawn, &options),
                colour,
                marker,
                dash,
            };
            // A variant by an option that has no look of its own: the next marker, then the next dash.
            let taken = |style: &Style| {
                styles.values().any(|other| {
                    (other.colour, other.marker, other.dash)
                        == (style.colour, style.marker, style.dash)
                })
            };
            for step in 1..=MARKERS.len() * DASHES.len() {
                if !taken(&style) {
                    break;
                }
                let next = |all: usize, at: usize, by: usize| (at + by) % all;
                let at = MARKERS.iter().position(|m| *m == marker).unwrap_or(0);
                style.marker = MARKERS[next(MARKERS.len(), at, step)];
                let at = DASHES.iter().position(|d| *d == dash).unwrap_or(0);
                style.dash = DASHES[next(DASHES.len(), at, step / MARKERS.len() + 1)];
            }
            styles.insert(label.to_owned(), style);
        }
        Self { styles }
    }

    /// Style of a label; grey for one that the palette was not made with.
    pub fn style(&self, label: &str) -> Style {
        self.styles.get(label).cloned().unwrap_or_else(|| {
            let (method, options) = Given::parse(label);
            Style {
                name: name(&drawn_or_plain(method, &options), &options),
                colour: GREY,
                marker: Marker::Circle,
                dash: Dash::Solid,
            }
        })
    }
}

/// As the method says; with a title of its name when no method of this version has it.
fn drawn_or_plain(method: &str, options: &Given<'_>) -> Drawn {
    drawn(method, options).unwrap_or_else(|| {
        let mut title = method.replace('_', " ");
        if let Some(first) = title.get(..1).map(str::to_uppercase) {
            title.replace_range(..1, &first);
        }
        Drawn {
            title,
            look: None,
            shown: Vec::new(),
        }
    })
}

/// The title, with the options that it does not show.
fn name(drawn: &Drawn, options: &Given<'_>) -> String {
    let mut name = drawn.title.clone();
    for (key, value) in options.iter().filter(|(key, _)| !drawn.shown.contains(key)) {
        name.push_str(format!(", {} {value}", key.replace('_', " ")).trim_end());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [&str; 30] = [
        "exact",
        "datainf",
        "datainf:group_size=2",
        "datainf:group_size=8",
        "datainf:group_size=32",
        "datainf:group_size=32,shuffle=false",
        "hessian_free",
        "hessian_free_block_weighted",
        "diagonal_fisher",
        "lissa",
        "lissa:variant=code",
        "lissa:scale=auto,iterations=100",
        "conjugate_gradient:tolerance=1e-6",
        "conjugate_gradient:preconditioner=nystrom,rank=8",
        "conjugate_gradient:preconditioner=diagonal",
        "lanczos",
        "arnoldi:rank=16",
        "nystrom:rank=8",
        "hyperinf",
        "hyperinf:variant=published",
        "hyperinf:variant=code",
        "kfac",
        "ekfac",
        "ekfac:labels=sampled",
        "tracin",
        "grad_cos",
        "random_projection:dim=64",
        "logra",
        "true_hessian",
        "true_hessian:negative=absolute",
    ];

    #[test]
    fn looks_are_distinct_and_do_not_depend_on_the_other_methods() {
        let palette = Palette::new(LABELS);
        for (i, a) in LABELS.iter().enumerate() {
            for b in &LABELS[..i] {
                let (a, b) = (palette.style(a), palette.style(b));
                assert_ne!(
                    (a.colour, a.marker, a.dash),
                    (b.colour, b.marker, b.dash),
                    "{} and {}",
                    a.name,
                    b.name
                );
                assert_ne!(a.name, b.name);
            }
        }
        for label in &LABELS[..5] {
            assert_eq!(Palette::new([*label]).style(label), palette.style(label));
        }
    }

    #[test]
    fn names_are_readable() {
        let palette = Palette::new(LABELS);
        let names: Vec<String> = LABELS
            .iter()
            .map(|label| palette.style(label).name)
            .collect();
        assert_eq!(names[3], "DataInf, groups of 8");
        assert_eq!(names[5], "DataInf, groups of 32, in order");
        assert_eq!(names[10], "LiSSA (code)");
        assert_eq!(names[11], "LiSSA, scaled, 100 steps");
        assert_eq!(names[12], "Conjugate gradient, tolerance 1e-6");
        assert_eq!(
            names[13..],
            [
                "Conjugate gradient, Nyström preconditioner, rank 8",
                "Conjugate gradient, diagonal preconditioner",
                "Lanczos",
                "Arnoldi, rank 16",
                "Nyström, rank 8",
                "HyperINF",
                "HyperINF (published)",
                "HyperINF (code)",
                "K-FAC",
                "EK-FAC",
                "EK-FAC, sampled labels",
                "TracIn",
                "Gradient cosine",
                "Random projection, dim 64",
                "LoGra",
                "True Hessian",
                "True Hessian, absolute",
            ]
        );
        assert_eq!(palette.style("élan").name, "élan");
    }

    #[test]
    fn many_variants_of_one_method_stay_distinct() {
        let labels: Vec<String> = (1..20).map(|k| format!("lissa:iterations={k}")).collect();
        let palette = Palette::new(labels.iter().map(String::as_str));
        let looks: std::collections::HashSet<_> = labels
            .iter()
            .map(|l| palette.style(l))
            .map(|s| format!("{:?}{:?}", s.marker, s.dash))
            .collect();
        assert_eq!(looks.len(), labels.len());
    }
}
