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

impl Style {
    /// A name with its look.
    pub fn new(name: impl Into<String>, look: Look) -> Self {
        Self {
            name: name.into(),
            colour: look.colour,
            marker: look.marker,
            dash: look.dash,
        }
    }

    /// The look alone.
    pub fn look(&self) -> Look {
        Look::new(self.colour, self.marker, self.dash)
    }
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
        let mut unknown: Vec<&str> = Vec::new();
        for label in labels {
            if styles.contains_key(label) {
                continue;
            }
            let (method, options) = Given::parse(label);
            let drawn = drawn_or_plain(method, &options);
            let look = drawn.look.unwrap_or_else(|| {
                let known = unknown.iter().position(|name| *name == method);
                let i = known.unwrap_or(unknown.len());
                if known.is_none() {
                    unknown.push(method);
                }
                let (row, column) = (i / OTHERS.len(), i % OTHERS.len());
                Look::new(
                    OTHERS[column],
                    MARKERS[i % MARKERS.len()],
                    DASHES[row % DASHES.len()],
                )
            });
            let mut style = Style::new(name(&drawn, &options), look);
            // A variant by an option that has no look of its own: the next marker, then the next dash.
            let taken = |style: &Style| styles.values().any(|other| other.look() == style.look());
            for step in 1..=MARKERS.len() * DASHES.len() {
                if !taken(&style) {
                    break;
                }
                style.marker = after(&MARKERS, look.marker, step);
                style.dash = after(&DASHES, look.dash, step / MARKERS.len() + 1);
            }
            styles.insert(label.to_owned(), style);
        }
        Self { styles }
    }

    /// Name of a label for readers.
    pub fn name(&self, label: &str) -> String {
        self.style(label).name
    }

    /// Style of a label; grey for one that the palette was not made with.
    pub fn style(&self, label: &str) -> Style {
        self.styles.get(label).cloned().unwrap_or_else(|| {
            let (method, options) = Given::parse(label);
            let name = name(&drawn_or_plain(method, &options), &options);
            Style::new(name, Look::new(GREY, Marker::Circle, Dash::Solid))
        })
    }
}

/// What stands `step` places after one of `all`, which begin anew after the last.
fn after<T: Copy + PartialEq>(all: &[T], one: T, step: usize) -> T {
    let at = all.iter().position(|other| *other == one).unwrap_or(0);
    all[(at + step) % all.len()]
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
    fn looks_and_names_are_distinct_and_do_not_depend_on_the_other_methods() {
        let many: Vec<String> = (1..20).map(|k| format!("lissa:iterations={k}")).collect();
        for labels in [LABELS.to_vec(), many.iter().map(String::as_str).collect()] {
            let palette = Palette::new(labels.iter().copied());
            for (i, a) in labels.iter().enumerate() {
                for b in &labels[..i] {
                    let (a, b) = (palette.style(a), palette.style(b));
                    assert!(a.look() != b.look() && a.name != b.name, "{a:?} and {b:?}");
                }
            }
        }
        for label in &LABELS[..5] {
            assert_eq!(
                Palette::new([*label]).style(label),
                Palette::new(LABELS).style(label)
            );
        }
    }

    #[test]
    fn names_are_readable() {
        let palette = Palette::new(LABELS);
        for (label, expected) in [
            (3, "DataInf, groups of 8"),
            (5, "DataInf, groups of 32, in order"),
            (10, "LiSSA (code)"),
            (11, "LiSSA, scaled, 100 steps"),
            (12, "Conjugate gradient, tolerance 1e-6"),
            (13, "Conjugate gradient, Nyström preconditioner, rank 8"),
            (14, "Conjugate gradient, diagonal preconditioner"),
            (15, "Lanczos"),
            (16, "Arnoldi, rank 16"),
            (17, "Nyström, rank 8"),
            (18, "HyperINF"),
            (19, "HyperINF (published)"),
            (20, "HyperINF (code)"),
            (21, "K-FAC"),
            (22, "EK-FAC"),
            (23, "EK-FAC, sampled labels"),
            (24, "TracIn"),
            (25, "Gradient cosine"),
            (26, "Random projection, dim 64"),
            (27, "LoGra"),
            (28, "True Hessian"),
            (29, "True Hessian, absolute"),
        ] {
            assert_eq!(palette.name(LABELS[label]), expected);
        }
        assert_eq!(palette.name("élan"), "élan");
    }
}
