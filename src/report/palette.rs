//! One colour, marker, dash and name per method, the same in every figure.
//!
//! Colours are those of Okabe and Ito (2008), which people with any colour vision can tell apart;
//! markers and dashes say the same a second time.

use std::collections::BTreeMap;

/// Red, green, blue.
pub type Colour = [u8; 3];

/// Text and axes.
pub const INK: Colour = [0x22, 0x22, 0x22];
/// The ground of every figure.
pub const WHITE: Colour = [0xff, 0xff, 0xff];
/// Secondary text and reference lines.
pub const GREY: Colour = [0x6b, 0x6b, 0x6b];
/// Grid lines.
pub const GRID: Colour = [0xe4, 0xe4, 0xe4];

/// Shape of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// ●
    Circle,
    /// ■
    Square,
    /// ◆
    Diamond,
    /// ▲
    Up,
    /// ▼
    Down,
    /// ✕
    Cross,
    /// +
    Plus,
}

/// All of them, in the order that variants take them.
pub const MARKERS: [Marker; 7] = [
    Marker::Circle,
    Marker::Square,
    Marker::Diamond,
    Marker::Up,
    Marker::Down,
    Marker::Cross,
    Marker::Plus,
];

/// Pattern of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dash {
    /// Unbroken.
    Solid,
    /// Long dashes.
    Dashed,
    /// Short dashes.
    Dotted,
    /// Alternating.
    Alternating,
}

const DASHES: [Dash; 4] = [Dash::Solid, Dash::Dashed, Dash::Dotted, Dash::Alternating];

impl Dash {
    /// Lengths of strokes and gaps in pixels; empty when solid.
    pub fn lengths(self) -> &'static [f64] {
        match self {
            Self::Solid => &[],
            Self::Dashed => &[8.0, 4.0],
            Self::Dotted => &[2.5, 3.0],
            Self::Alternating => &[9.0, 3.5, 2.5, 3.5],
        }
    }
}

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
            let (method, options) = parse(label);
            let (colour, marker, dash) = known(method, &options).unwrap_or_else(|| {
                let position = unknown
                    .iter()
                    .position(|name| name == method)
                    .unwrap_or_else(|| {
                        unknown.push(method.to_owned());
                        unknown.len() - 1
                    });
                (
                    OTHERS[position % OTHERS.len()],
                    MARKERS[position % MARKERS.len()],
                    DASHES[position / OTHERS.len() % DASHES.len()],
                )
            });
            let mut style = Style {
                name: pretty(method, &options),
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
            let (method, options) = parse(label);
            Style {
                name: pretty(method, &options),
                colour: GREY,
                marker: Marker::Circle,
                dash: Dash::Solid,
            }
        })
    }
}

/// `datainf:group_size=8,shuffle=false` → (`datainf`, [(`group_size`, `8`), (`shuffle`, `false`)]).
fn parse(label: &str) -> (&str, Vec<(&str, &str)>) {
    let (method, options) = label.split_once(':').unwrap_or((label, ""));
    let options = options.split(',').filter(|option| !option.is_empty());
    let options = options.map(|option| option.split_once('=').unwrap_or((option, "")));
    (
        method.trim(),
        options
            .map(|(key, value)| (key.trim(), value.trim()))
            .collect(),
    )
}

fn option<'a>(options: &[(&'a str, &'a str)], key: &str) -> Option<&'a str> {
    options
        .iter()
        .find(|(name, _)| *name == key)
        .map(|(_, value)| *value)
}

