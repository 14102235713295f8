//! Time and memory against n, d and L: Table 1, measured.

use super::{drawn, omitted};
use crate::report::axis::{Axis, Labels, Scale, range};
use crate::report::figures::Outcome;
use crate::report::palette::{Palette, Style};
use crate::report::sheet::{Entry, PanelSpec, Point, Sheet};
use crate::results::theory::{GrowthRecord, TheoryResults};

const TITLE: &str = "Growth of time and memory";

/// Panels: time, then memory, along each size.
pub fn draw(results: &TheoryResults) -> Outcome {
    let mut methods: Vec<&str> = results.growth.iter().map(|g| g.method.as_str()).collect();
    methods.dedup();
    let mut distinct: Vec<&str> = Vec::new();
    for method in methods {
        if !distinct.contains(&method) {
            distinct.push(method);
        }
    }
    let palette = Palette::new(distinct.iter().copied());
    let (mut specs, mut panels) = (Vec::new(), Vec::new());
    for cost in ["time", "memory"] {
        for (axis, name) in [
            ("n", "Examples n"),
            ("d", "Block size d"),
            ("L", "Blocks L"),
        ] {
            let here: Vec<&GrowthRecord> = results
                .growth
                .iter()
                .filter(|g| g.cost == cost && g.axis == axis && !g.points.is_empty())
                .collect();
            let Some(first) = here.first() else { continue };
            let x: Vec<f64> = first.points.iter().map(|point| point.0).collect();
            let shown: Vec<_> = here
                .iter()
                .flat_map(|g| &g.points)
                .map(|point| (point.1, None))
                .collect();
            let Some((low, high)) = range(&shown, Scale::Log, (None, None)) else {
                continue;
            };
            let (title, labels) = if cost == "time" {
                ("Time (s)", Labels::Number)
            } else {
                ("Peak memory", Labels::Bytes)
            };
            specs.push(PanelSpec {
                title: String::new(),
                x: Axis::at_values(name, &x),
                y: Axis::log(title, low, high, labels),
            });
            panels.push(here);
        }
    }
    if panels.is_empty() {
        return omitted(TITLE, "time and memory were not measured");
    }
    let styles: Vec<Style> = distinct.iter().map(|m| palette.style(m)).collect();
    let legend: Vec<Entry> = styles.iter().map(Entry::method).collect();
    let mut sheet = Sheet::new(3, 170.0, specs, &legend, &[]);
    for (i, here) in panels.iter().enumerate() {
        for growth in here {
            let line: Vec<(f64, Option<Point>)> = growth
                .points
                .iter()
                .map(|&(x, value)| {
                    let point = Point {
                        value,
                        interval: None,
                    };
                    (x, Some(point))
                })
                .collect();
            sheet.series(i, &line, &palette.style(&growth.method), 0.0);
        }
    }
    drawn(
        "theory_growth",
        TITLE,
        "(F + λI)⁻¹v of one query on random gradients: median time and peak memory of prepare and apply. Along each \
         size the others are held at their middle value."
            .to_owned(),
        sheet.finish(),
    )
}
