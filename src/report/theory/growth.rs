//! Time and memory against n, d and L: Table 1, measured.

use crate::metrics::Direction;
use crate::report::axis::{Axis, Labels, Scale, range};
use crate::report::figures::Outcome;
use crate::report::figures::findings::{self, Change};
use crate::report::figures::lineplot::{self, Line};
use crate::report::marks::{Mark, Marks, Origin};
use crate::report::number;
use crate::report::palette::Palette;
use crate::report::sheet::{Entry, PanelSpec, Point};
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
    let (mut panels, mut seen) = (Vec::new(), Vec::new());
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
            let spec = PanelSpec {
                title: String::new(),
                x: Axis::at_values(name, &x),
                y: Axis::log(title, low, high, labels),
            };
            let lines: Vec<(String, Marks)> = here
                .iter()
                .map(|growth| (palette.style(&growth.method).name, line(results, growth)))
                .collect();
            let show = |value: f64| match cost {
                "time" => number::seconds(value),
                _ => number::bytes(value),
            };
            let named: Vec<(String, &Marks)> = lines
                .iter()
                .map(|(name, line)| (name.clone(), line))
                .collect();
            if let Some(least) = findings::leaders(&named, Direction::Lower, axis) {
                let changes = lines.iter().filter_map(|(name, line)| {
                    Some(format!(
                        "{name} {}",
                        findings::change(line, axis, show, Change::Unknown)?
                    ))
                });
                seen.push(format!(
                    "{cost} along {axis}: least with {least}; {}.",
                    changes.collect::<Vec<_>>().join("; ")
                ));
            }
            let styled = lines
                .into_iter()
                .zip(&here)
                .map(|((_, marks), growth)| Line {
                    style: palette.style(&growth.method),
                    marks,
                    dodge: 0.0,
                });
            panels.push((spec, styled.collect()));
        }
    }
    if panels.is_empty() {
        return Outcome::omitted(TITLE, "time and memory were not measured");
    }
    let legend = distinct.iter().map(|m| Entry::method(&palette.style(m)));
    let legend: Vec<Entry> = legend.collect();
    let scene = lineplot::draw((3, 170.0), panels, &legend, &[], |_, _| {});
    Outcome::drawn(
        "theory_growth",
        TITLE,
        "(F + λI)⁻¹v of one query on random gradients: median time and peak memory of prepare and apply. Along each \
         size the others are held at their middle value."
            .to_owned(),
        scene,
    )
    .finding(seen)
}

/// The points of a measured growth; they lead to its row of the table.
fn line(results: &TheoryResults, growth: &GrowthRecord) -> Marks {
    let at = results.growth.iter().position(|other| other == growth);
    let origin = at.map(|at| Origin {
        anchor: format!("g{at}"),
        method: None,
        records: 1,
    });
    let mark = |value| Mark {
        point: Point {
            value,
            interval: None,
        },
        origin: origin.clone(),
    };
    growth
        .points
        .iter()
        .map(|&(x, value)| (x, Some(mark(value))))
        .collect()
}