fn known(method: &str, options: &[(&str, &str)]) -> Option<(Colour, Marker, Dash)> {
    let look = match method {
        "exact" => ([0x00, 0x00, 0x00], Marker::Square, Dash::Solid),
        "datainf" => match option(options, "group_size")
            .and_then(|size| size.parse::<usize>().ok())
            .unwrap_or(1)
        {
            0 | 1 => ([0x00, 0x72, 0xb2], Marker::Circle, Dash::Solid),
            size => grouped(size),
        },
        "hessian_free" => ([0xe6, 0x9f, 0x00], Marker::Square, Dash::Dashed),
        "hessian_free_block_weighted" => ([0xd5, 0x5e, 0x00], Marker::Diamond, Dash::Alternating),
        "diagonal_fisher" => ([0xcc, 0x79, 0xa7], Marker::Down, Dash::Dashed),
        "lissa" => match (option(options, "variant"), option(options, "scale")) {
            (_, Some("auto")) => ([0x00, 0x5f, 0x45], Marker::Up, Dash::Solid),
            (Some("code"), _) => ([0x6a, 0x9a, 0x2d], Marker::Plus, Dash::Dotted),
            _ => ([0x00, 0x9e, 0x73], Marker::Cross, Dash::Dotted),
        },
        "grad_cos" => ([0xb8, 0x86, 0x0b], Marker::Cross, Dash::Dashed),
        "random_projection" => ([0x99, 0x99, 0x33], Marker::Diamond, Dash::Dotted),
        "logra" => ([0x33, 0x22, 0x88], Marker::Down, Dash::Solid),
        "conjugate_gradient" => match option(options, "preconditioner") {
            Some("diagonal") => ([0x7a, 0x30, 0x8c], Marker::Up, Dash::Dashed),
            Some("nystrom") => ([0x7a, 0x30, 0x8c], Marker::Diamond, Dash::Dotted),
            _ => ([0x7a, 0x30, 0x8c], Marker::Circle, Dash::Dashed),
        },
        "lanczos" => ([0x8c, 0x51, 0x0a], Marker::Up, Dash::Solid),
        "arnoldi" => ([0xbf, 0x81, 0x2d], Marker::Down, Dash::Dotted),
        "nystrom" => ([0x01, 0x66, 0x5e], Marker::Diamond, Dash::Solid),
        "hyperinf" => match option(options, "variant") {
            Some("published") => ([0xc5, 0x1b, 0x7d], Marker::Cross, Dash::Dotted),
            Some("code") => ([0xc5, 0x1b, 0x7d], Marker::Plus, Dash::Alternating),
            _ => ([0xc5, 0x1b, 0x7d], Marker::Square, Dash::Solid),
        },
        "true_hessian" => {
            let dash = match option(options, "negative") {
                Some("absolute") => Dash::Dashed,
                Some("clip") => Dash::Dotted,
                _ => Dash::Solid,
            };
            ([0xaa, 0x33, 0x11], Marker::Circle, dash)
        }
        "kfac" => ([0x99, 0x44, 0x55], Marker::Up, sampled(options)),
        "ekfac" => ([0x88, 0x22, 0x55], Marker::Plus, sampled(options)),
        "tracin" => ([0x99, 0x77, 0x00], Marker::Down, Dash::Dotted),
        _ => return None,
    };
    Some(look)
}

/// Methods that take the data's labels are drawn unbroken, those that sample them with short dashes.
fn sampled(options: &[(&str, &str)]) -> Dash {
    match option(options, "labels") {
        Some("sampled") => Dash::Dotted,
        _ => Dash::Solid,
    }
}

/// Groups are the way from DataInf's blue to exact's black: the larger, the darker, with a marker of
/// their own each power of two.
fn grouped(size: usize) -> (Colour, Marker, Dash) {
    const SHADES: [Colour; 5] = [
        [0x56, 0xb4, 0xe9],
        [0x3d, 0x9a, 0xd6],
        [0x5a, 0x78, 0xc8],
        [0x48, 0x58, 0xa6],
        [0x36, 0x3b, 0x7d],
    ];
    const SHAPES: [Marker; 5] = [
        Marker::Up,
        Marker::Square,
        Marker::Down,
        Marker::Plus,
        Marker::Diamond,
    ];
    let doubling = size.ilog2() as usize - 1;
    let shade = (doubling / 2).min(SHADES.len() - 1);
    (
        SHADES[shade],
        SHAPES[doubling % SHAPES.len()],
        if doubling.is_multiple_of(2) {
            Dash::Dashed
        } else {
            Dash::Solid
        },
    )
}

