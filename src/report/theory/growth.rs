//! Time and memory against n, d and L: Table 1, measured.

use crate::metrics::Direction;
use crate::report::chart::{
    Axis, Chart, DataPoint, Entry, Labels, Layer, Panel, RecordRef, Scale, Series, points,
};
use crate::report::figures::Outcome;
use crate::report::figures::findings::{self, Change};
use crate::report::number;
use crate::report::palette::Palette;
use crate::results::theory::{GrowthRecord, TheoryResults};

const TITLE: &str = "Growth of time and memory";

/// Titles of the axes of the sizes.
const SIZES: [(&str, &str); 3] = [
    ("n", "Examples n"),
    ("d", "Block size d"),
    ("L", "Blocks L"),
];

/// Panels: time, then memory, along each size.
pub fn draw(results: &TheoryResults) -> Outcome {
    let mut methods: Vec<&str> = Vec::new();
    for growth in &results.growth {
        if !methods.contains(&growth.method.as_str()) {
            methods.push(&growth.method);
        }
    }
    let palette = Palette::new(methods.iter().copied());
    let (mut panels, mut seen) = (Vec::new(), Vec::new());
    let time = (
        "time",
        "Time (s)",
        Labels::Number,
        number::seconds as fn(f64) -> String,
    );
    let memory = ("memory", "Peak memory", Labels::Bytes, number::bytes as _);
    for (cost, title, labels, show) in [time, memory] {
        for (axis, name) in SIZES {
            let lines: Vec<(&str, Series)> = results
                .growth
                .iter()
                .enumerate()
                .filter(|(_, g)| g.cost == cost && g.axis == axis && !g.points.is_empty())
                .map(|(row, growth)| (growth.method.as_str(), line(row, growth)))
                .collect();
            let shown = points(lines.iter().map(|(_, series)| series));
            let Some(y) = Axis::fit(title, shown, Scale::Log, (None, None), labels) else {
                continue;
            };
            let x: Vec<f64> = lines[0].1.iter().map(|(x, _)| *x).collect();
            let named = lines
                .iter()
                .map(|(method, series)| (palette.style(method).name, series));
            let named: Vec<(String, &Series)> = named.collect();
            if let Some(least) = findings::leaders(&named, Direction::Lower, axis) {
                let change = |(name, series): &(String, &Series)| {
                    let change = findings::change(series, axis, show, Change::Unknown)?;
                    Some(format!("{name} {change}"))
                };
                let changes: Vec<String> = named.iter().filter_map(change).collect();
                let changes = changes.join("; ");
                seen.push(format!(
                    "{cost} along {axis}: least with {least}; {changes}."
                ));
            }
            let mut panel = Panel::new("", Axis::at_values(name, &x), y);
            let layer = |(method, series)| Layer::series(&palette.style(method), series, 0.0);
            panel.layers = lines.into_iter().map(layer).collect();
            panels.push(panel);
        }
    }
    if panels.is_empty() {
        return Outcome::omitted(TITLE, "time and memory were not measured");
    }
    let text = "(F + λI)⁻¹v of one query on random gradients: median time and peak memory of prepare and apply. Along each \
                size the others are held at their middle value.";
    let legend = methods
        .iter()
        .map(|method| Entry::method(&palette.style(method)));
    let chart = Chart {
        columns: 3,
        height: 170.0,
        panels,
        legend: legend.collect(),
        notes: Vec::new(),
    };
    Outcome::drawn("theory_growth", TITLE, seen, text.to_owned(), chart)
}

/// The points of a measured growth; they link to its row of the table.
fn line(row: usize, growth: &GrowthRecord) -> Series {
    let record = RecordRef {
        anchor: format!("g{row}"),
        method: None,
        records: 1,
    };
    let point = |value: f64| Some(DataPoint::from(value).with_record(Some(record.clone())));
    let points = growth.points.iter();
    points.map(|&(x, value)| (x, point(value))).collect()
}
