//! What accuracy costs: correlation with exact against time and memory.

use super::draft::{Draft, point};
use super::{Outcome, agreement, findings, metric_axis, omitted, references, taken};
use crate::report::chart::{DataPoint, Entry, Layer, Panel, Stroke};
use crate::report::data::{ResultSet, aggregate};
use crate::report::families::{Family, families};
use crate::report::palette::Dash;
use crate::results::methods::is_control;

const TITLE: &str = "Accuracy against cost";

/// One row of panels per task at the reference setting: correlation against seconds, and against bytes.
pub fn draw(results: &ResultSet) -> Outcome {
    let Some(metric) = agreement(results) else {
        return omitted(TITLE, "no cell has a correlation with exact");
    };
    let costs = taken(results, &["total_seconds", "peak_bytes"]);
    if costs.is_empty() {
        return omitted(TITLE, "no cell has times or memory");
    }
    let families = families(results.labels(), &results.palette);
    let mut draft = Draft::new(costs.len(), 260.0);
    for (slice, group) in references(results) {
        draft.covers(&slice);
        for (column, cost) in costs.iter().enumerate() {
            let mut of = |label: &'_ String| {
                // what is missing is counted once, not with every cost
                let accuracy = match column {
                    0 => draft.measure(results, group, label, metric),
                    _ => aggregate(group, label, metric),
                };
                let price = aggregate(group, label, cost);
                draft.counts(&price);
                let [x, y] = [price, accuracy].map(|of| point(results, group, Some(label), &of));
                Some((label.clone(), x?, y?))
            };
            let points: Vec<Placed> = results.methods.iter().filter_map(&mut of).collect();
            let axes = metric_axis(cost, points.iter().map(|p| &p.1))
                .zip(metric_axis(metric, points.iter().map(|p| &p.2)));
            if let Some((x, y)) = axes {
                let said = front(results, &slice.title, cost, metric, &points);
                draft.findings.extend(said);
                let mut panel = Panel::new(slice.title.clone(), x, y);
                panel.layers = families.iter().flat_map(|f| layers(f, &points)).collect();
                draft.chart.panels.push(panel);
            }
        }
    }
    let entries = families.iter().map(|family| Entry::dot(&family.style));
    draft.chart.legend.extend(entries);
    let text = [
        "Up and to the left is better. Exact stands at r = 1 at its own cost. Variants of one method that differ in a number (group size, steps, rank, dimensions) are one line, in the order of the settings.",
        "Seconds for all scores without gradients; memory is the peak above what was resident before.",
        &draft.intervals(),
    ];
    let empty = "no method has both a correlation and a cost at the reference setting";
    draft.outcome("accuracy_cost", TITLE, &text, empty)
}

/// A method's cost and accuracy.
type Placed = (String, DataPoint, DataPoint);

/// The points of a family, and the line between them as the settings turn the knob.
fn layers(family: &Family, points: &[Placed]) -> [Layer; 2] {
    let own = points.iter();
    let own = own.filter(|(label, ..)| family.labels.contains(&label.as_str()));
    let own: Vec<_> = own.map(|(_, x, y)| (x.clone(), y.clone())).collect();
    let places: Vec<(f64, f64)> = own.iter().map(|(x, y)| (x.value, y.value)).collect();
    let stroke = Stroke {
        opacity: 0.45,
        ..Stroke::new(family.style.look.colour, 1.6, Dash::Solid)
    };
    [Layer::line(places, stroke), Layer::dots(&family.style, own)]
}

/// Methods that no other is both cheaper and closer than, from cheap to dear.
fn front(
    results: &ResultSet,
    title: &str,
    cost: &str,
    metric: &str,
    points: &[Placed],
) -> Option<String> {
    // of approximations a control says nothing
    let mut order: Vec<&Placed> = points
        .iter()
        .filter(|point| !is_control(&point.0))
        .collect();
    let nothing = match order.len() == points.len() {
        true => "nothing",
        false => "no method that looks at gradients",
    };
    order.sort_by(|a, b| a.1.value.total_cmp(&b.1.value));
    let (mut best, mut front) = (f64::NEG_INFINITY, Vec::new());
    for (label, x, y) in order {
        if y.value > best {
            best = y.value;
            front.push(format!(
                "{} ({} for {})",
                results.palette.name(label),
                findings::show(metric, y.value),
                findings::show(cost, x.value)
            ));
        }
    }
    let what = if cost == "peak_bytes" {
        "memory"
    } else {
        "time"
    };
    let front = (!front.is_empty()).then(|| front.join(", "))?;
    Some(format!(
        "{title}, {nothing} takes less {what} and is closer to exact than: {front}."
    ))
}
