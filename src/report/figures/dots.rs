//! Rows of methods, columns of metrics, a dot with its interval in each.

use super::lineplot::notes;
use super::{caption, findings, held_text, interval_text, mark, measure, metric_axis};
use crate::metrics::find;
use crate::report::aggregate::Gaps;
use crate::report::axis::Axis;
use crate::report::comparison::compare;
use crate::report::marks::Mark;
use crate::report::number::MISSING;
use crate::report::palette::{Dash, GREY};
use crate::report::scene::Scene;
use crate::report::sheet::{Entry, PanelSpec, Point, Sheet, short_name};
use crate::report::study::{Group, Study};

/// What was drawn: the scene, its caption, and what is to be seen in it.
pub type Drawn = (Scene, String, Vec<String>);

/// Draws one row of panels a task at the reference setting; `None` when no metric has a value.
///
/// `chance` is where a metric of guesses lies, drawn as a dashed line.
pub fn draw(
    study: &Study,
    metrics: &[&str],
    chance: impl Fn(&str) -> Option<f64>,
    text: &str,
) -> Option<Drawn> {
    draw_below(study, metrics, chance, |_, _| None, text)
}

/// [`draw`] with what a method could reach at most at a setting by a metric: a line with a band for its interval.
pub fn draw_below(
    study: &Study,
    metrics: &[&str],
    chance: impl Fn(&str) -> Option<f64>,
    ceiling: impl Fn(&Group, &str) -> Option<Point>,
    text: &str,
) -> Option<Drawn> {
    let (mut specs, mut content, mut gaps, mut aggregates) =
        (Vec::new(), Vec::new(), Gaps::default(), Vec::new());
    let mut seen = Vec::new();
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
            let marks: Vec<Option<Mark>> = labels
                .iter()
                .zip(&results)
                .map(|(label, result)| mark(study, group, Some(label), result))
                .collect();
            let points = || marks.iter().flatten().map(|mark| &mark.point);
            let most = ceiling(group, metric);
            let x = metric_axis(metric, points().chain(most.as_ref()));
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
            seen.extend(sentence(
                study,
                group,
                &slice.title,
                metric,
                &labels,
                &marks,
                most,
            ));
            content.push((metric, labels, results, marks, most));
            aggregates.extend(content.last().map(|c| c.2.clone()).unwrap_or_default());
        }
    }
    if content.is_empty() {
        return None;
    }
    let missing = gaps.text().unwrap_or_default();
    let notes = notes(&[&missing]);
    let entries: Vec<Entry> = content
        .iter()
        .find_map(|panel| panel.4)
        .map(|_| Entry::line("noise ceiling", GREY, Dash::Solid))
        .into_iter()
        .collect();
    let mut sheet = Sheet::new(
        metrics.len(),
        24.0 * rows_most as f64 + 8.0,
        specs,
        &entries,
        &notes,
    );
    for (panel, (metric, labels, results, marks, most)) in content.iter().enumerate() {
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
            match marks[row].clone() {
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
    Some((sheet.finish(), text, seen))
}

/// The best by a metric, with what it is held against.
fn sentence(
    study: &Study,
    group: &Group,
    title: &str,
    metric: &str,
    labels: &[&str],
    marks: &[Option<Mark>],
    most: Option<Point>,
) -> Option<String> {
    let found = find(metric)?;
    let name = |label: &str| study.palette.style(label).name;
    let point = |label: &str| {
        let at = labels.iter().position(|other| *other == label)?;
        marks[at].as_ref().map(|mark| mark.point)
    };
    let show = |value| findings::show(metric, value);
    let comparison = compare(study, &[group], found)?;
    let best = findings::best(&comparison, name, point, show)?;
    let first = comparison.best().map(|i| comparison.labels[i]);
    let others = ["exact", "datainf"].into_iter().filter_map(|subject| {
        let known = labels.contains(&subject) && first != Some(subject);
        let value = point(subject).map_or(MISSING.to_owned(), |point| show(point.value));
        known.then(|| format!("{} {value}", name(subject)))
    });
    let ceiling =
        most.map(|most| format!("noise ceiling {}", findings::with_interval(&most, show)));
    let rest: Vec<String> = others.chain(ceiling).collect();
    let rest = if rest.is_empty() {
        String::new()
    } else {
        format!(" ({})", rest.join("; "))
    };
    Some(format!("{title}, {}: best is {best}{rest}.", found.title))
}
