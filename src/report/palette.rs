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
    /// Colour, marker and dash.
    pub look: Look,
}

impl Style {
    /// A name with its look.
    pub fn new(name: impl Into<String>, look: Look) -> Self {
        let name = name.into();
        Self { name, look }
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
            let taken = |style: &Style| styles.values().any(|other| other.look == style.look);
            for step in 1..=MARKERS.len() * DASHES.len() {
                if !taken(&style) {
                    break;
                }
                style.look.marker = after(&MARKERS, look.marker, step);
                style.look.dash = after(&DASHES, look.dash, step / MARKERS.len() + 1);
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

    /// Labels and their names.
    const NAMES: [(&str, &str); 30] = [
        ("exact", "Exact"),
        ("datainf", "DataInf"),
        ("datainf:group_size=2", "DataInf, groups of 2"),
        ("datainf:group_size=8", "DataInf, groups of 8"),
        ("datainf:group_size=32", "DataInf, groups of 32"),
        (
            "datainf:group_size=32,shuffle=false",
            "DataInf, groups of 32, in order",
        ),
        ("hessian_free", "Hessian-free"),
        ("hessian_free_block_weighted", "Hessian-free, 1/λ per block"),
        ("diagonal_fisher", "Diagonal Fisher"),
        ("lissa", "LiSSA (paper)"),
        ("lissa:variant=code", "LiSSA (code)"),
        (
            "lissa:scale=auto,iterations=100",
            "LiSSA, scaled, 100 steps",
        ),
        (
            "conjugate_gradient:tolerance=1e-6",
            "Conjugate gradient, tolerance 1e-6",
        ),
        (
            "conjugate_gradient:preconditioner=nystrom,rank=8",
            "Conjugate gradient, Nyström preconditioner, rank 8",
        ),
        (
            "conjugate_gradient:preconditioner=diagonal",
            "Conjugate gradient, diagonal preconditioner",
        ),
        ("lanczos", "Lanczos"),
        ("arnoldi:rank=16", "Arnoldi, rank 16"),
        ("nystrom:rank=8", "Nyström, rank 8"),
        ("hyperinf", "HyperINF"),
        ("hyperinf:variant=published", "HyperINF (published)"),
        ("hyperinf:variant=code", "HyperINF (code)"),
        ("kfac", "K-FAC"),
        ("ekfac", "EK-FAC"),
        ("ekfac:labels=sampled", "EK-FAC, sampled labels"),
        ("tracin", "TracIn"),
        ("grad_cos", "Gradient cosine"),
        ("random_projection:dim=64", "Random projection, dim 64"),
        ("logra", "LoGra"),
        ("true_hessian", "True Hessian"),
        ("true_hessian:negative=absolute", "True Hessian, absolute"),
    ];

    #[test]
    fn looks_and_names_are_distinct_and_do_not_depend_on_the_other_methods() {
        let many: Vec<String> = (1..20).map(|k| format!("lissa:iterations={k}")).collect();
        let known = NAMES.map(|(label, _)| label);
        for labels in [known.to_vec(), many.iter().map(String::as_str).collect()] {
            let palette = Palette::new(labels.iter().copied());
            for (i, a) in labels.iter().enumerate() {
                for b in &labels[..i] {
                    let (a, b) = (palette.style(a), palette.style(b));
                    assert!(a.look != b.look && a.name != b.name, "{a:?} and {b:?}");
                }
            }
        }
        let palette = Palette::new(known);
        for (label, name) in NAMES {
            assert_eq!(palette.name(label), name);
        }
        for label in &known[..5] {
            assert_eq!(Palette::new([*label]).style(label), palette.style(label));
        }
        assert_eq!(palette.name("élan"), "élan");
    }
}
