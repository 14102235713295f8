//! Time and memory against n, d and L: Table 1, measured.

use crate::metrics::Direction;
use crate::report::chart::{Axis, AxisScale, DataPoint, Entry, RecordRef, Series, UNLIMITED};
use crate::report::data::distinct;
use crate::report::figures::draft::Draft;
use crate::report::figures::{Outcome, findings};
use crate::report::number;
use crate::report::palette::Palette;
use crate::results::theory::{GrowthRecord, TheoryResults};

/// What is measured, its axis, and how a value is shown.
type Cost = (&'static str, &'static str, AxisScale, fn(f64) -> String);

const COSTS: [Cost; 2] = [
    ("time", "Time (s)", AxisScale::Log, number::seconds),
    ("memory", "Peak memory", AxisScale::LogBytes, number::bytes),
];

/// Titles of the axes of the sizes.
const SIZES: [(&str, &str); 3] = [
    ("n", "Examples n"),
    ("d", "Block size d"),
    ("L", "Blocks L"),
];

/// Panels: time, then memory, along each size.
pub fn draw(results: &TheoryResults) -> Outcome {
    let methods = distinct(results.growth.iter().map(|growth| growth.method.as_str()));
    let palette = Palette::new(methods.iter().copied());
    let mut draft = Draft::new(3, 170.0);
    for (cost, title, scale, show) in COSTS {
        for (axis, name) in SIZES {
            let rows = results.growth.iter().enumerate();
            let rows =
                rows.filter(|(_, g)| g.cost == cost && g.axis == axis && !g.points.is_empty());
            let lines: Vec<(&str, Series)> = rows
                .map(|(row, growth)| (growth.method.as_str(), line(row, growth)))
                .collect();
            let Some((_, first)) = lines.first() else {
                continue;
            };
            let x: Vec<f64> = first.iter().map(|(x, _)| *x).collect();
            let named = lines.iter();
            let named = named.map(|(method, series)| (palette.name(method), series));
            let named: Vec<(String, &Series)> = named.collect();
            if let Some(least) = findings::leaders(&named, Direction::Lower, axis) {
                let change = |(name, series): &(String, &Series)| {
                    let change = findings::change(series, axis, show, None)?;
                    Some(format!("{name} {change}"))
                };
                let changes: Vec<String> = named.iter().filter_map(change).collect();
                let changes = changes.join("; ");
                let seen = format!("{cost} along {axis}: least with {least}; {changes}.");
                draft.findings.push(seen);
            }
            let lines = lines.into_iter();
            let lines = lines.map(|(method, series)| (palette.style(method), series, 0.0));
            let x = Axis::at_values(name, &x);
            draft.fitted("", x, (title, scale, UNLIMITED), lines);
        }
    }
    let legend = methods
        .iter()
        .map(|method| Entry::method(&palette.style(method)));
    draft.chart.legend = legend.collect();
    let text = "(F + λI)⁻¹v of one query on random gradients: median time and peak memory of prepare and apply. Along each \
                size the others are held at their middle value.";
    let empty = "time and memory were not measured";
    draft.outcome("theory_growth", "Growth of time and memory", &[text], empty)
}

/// The points of a measured growth; they link to its row of the table.
fn line(row: usize, growth: &GrowthRecord) -> Series {
    let record = RecordRef {
        anchor: format!("g{row}"),
        method: None,
        records: 1,
    };
    let point = |value: f64| Some(DataPoint::from(value).with_record(record.clone()));
    let points = growth.points.iter();
    points.map(|&(x, value)| (x, point(value))).collect()
}
