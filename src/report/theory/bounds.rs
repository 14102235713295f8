//! The measured error beside its bounds along every varied setting, and how tight they are.

use super::along::{cases, series, short, slope, title, values};
use crate::metrics::Direction;
use crate::report::chart::{Axis, Chart, Entry, Labels, Layer, Panel, Scale, Series, points};
use crate::report::figures::Outcome;
use crate::report::figures::findings::{self, Change};
use crate::report::number;
use crate::report::palette::{Colour, Dash, Marker, Style};
use crate::results::theory::{Quantities, TheoryResults};

/// A curve: how it looks, and its value.
struct Curve {
    name: &'static str,
    colour: Colour,
    marker: Marker,
    dash: Dash,
    of: fn(&Quantities) -> f64,
}

impl Curve {
    const fn new(
        name: &'static str,
        (colour, marker, dash): (Colour, Marker, Dash),
        of: fn(&Quantities) -> f64,
    ) -> Self {
        Self {
            name,
            colour,
            marker,
            dash,
            of,
        }
    }
}

const ERROR: Curve = Curve::new(
    "measured ‖D − E‖",
    ([0, 0, 0], Marker::Circle, Dash::Solid),
    |q| q.error,
);

const BOUNDS: [Curve; 5] = [
    Curve::new(
        "Theorem 1",
        ([0xd5, 0x5e, 0x00], Marker::Cross, Dash::Dotted),
        |q| q.theorem,
    ),
    Curve::new(
        "second order",
        ([0xe6, 0x9f, 0x00], Marker::Square, Dash::Dashed),
        |q| q.second_order,
    ),
    Curve::new(
        "second order through E",
        ([0x00, 0x9e, 0x73], Marker::Diamond, Dash::LongDashes),
        |q| q.second_order_inner,
    ),
    Curve::new(
        "ceiling",
        ([0x00, 0x72, 0xb2], Marker::Up, Dash::Dashed),
        |q| q.ceiling,
    ),
    Curve::new(
        "from below",
        ([0x6b, 0x6b, 0x6b], Marker::Down, Dash::Dotted),
        |q| q.second_order_lower,
    ),
];

impl Curve {
    fn style(&self) -> Style {
        Style {
            name: self.name.to_owned(),
            colour: self.colour,
            marker: self.marker,
            dash: self.dash,
        }
    }
}

/// Error and bounds.
pub fn errors(results: &TheoryResults) -> Outcome {
    let curves: Vec<&Curve> = BOUNDS.iter().chain([&ERROR]).collect();
    figure(
        results,
        "theory_bounds",
        "Error of swapping inverse and mean, beside its bounds",
        "Spectral norm · λ",
        &curves,
        |curve, quantities| (curve.of)(quantities),
        above,
    )
}

/// How the measured error goes along a setting, and how far above it Theorem 1 and the ceiling stand.
fn above(x: &str, curves: &[&Curve], lines: &[Series]) -> Option<String> {
    let of = |name: &str| {
        let at = curves.iter().position(|curve| curve.name == name)?;
        Some(&lines[at])
    };
    let error = of(ERROR.name)?;
    let change = findings::change(
        error,
        x,
        |value| number::significant(value, 2),
        Change::Unknown,
    )?;
    let factors: Vec<String> = ["Theorem 1", "ceiling"]
        .into_iter()
        .filter_map(|name| {
            let ratios = of(name)?.iter().zip(error).filter_map(|(bound, error)| {
                Some(bound.1.as_ref()?.value / error.1.as_ref()?.value)
            });
            let (low, high) = ratios.fold((f64::INFINITY, 0.0_f64), |(low, high), ratio| {
                (low.min(ratio), high.max(ratio))
            });
            let show = |x: f64| number::significant(x, 2);
            (high > 0.0).then(|| format!("{name} is {} to {} times it", show(low), show(high)))
        })
        .collect();
    Some(format!(
        "Along {x}, the measured error {change}; {}.",
        factors.join(", ")
    ))
}

/// Which bound is the tightest along a setting, and how much of Theorem 1 is used.
fn tightest(x: &str, curves: &[&Curve], lines: &[Series]) -> Option<String> {
    let named: Vec<(String, &Series)> = curves
        .iter()
        .zip(lines)
        .map(|(curve, line)| (curve.name.to_owned(), line))
        .collect();
    let first = findings::leaders(&named, Direction::Higher, x)?;
    let theorem = named.iter().find(|(name, _)| name == "Theorem 1");
    let change = theorem
        .and_then(|(_, line)| {
            let show = |value| number::significant(value, 2);
            findings::change(line, x, show, Change::Unknown)
        })
        .map_or(String::new(), |change| format!("; Theorem 1 {change}"));
    Some(format!("Tightest is {first}{change}."))
}

/// Measured error over each bound: 1 is tight.
pub fn tightness(results: &TheoryResults) -> Outcome {
    let curves: Vec<&Curve> = BOUNDS.iter().take(4).collect();
    figure(
        results,
        "theory_tightness",
        "How much of each bound is used",
        "measured / bound",
        &curves,
        |curve, quantities| quantities.error / (curve.of)(quantities),
        tightest,
    )
}

fn figure(
    results: &TheoryResults,
    id: &str,
    heading: &str,
    y_title: &str,
    curves: &[&Curve],
    value: impl Fn(&Curve, &Quantities) -> f64,
    sentence: impl Fn(&str, &[&Curve], &[Series]) -> Option<String>,
) -> Outcome {
    let (mut panels, mut notes) = (Vec::new(), Vec::new());
    let mut seen = Vec::new();
    for varied in &results.varied {
        let along = cases(results, &varied.axis);
        let x = values(&along);
        if x.len() < 2 {
            continue;
        }
        let lines: Vec<Series> = curves
            .iter()
            .map(|curve| {
                series(results, &varied.axis, &along, |quantities| {
                    value(curve, quantities)
                })
            })
            .collect();
        let bounds = (None, None);
        let y = Axis::fit(y_title, points(&lines), Scale::Log, bounds, Labels::Number);
        let Some(y) = y else { continue };
        let slopes: Vec<String> = curves
            .iter()
            .zip(&lines)
            .filter_map(|(curve, line)| Some(format!("{} {}", curve.name, slope(line)?)))
            .collect();
        if !slopes.is_empty() {
            notes.push(format!(
                "Slope in {}: {}.",
                short(&varied.axis),
                slopes.join(", ")
            ));
        }
        // the values are those of c, to which λ is proportional
        let name = match varied.axis.as_str() {
            "damping" => "c",
            axis => short(axis),
        };
        seen.extend(sentence(name, curves, &lines));
        let mut panel = Panel::new("", Axis::at_values(title(&varied.axis), &x), y);
        let layer = |(series, curve): (Series, &&Curve)| Layer::series(&curve.style(), series, 0.0);
        panel.layers = lines.into_iter().zip(curves).map(layer).collect();
        panels.push(panel);
    }
    if panels.is_empty() {
        return Outcome::omitted(heading, "no setting was varied over two values");
    }
    let caption = format!(
        "In units of 1/λ, so that λ⁻³ is a slope of −2. Each panel varies one setting; the others are as in the base. Points: geometric mean over seeds and \
         blocks; bars: 95 % t-interval of the logarithm. {}",
        notes.join(" ")
    );
    let legend = curves.iter().map(|curve| Entry::method(&curve.style()));
    let chart = Chart {
        columns: 2,
        height: 210.0,
        panels,
        legend: legend.collect(),
        notes,
    };
    Outcome::drawn(id, heading, seen, caption, chart)
}
