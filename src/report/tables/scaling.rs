//! How time and memory grow: fitted exponents over numeric settings.

use super::{Cell, Columns, Table};
use crate::metrics::slope::{Slope, growth};
use crate::report::data::{DTYPE, Group, ResultSet, SweptAxis, aggregate, axis_title};
use crate::report::number::{self, MISSING};

/// Fewest settings that a slope is fitted to.
const FEWEST: usize = 3;

/// What grows: header and metric.
const COSTS: [(&str, &str); 3] = [
    ("Runtime ∝ x^p", "total_seconds"),
    ("Operations ∝ x^p", "operations"),
    ("Peak memory ∝ x^p", "peak_bytes"),
];

/// A method along a setting.
struct Row<'s> {
    x: &'s str,
    at: String,
    label: &'s str,
    exponents: [Option<Slope>; 3],
}

/// One row a numeric setting, slice and method; `None` without a setting of three values or more.
pub fn table(results: &ResultSet) -> Option<Table> {
    let mut rows = Vec::new();
    let is_numeric = |axis: &&SweptAxis| axis.numeric && axis.key != DTYPE;
    for axis in results.axes.iter().filter(is_numeric) {
        let x = axis.key.as_str();
        for slice in results.slices(Some(x)) {
            let slope = |label: &str, metric| {
                let point = |group: &&Group| {
                    Some((group.number(x)?, aggregate(group, label, metric).value?))
                };
                let points: Vec<(f64, f64)> = slice.groups.iter().filter_map(point).collect();
                growth(&points).filter(|slope| slope.points >= FEWEST)
            };
            rows.extend(results.methods.iter().map(|label| Row {
                x,
                at: [slice.title.as_str(), slice.held.as_str()].join("; "),
                label,
                exponents: COSTS.map(|(_, metric)| slope(label, metric)),
            }));
        }
    }
    rows.retain(|row| row.exponents.iter().any(Option::is_some));
    Columns::new()
        .text("Setting x", |row: &Row| axis_title(row.x))
        .text("At", |row| row.at.trim_end_matches("; ").to_owned())
        .text("Method", |row| results.palette.name(row.label))
        .each(COSTS.iter().enumerate(), |columns, (i, (header, _))| {
            columns.add(*header, move |row| slope_cell(row.exponents[i].as_ref()))
        })
        .number("Settings", number::plain, |row| {
            let points = row.exponents.iter().flatten().map(|slope| slope.points);
            points.max().map(|most| most as f64)
        })
        .table(
            "Growth of time and memory",
            "Exponent p of a fitted power law, runtime or peak memory ∝ x^p, with its 95 % t-interval: the least-squares slope \
             of the logarithms over the settings' geometric means. Operations are those of the method's cost formula at the same settings: \
             the slope that theory expects of the runtime. Small sizes are dominated by fixed costs, which flatten it.",
            rows,
        )
}

/// `1.02 [0.98, 1.07]`
fn slope_cell(slope: Option<&Slope>) -> Cell {
    let two = |x: f64| number::fixed(x, 2);
    slope.map_or(Cell::text(MISSING), |slope| {
        let text = two(slope.value) + &number::ends(slope.interval, two);
        Cell::sorted(text, slope.value)
    })
}
