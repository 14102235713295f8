//! Correlation with exact against LoRA rank: the layout of the paper's Figure 1.

use super::{
    Outcome, caption, change, compared, dodge, held_text, interval_text, legend, mark, measure,
    metric_axis, points, winners,
};
use crate::report::aggregate::Gaps;
use crate::report::axis::Axis;
use crate::report::marks::Marks;
use crate::report::sheet::{PanelSpec, Sheet};
use crate::report::study::{Slice, Study, axis_short, axis_title};

const TITLE: &str = "Correlation with exact influence against LoRA rank";
const RANK: &str = "lora.rank";

/// One panel a task and measure: the mean query's correlation, as in the paper, and the mean over queries.
pub fn draw(study: &Study) -> Outcome {
    if !study.sweeps().iter().any(|axis| axis.key == RANK) {
        return Outcome::omitted(TITLE, "no sweep over `lora.rank` with two values or more");
    }
    let slices = study.slices(Some(RANK));
    let (mut specs, mut content, mut gaps, mut aggregates, mut seen) = (
        Vec::new(),
        Vec::new(),
        Gaps::default(),
        Vec::new(),
        Vec::new(),
    );
    for (metric, kind) in [
        ("pearson_mean_query", "mean query"),
        ("pearson", "per query"),
    ] {
        for slice in &slices {
            let mut series: Vec<(&str, Marks)> = Vec::new();
            for label in compared(study, metric) {
                let marks: Marks = slice
                    .groups
                    .iter()
                    .filter_map(|group| {
                        let result = measure(study, group, label, metric, &mut gaps);
                        aggregates.push(result);
                        Some((
                            group.number(RANK)?,
                            mark(study, group, Some(label), &result),
                        ))
                    })
                    .collect();
                series.push((label, marks));
            }
            let shown = series.iter().map(|(_, marks)| marks);
            let Some(y) = metric_axis(metric, points(shown)) else {
                continue;
            };
            let ranks: Vec<f64> = slice
                .groups
                .iter()
                .filter_map(|group| group.number(RANK))
                .collect();
            let x = Axis::at_values(axis_title(RANK), &ranks);
            let y = Axis {
                title: "Pearson r with exact".to_owned(),
                ..y
            };
            specs.push(PanelSpec {
                title: format!("{} – {kind}", slice.title),
                x,
                y,
            });
            seen.extend(sentence(
                study,
                slice,
                metric,
                &format!("{}, {kind}", slice.title),
                &series,
            ));
            content.push(series);
        }
    }
    if specs.is_empty() {
        return Outcome::omitted(
            TITLE,
            "no cell has a defined correlation with exact (`pearson_mean_query` or `pearson`)",
        );
    }
    slices
        .iter()
        .flat_map(|slice| &slice.groups)
        .for_each(|group| gaps.group(group));
    let held = slices
        .first()
        .map_or(String::new(), |slice| held_text(&slice.held));
    let missing = gaps.text().unwrap_or_default();
    let notes: Vec<String> = [missing.clone()]
        .into_iter()
        .filter(|note| !note.is_empty())
        .collect();
    let shown = compared(study, "pearson");
    // rows of one measure, where that is possible
    let columns = match slices.len() {
        1 | 2 | 4 => 2,
        _ => 3,
    };
    let mut sheet = Sheet::new(columns, 240.0, specs, &legend(study, shown), &notes);
    for (panel, series) in content.iter().enumerate() {
        for (position, (label, points)) in series.iter().enumerate() {
            sheet.series(
                panel,
                points,
                &study.palette.style(label),
                dodge(position, series.len()),
            );
        }
    }
    let text = caption(&[
        "Pearson's r between each method's scores and exact influence; 1 is perfect.",
        "\"Mean query\" is influence on the mean query loss, as in the paper's Figure 1; \"per query\" is the mean of r over the queries.",
        &interval_text(&aggregates),
        "Intervals longer than half of the axis are cut. Methods are set slightly apart along x.",
        &held,
        &missing,
    ]);
    Outcome::drawn("correlation_rank", TITLE, text, sheet.finish()).finding(seen)
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
    let ours = series.iter().find(|(label, _)| *label == "datainf");
    let ours = ours
        .and_then(|(label, marks)| change(slice, label, metric, marks, &rank))
        .map_or(String::new(), |change| format!("; DataInf {change}"));
    Some(format!("{panel}: closest to exact is {first}{ours}."))
}
