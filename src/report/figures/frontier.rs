//! What accuracy costs: correlation with exact against time and memory.

use super::lineplot::notes;
use super::{
    Outcome, agreement, caption, findings, has_values, held_text, interval_text, mark, measure,
    metric_axis,
};
use crate::report::aggregate::Gaps;
use crate::report::families::families;
use crate::report::marks::Mark;
use crate::report::palette::Dash;
use crate::report::sheet::{Entry, PanelSpec, Sheet};
use crate::report::study::Study;

const TITLE: &str = "Accuracy against cost";

/// One row of panels a task at the reference setting: correlation against seconds, and against bytes.
pub fn draw(study: &Study) -> Outcome {
    let Some(metric) = agreement(study) else {
        return Outcome::omitted(TITLE, "no cell has a correlation with exact");
    };
    let costs: Vec<&str> = ["total_seconds", "peak_bytes"]
        .into_iter()
        .filter(|cost| has_values(study, cost))
        .collect();
    if costs.is_empty() {
        return Outcome::omitted(TITLE, "no cell has times or memory");
    }
    let slices = study.slices(None);
    let mut seen = Vec::new();
    let (mut specs, mut content, mut gaps, mut aggregates, mut held) = (
        Vec::new(),
        Vec::new(),
        Gaps::default(),
        Vec::new(),
        String::new(),
    );
    for slice in &slices {
        let Some(group) = slice.groups.first() else {
            continue;
        };
        gaps.group(group);
        held.clone_from(&slice.held);
        let accuracies: Vec<_> = study
            .methods
            .iter()
            .map(|label| measure(study, group, label, metric, &mut gaps))
            .collect();
        for cost in &costs {
            let mut points = Vec::new();
            for (label, accuracy) in study.methods.iter().zip(&accuracies) {
                let price = measure(study, group, label, cost, &mut Gaps::default());
                aggregates.extend([*accuracy, price]);
                let of = |result| mark(study, group, Some(label), result);
                if let (Some(x), Some(y)) = (of(&price), of(accuracy)) {
                    points.push((label.as_str(), x, y));
                }
            }
            let axes = metric_axis(cost, points.iter().map(|p| &p.1.point))
                .zip(metric_axis(metric, points.iter().map(|p| &p.2.point)));
            if let Some((x, y)) = axes {
                specs.push(PanelSpec {
                    title: slice.title.clone(),
                    x,
                    y,
                });
                seen.extend(front(study, &slice.title, cost, metric, &points));
                content.push(points);
            }
        }
    }
    if content.is_empty() {
        return Outcome::omitted(
            TITLE,
            "no method has both a correlation and a cost at the reference setting",
        );
    }
    let missing = gaps.text().unwrap_or_default();
    let notes = notes(&[&missing]);
    let families = families(study.methods.iter().map(String::as_str), &study.palette);
    let entries: Vec<_> = families
        .iter()
        .map(|family| Entry {
            dash: None,
            ..Entry::method(&family.style)
        })
        .collect();
    let mut sheet = Sheet::new(costs.len(), 260.0, specs, &entries, &notes);
    for (panel, points) in content.iter().enumerate() {
        for family in &families {
            let members = || {
                points
                    .iter()
                    .filter(|(label, ..)| family.labels.contains(label))
            };
            // as the settings turn the knob
            let places: Vec<(f64, f64)> = members()
                .map(|(_, x, y)| (x.point.value, y.point.value))
                .filter(|place| sheet.shows(panel, *place))
                .collect();
            sheet.line(panel, &places, family.style.colour, 1.6, Dash::Solid, 0.45);
            for (_, x, y) in members() {
                sheet.point(panel, x.clone(), y.clone(), &family.style);
            }
        }
    }
    let text = caption(&[
        "Up and to the left is better. Exact stands at r = 1 at its own cost. Variants of one method that differ in a number (group size, steps, rank, dimensions) are one line, in the order of the settings.",
        "Seconds for all scores without gradients; memory is the peak above what was resident before.",
        &interval_text(&aggregates),
        &held_text(&held),
        &missing,
    ]);
    Outcome::drawn("accuracy_cost", TITLE, text, sheet.finish()).finding(seen)
}

/// Methods that no other is both cheaper and closer than, from cheap to dear.
fn front(
    study: &Study,
    title: &str,
    cost: &str,
    metric: &str,
    points: &[(&str, Mark, Mark)],
) -> Option<String> {
    let mut order: Vec<&(&str, Mark, Mark)> = points.iter().collect();
    order.sort_by(|a, b| a.1.point.value.total_cmp(&b.1.point.value));
    let mut best = f64::NEG_INFINITY;
    let mut front = Vec::new();
    for (label, x, y) in order {
        if y.point.value > best {
            best = y.point.value;
            front.push(format!(
                "{} ({} for {})",
                study.palette.style(label).name,
                findings::show(metric, y.point.value),
                findings::show(cost, x.point.value)
            ));
        }
    }
    let what = if cost == "peak_bytes" {
        "memory"
    } else {
        "time"
    };
    (!front.is_empty()).then(|| {
        format!(
            "{title}, nothing takes less {what} and is closer to exact than: {}.",
            front.join(", ")
        )
    })
}