/// Name for readers.
fn pretty(method: &str, options: &[(&str, &str)]) -> String {
    let mut shown: Vec<&str> = Vec::new();
    let mut name = match method {
        "exact" => "Exact".to_owned(),
        "datainf" => {
            shown.extend(["group_size", "shuffle"]);
            let groups = option(options, "group_size").filter(|size| *size != "1");
            let order = option(options, "shuffle")
                .filter(|shuffle| *shuffle == "false" && groups.is_some());
            groups.map_or("DataInf".to_owned(), |size| {
                format!("DataInf, groups of {size}")
            }) + order.map_or("", |_| ", in order")
        }
        "hessian_free" => "Hessian-free".to_owned(),
        "hessian_free_block_weighted" => "Hessian-free, 1/λ per block".to_owned(),
        "diagonal_fisher" => "Diagonal Fisher".to_owned(),
        "datainf_dattri" => "DataInf as in dattri".to_owned(),
        "datainf_pydvl" => "DataInf as in pyDVL".to_owned(),
        "exact_dattri" => "Exact as in dattri".to_owned(),
        "exact_pydvl" => "Exact as in pyDVL".to_owned(),
        "lissa_dattri" => "LiSSA as in dattri".to_owned(),
        "lissa_pydvl" => "LiSSA as in pyDVL".to_owned(),
        "conjugate_gradient_dattri" => "CG as in dattri".to_owned(),
        "ekfac_kronfluence" => "EK-FAC as in kronfluence".to_owned(),
        "kfac_kronfluence" => "K-FAC as in kronfluence".to_owned(),
        "diagonal_kronfluence" => "Diagonal as in kronfluence".to_owned(),
        "lissa" => {
            shown.extend(["variant", "scale", "iterations"]);
            let variant = option(options, "variant").unwrap_or("paper");
            let scale = match option(options, "scale") {
                None | Some("1") => String::new(),
                Some("auto") => ", scaled".to_owned(),
                Some(scale) => format!(", scale {scale}"),
            };
            let iterations = option(options, "iterations")
                .map_or(String::new(), |count| format!(", {count} steps"));
            // The variants differ in the sign of the damping; `paper` needs no word once scaled.
            let variant = if variant == "paper" && !scale.is_empty() {
                String::new()
            } else {
                format!(" ({variant})")
            };
            format!("LiSSA{variant}{scale}{iterations}")
        }
        "conjugate_gradient" => {
            shown.extend(["preconditioner", "must_converge"]);
            let named = match option(options, "preconditioner") {
                None | Some("none") => "",
                Some("diagonal") => ", diagonal preconditioner",
                Some("nystrom") => ", Nyström preconditioner",
                Some(_) => {
                    shown.clear();
                    ""
                }
            };
            format!("Conjugate gradient{named}")
        }
        "nystrom" => "Nyström".to_owned(),
        "hyperinf" => {
            shown.push("variant");
            match option(options, "variant") {
                None | Some("converged") => "HyperINF".to_owned(),
                Some(variant) => format!("HyperINF ({variant})"),
            }
        }
        "kfac" | "ekfac" => {
            shown.push("labels");
            let labels = match option(options, "labels") {
                Some("sampled") => ", sampled labels",
                _ => "",
            };
            let name = if method == "kfac" { "K-FAC" } else { "EK-FAC" };
            format!("{name}{labels}")
        }
        "true_hessian" => {
            shown.push("negative");
            match option(options, "negative") {
                Some("absolute") => "True Hessian, absolute".to_owned(),
                Some("clip") => "True Hessian, clipped".to_owned(),
                _ => "True Hessian".to_owned(),
            }
        }
        "tracin" => "TracIn".to_owned(),
        "grad_cos" => "Gradient cosine".to_owned(),
        "logra" => "LoGra".to_owned(),
        other => {
            let mut text = other.replace('_', " ");
            if let Some(first) = text.get(..1).map(str::to_uppercase) {
                text.replace_range(..1, &first);
            }
            text
        }
    };
    for (key, value) in options.iter().filter(|(key, _)| !shown.contains(key)) {
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
