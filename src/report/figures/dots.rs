//! Rows of methods, columns of metrics, a dot with its interval in each.

use super::{caption, held_text, interval_text, measure, metric_axis, point};
use crate::report::aggregate::Gaps;
use crate::report::axis::Axis;
use crate::report::palette::{Dash, GREY};
use crate::report::scene::Scene;
use crate::report::sheet::{Entry, PanelSpec, Point, Sheet, short_name};
use crate::report::study::{Group, Study};

/// Draws one row of panels a task at the reference setting; `None` when no metric has a value.
///
/// `chance` is where a metric of guesses lies, drawn as a dashed line.
pub fn draw(
    study: &Study,
    metrics: &[&str],
    chance: impl Fn(&str) -> Option<f64>,
    text: &str,
) -> Option<(Scene, String)> {
    draw_below(study, metrics, chance, |_, _| None, text)
}

/// [`draw`] with what a method could reach at most at a setting by a metric: a line with a band for its interval.
pub fn draw_below(
    study: &Study,
    metrics: &[&str],
    chance: impl Fn(&str) -> Option<f64>,
    ceiling: impl Fn(&Group, &str) -> Option<Point>,
    text: &str,
) -> Option<(Scene, String)> {
    let (mut specs, mut content, mut gaps, mut aggregates) =
        (Vec::new(), Vec::new(), Gaps::default(), Vec::new());
    let slices = study.slices(None);
    let mut held = String::new();
    let mut rows_most = 1;
    for slice in &slices {
        let Some(group) = slice.groups.first() else {
            continue;
        };
        let mut columns = Vec::new();
        for metric in metrics {
            let labels: Vec<&str> = study.methods.iter().map(String::as_str).collect();
            let results: Vec<_> = labels
                .iter()
                .map(|label| measure(study, group, label, metric, &mut gaps))
                .collect();
            columns.push((*metric, labels, results));
        }
        if !columns[0].2.iter().any(|result| result.applies()) {
            continue;
        }
        gaps.group(group);
        held.clone_from(&slice.held);
        for (column, (metric, labels, results)) in columns.into_iter().enumerate() {
            // Rows are named once, at the left.
            let name = |label: &&str| {
                if column == 0 {
                    short_name(&study.palette.style(label))
                } else {
                    String::new()
                }
            };
            let names: Vec<String> = labels.iter().map(name).collect();
            let points: Vec<_> = results.iter().map(point).collect();
            let most = ceiling(group, metric);
            let x = metric_axis(metric, points.iter().flatten().chain(most.as_ref()));
            rows_most = rows_most.max(names.len());
            // Without a value the axis is drawn over an arbitrary range, with "undefined" at every row.
            let x = x.unwrap_or_else(|| Axis {
                ticks: Vec::new(),
                ..Axis::linear(metric, 0.0, 1.0)
            });
            specs.push(PanelSpec {
                title: slice.title.clone(),
                x,
                y: Axis::rows(&names),
            });
            content.push((metric, labels, results, points, most));
            aggregates.extend(content.last().map(|c| c.2.clone()).unwrap_or_default());
        }
    }
    if content.is_empty() {
        return None;
    }
    let missing = gaps.text().unwrap_or_default();
    let notes: Vec<String> = [missing.clone()]
        .into_iter()
        .filter(|note| !note.is_empty())
        .collect();
    let entries: Vec<Entry> = content
        .iter()
        .find_map(|panel| panel.4)
        .map(|_| Entry {
            name: "noise ceiling".to_owned(),
            colour: GREY,
            marker: None,
            dash: Some(Dash::Solid),
        })
        .into_iter()
        .collect();
    let mut sheet = Sheet::new(
        metrics.len(),
        24.0 * rows_most as f64 + 8.0,
        specs,
        &entries,
        &notes,
    );
    for (panel, (metric, labels, results, points, most)) in content.iter().enumerate() {
        let (top, bottom) = (0.5, 0.5 - labels.len() as f64);
        if let Some(most) = most {
            if let Some((low, high)) = most.interval {
                let at = |y: f64| [(low, y), (high, y)];
                sheet.band(panel, &at(bottom), &at(top), GREY);
            }
            let line = [(most.value, top), (most.value, bottom)];
            sheet.line(panel, &line, GREY, 1.3, Dash::Solid, 1.0);
        }
        if let Some(x) = chance(metric)
            && sheet.shows(panel, (x, 0.0))
            && sheet.x_shows(panel, x)
        {
            sheet.line(
                panel,
                &[(x, top), (x, bottom)],
                GREY,
                1.3,
                Dash::Dashed,
                1.0,
            );
        }
        for (row, label) in labels.iter().enumerate() {
            let y = -(row as f64);
            let style = study.palette.style(label);
            match points[row] {
                Some(x) => sheet.point(
                    panel,
                    x,
                    Point {
                        value: y,
                        interval: None,
                    },
                    &style,
                ),
                None => {
                    let word = if results[row].undefined > 0 {
                        "undefined"
                    } else if results[row].failed > 0 {
                        "failed"
                    } else {
                        "not taken"
                    };
                    sheet.annotate_left(panel, y, word);
                }
            }
        }
    }
    let text = caption(&[
        text,
        &interval_text(&aggregates),
        &held_text(&held),
        &missing,
    ]);
    Some((sheet.finish(), text))
}
