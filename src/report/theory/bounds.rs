//! The measured error beside its bounds along every varied setting, and how tight they are.

use super::along::{cases, series, short, slope, title, values};
use crate::metrics::Direction;
use crate::report::chart::{Axis, AxisScale, Entry, Series, UNLIMITED};
use crate::report::figures::draft::Draft;
use crate::report::figures::{Outcome, findings};
use crate::report::number;
use crate::report::palette::{Dash, GREY, Look, Marker, Style};
use crate::results::theory::{Quantities, TheoryResults};

/// A curve: its name, and its value.
type Curve = (&'static str, fn(&Quantities) -> f64);

/// The lines along a setting, by the names of their curves.
type Named<'l> = [(String, &'l Series)];

const THEOREM: &str = "Theorem 1";
const CEILING: &str = "ceiling";
const ERROR: &str = "measured ‖D − E‖";

const CURVES: [Curve; 6] = [
    (THEOREM, |q| q.theorem),
    ("second order", |q| q.second_order),
    ("second order through E", |q| q.second_order_inner),
    (CEILING, |q| q.ceiling),
    ("from below", |q| q.second_order_lower),
    (ERROR, |q| q.error),
];

/// Their looks.
const LOOKS: [Look; 6] = [
    Look::new([0xd5, 0x5e, 0x00], Marker::Cross, Dash::Dotted),
    Look::new([0xe6, 0x9f, 0x00], Marker::Square, Dash::Dashed),
    Look::new([0x00, 0x9e, 0x73], Marker::Diamond, Dash::LongDashes),
    Look::new([0x00, 0x72, 0xb2], Marker::Up, Dash::Dashed),
    Look::new(GREY, Marker::Down, Dash::Dotted),
    Look::new([0, 0, 0], Marker::Circle, Dash::Solid),
];

/// Error and bounds.
pub fn errors(results: &TheoryResults) -> Outcome {
    let draft = panels(results, "Spectral norm · λ", &CURVES, |own, _| own, above);
    let heading = "Error of swapping inverse and mean, beside its bounds";
    finish(draft, "theory_bounds", heading, &CURVES)
}

/// Measured error over each bound: 1 is tight.
pub fn tightness(results: &TheoryResults) -> Outcome {
    let (bounds, share) = (&CURVES[..4], |own, error| error / own);
    let draft = panels(results, "measured / bound", bounds, share, tightest);
    let heading = "How much of each bound is used";
    finish(draft, "theory_tightness", heading, bounds)
}

/// The looks of the first curves.
fn styles(curves: &[Curve]) -> impl Iterator<Item = Style> {
    let curves = curves.iter().zip(LOOKS);
    curves.map(|((name, _), look)| Style::new(*name, look))
}

/// How a line goes along a setting.
fn change(x: &str, lines: &Named, name: &str) -> Option<String> {
    let (_, line) = lines.iter().find(|(known, _)| known == name)?;
    findings::change(line, x, |value| number::significant(value, 2), None)
}

/// How the measured error goes along a setting, and how far above it Theorem 1 and the ceiling stand.
fn above(x: &str, lines: &Named) -> Option<String> {
    let of = |name: &str| lines.iter().find(|(known, _)| known == name);
    let factor = |name: &&str| {
        let pairs = of(name)?.1.iter().zip(of(ERROR)?.1);
        let ratios = pairs.filter_map(|((_, bound), (_, error))| {
            Some(bound.as_ref()?.value / error.as_ref()?.value)
        });
        let ends = (f64::INFINITY, 0.0_f64);
        let (low, high) = ratios.fold(ends, |(low, high), x| (low.min(x), high.max(x)));
        let [from, to] = [low, high].map(|x| number::significant(x, 2));
        (high > 0.0).then(|| format!("{name} is {from} to {to} times it"))
    };
    let factors: Vec<String> = [THEOREM, CEILING].iter().filter_map(factor).collect();
    let change = change(x, lines, ERROR)?;
    Some(format!(
        "Along {x}, the measured error {change}; {}.",
        factors.join(", ")
    ))
}

/// Which bound is the tightest along a setting, and how much of Theorem 1 is used.
fn tightest(x: &str, lines: &Named) -> Option<String> {
    let first = findings::leaders(lines, Direction::Higher, x)?;
    let change = change(x, lines, THEOREM).map(|change| format!("; {THEOREM} {change}"));
    Some(format!(
        "Tightest is {first}{}.",
        change.unwrap_or_default()
    ))
}

/// A panel a varied setting, with the curves as `value` makes them of their own and the error's.
fn panels(
    results: &TheoryResults,
    y_title: &str,
    curves: &[Curve],
    value: fn(f64, f64) -> f64,
    sentence: fn(&str, &Named) -> Option<String>,
) -> Draft {
    let mut draft = Draft::new(2, 210.0);
    for varied in &results.varied {
        let along = cases(results, &varied.axis);
        let x = values(&along);
        if x.len() < 2 {
            continue;
        }
        let line = |curve: &Curve| {
            let of = |q: &Quantities| value((curve.1)(q), q.error);
            series(results, &varied.axis, &along, of)
        };
        let lines: Vec<Series> = curves.iter().map(line).collect();
        let named = curves.iter().map(|curve| curve.0.to_owned()).zip(&lines);
        let named: Vec<(String, &Series)> = named.collect();
        let said = sentence(short(&varied.axis), &named);
        let slopes = named.iter();
        let slopes = slopes.filter_map(|(name, line)| Some(format!("{name} {}", slope(line)?)));
        let slopes: Vec<String> = slopes.collect();
        let lines = styles(curves)
            .zip(lines)
            .map(|(style, line)| (style, line, 0.0));
        let x = Axis::at_values(title(&varied.axis), &x);
        let y = (y_title, AxisScale::Log, UNLIMITED);
        if draft.fitted("", x, y, lines).is_none() {
            continue;
        }
        if !slopes.is_empty() {
            let x = match short(&varied.axis) {
                // to which λ is proportional
                "c" => "λ",
                x => x,
            };
            let note = format!("Slope in {x}: {}.", slopes.join(", "));
            draft.chart.notes.push(note);
        }
        draft.findings.extend(said);
    }
    draft
}

fn finish(mut draft: Draft, id: &str, heading: &str, curves: &[Curve]) -> Outcome {
    draft.chart.legend = styles(curves).map(|style| Entry::method(&style)).collect();
    let text = "In units of 1/λ, so that λ⁻³ is a slope of −2. Each panel varies one setting; the others are as in the base. \
                Points: geometric mean over seeds and blocks; bars: 95 % t-interval of the logarithm.";
    let notes = draft.chart.notes.join(" ");
    let empty = "no setting was varied over two values";
    draft.outcome(id, heading, &[text, &notes], empty)
}
