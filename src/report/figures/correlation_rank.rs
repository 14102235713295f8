//! Correlation with exact against LoRA rank: the layout of the paper's Figure 1.

use super::lineplot::{self, Tally, notes, of_methods, values};
use super::{
    Outcome, caption, compared, held_text, interval_text, legend, metric_axis, ours, points,
    winners,
};
use crate::report::axis::Axis;
use crate::report::marks::Marks;
use crate::report::sheet::PanelSpec;
use crate::report::study::{Slice, Study, axis_short, axis_title};

const TITLE: &str = "Correlation with exact influence against LoRA rank";
const RANK: &str = "lora.rank";

/// One panel a task and measure: the mean query's correlation, as in the paper, and the mean over queries.
pub fn draw(study: &Study) -> Outcome {
    if !study.sweeps().iter().any(|axis| axis.key == RANK) {
        return Outcome::omitted(TITLE, "no sweep over `lora.rank` with two values or more");
    }
    let slices = study.slices(Some(RANK));
    let (mut panels, mut tally, mut seen) = (Vec::new(), Tally::default(), Vec::new());
    for (metric, kind) in [
        ("pearson_mean_query", "mean query"),
        ("pearson", "per query"),
    ] {
        for slice in &slices {
            let labels = compared(study, metric);
            let series = tally.along(study, slice, RANK, metric, labels.clone());
            let Some(y) = metric_axis(metric, points(series.iter().map(|(_, marks)| marks))) else {
                continue;
            };
            let spec = PanelSpec {
                title: format!("{} – {kind}", slice.title),
                x: Axis::at_values(axis_title(RANK), &values(&slice.groups, RANK)),
                y: Axis {
                    title: "Pearson r with exact".to_owned(),
                    ..y
                },
            };
            let panel = format!("{}, {kind}", slice.title);
            seen.extend(sentence(study, slice, metric, &panel, &series));
            panels.push((spec, of_methods(study, series, &labels)));
        }
    }
    if panels.is_empty() {
        return Outcome::omitted(
            TITLE,
            "no cell has a defined correlation with exact (`pearson_mean_query` or `pearson`)",
        );
    }
    let missing = tally.missing(slices.iter().flat_map(|slice| &slice.groups));
    let held = slices.first().map_or("", |slice| &slice.held);
    // rows of one measure, where that is possible
    let columns = match slices.len() {
        1 | 2 | 4 => 2,
        _ => 3,
    };
    let entries = legend(study, compared(study, "pearson"));
    let scene = lineplot::draw(
        (columns, 240.0),
        panels,
        &entries,
        &notes(&[&missing]),
        |_, _| {},
    );
    let text = caption(&[
        "Pearson's r between each method's scores and exact influence; 1 is perfect.",
        "\"Mean query\" is influence on the mean query loss, as in the paper's Figure 1; \"per query\" is the mean of r over the queries.",
        &interval_text(&tally.aggregates),
        "Intervals longer than half of the axis are cut. Methods are set slightly apart along x.",
        &held_text(held),
        &missing,
    ]);
    Outcome::drawn("correlation_rank", TITLE, text, scene).finding(seen)
}

/// Who is closest to exact where, and how DataInf fares.
fn sentence(
    study: &Study,
    slice: &Slice,
    metric: &str,
    panel: &str,
    series: &[(&str, Marks)],
) -> Option<String> {
    let rank = axis_short(RANK);
    let first = winners(study, slice, RANK, metric, &rank)?;
    let ours = ours(study, slice, "datainf", metric, series, &rank);
    Some(format!("{panel}: closest to exact is {first}{ours}."))
}
