//! What accuracy costs: correlation with exact against time and memory.

use std::collections::BTreeMap;

use super::{
    Outcome, agreement, caption, has_values, held_text, interval_text, legend, measure,
    metric_axis, point,
};
use crate::report::aggregate::Gaps;
use crate::report::palette::Dash;
use crate::report::sheet::{PanelSpec, Sheet};
use crate::report::study::Study;

const TITLE: &str = "Accuracy against cost";

/// The first label of a family and the points of all.
type Members<'l> = (&'l str, Vec<(f64, f64)>);

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
                if let (Some(x), Some(y)) = (point(&price), point(accuracy)) {
                    points.push((label.as_str(), x, y));
                }
            }
            let axes = metric_axis(cost, points.iter().map(|p| &p.1))
                .zip(metric_axis(metric, points.iter().map(|p| &p.2)));
            if let Some((x, y)) = axes {
                specs.push(PanelSpec {
                    title: slice.title.clone(),
                    x,
                    y,
                });
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
    let notes: Vec<String> = [missing.clone()]
        .into_iter()
        .filter(|note| !note.is_empty())
        .collect();
    let entries: Vec<_> = legend(study, study.methods.iter().map(String::as_str))
        .into_iter()
        .map(|entry| crate::report::sheet::Entry {
            dash: None,
            ..entry
        })
        .collect();
    let mut sheet = Sheet::new(costs.len(), 260.0, specs, &entries, &notes);
    for (panel, points) in content.iter().enumerate() {
        let mut joined: BTreeMap<String, Members> = BTreeMap::new();
        for (label, x, y) in points {
            let (_, members) = joined.entry(family(label)).or_insert((label, Vec::new()));
            members.push((x.value, y.value));
        }
        for (first, mut members) in joined.into_values() {
            members.retain(|member| sheet.shows(panel, *member));
            // In the order of the cost.
            members.sort_by(|a, b| a.0.total_cmp(&b.0));
            let colour = study.palette.style(first).colour;
            sheet.line(panel, &members, colour, 1.6, Dash::Solid, 0.45);
        }
        for (label, x, y) in points {
            sheet.point(panel, *x, *y, &study.palette.style(label));
        }
    }
    let text = caption(&[
        "Up and to the left is better. Exact stands at r = 1 at its own cost. Variants of one method that differ in a number (group size, iterations) are joined.",
        "Seconds for all scores without gradients; memory is the peak above what was resident before.",
        &interval_text(&aggregates),
        &held_text(&held),
        &missing,
    ]);
    Outcome::drawn("accuracy_cost", TITLE, text, sheet.finish())
}

/// The label without its numeric options: what differs in a knob only has the same family.
fn family(label: &str) -> String {
    let (name, options) = label.split_once(':').unwrap_or((label, ""));
    let mut kept: Vec<&str> = options
        .split(',')
        .filter(|option| {
            option
                .split_once('=')
                .is_some_and(|(_, value)| value.trim().parse::<f64>().is_err())
        })
        .collect();
    kept.sort_unstable();
    format!("{name}:{}", kept.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knobs_make_a_family_and_variants_do_not() {
        assert_eq!(family("datainf"), family("datainf:group_size=8"));
        assert_eq!(
            family("lissa:iterations=5,scale=auto"),
            family("lissa:scale=auto,iterations=50")
        );
        assert_ne!(family("lissa"), family("lissa:variant=code"));
        assert_ne!(
            family("datainf:group_size=8"),
            family("datainf:group_size=8,shuffle=false")
        );
    }
}
