//! Training curves: accuracy after each epoch.

use super::{Outcome, caption};
use crate::metrics::interval::{mean, t_interval};
use crate::report::axis::{Axis, Scale, range};
use crate::report::palette::{Colour, Dash, Marker, Style};
use crate::report::sheet::{Entry, PanelSpec, Point, Series, Sheet};
use crate::report::study::{Group, Study};

const TITLE: &str = "Fine-tuning: query accuracy and loss by epoch";

/// Lines a panel shows; the first of each setting beyond it stay out.
const MOST: usize = 8;

/// From dark to light, one a setting: not the methods' colours, since all methods share the fine-tune.
const COLOURS: [Colour; MOST] = [
    [0x44, 0x01, 0x54],
    [0x46, 0x32, 0x7e],
    [0x36, 0x5c, 0x8d],
    [0x27, 0x7f, 0x8e],
    [0x1f, 0xa1, 0x87],
    [0x4a, 0xc1, 0x6d],
    [0x8f, 0xb0, 0x30],
    [0xc8, 0xa0, 0x20],
];
const MARKERS: [Marker; 4] = [Marker::Circle, Marker::Square, Marker::Up, Marker::Diamond];

/// Accuracy and loss, one line a setting, mean over seeds.
pub fn draw(study: &Study) -> Outcome {
    let trained: Vec<&Group> = study
        .groups
        .iter()
        .filter(|group| {
            group
                .records
                .iter()
                .any(|r| r.training.as_ref().is_some_and(|t| !t.epochs.is_empty()))
        })
        .collect();
    if trained.is_empty() {
        return Outcome::omitted(TITLE, "no cell was fine-tuned");
    }
    let several_tasks = trained.iter().any(|group| group.task != trained[0].task);
    let shown = &trained[..trained.len().min(MOST)];
    let name = |group: &Group| match (several_tasks, group.setting()) {
        (false, setting) if setting.is_empty() => group.task.clone(),
        (false, setting) => setting,
        (true, setting) if setting.is_empty() => group.task.clone(),
        (true, setting) => format!("{}, {setting}", group.task),
    };
    let styles: Vec<Style> = shown
        .iter()
        .enumerate()
        .map(|(i, group)| Style {
            name: name(group),
            colour: COLOURS[i * MOST / shown.len()],
            marker: MARKERS[i % MARKERS.len()],
            dash: Dash::Solid,
        })
        .collect();
    let accuracy: Vec<_> = shown
        .iter()
        .map(|group| by_epoch(group, |epoch| epoch.query_accuracy, (0.0, 1.0)))
        .collect();
    let loss: Vec<_> = shown
        .iter()
        .map(|group| by_epoch(group, |epoch| epoch.query_loss, (0.0, f64::INFINITY)))
        .collect();
    let (mut specs, mut content) = (Vec::new(), Vec::new());
    for (title, series, bounds) in [
        ("Query accuracy", accuracy, (Some(0.0), Some(1.0))),
        ("Query loss (nats)", loss, (Some(0.0), None)),
    ] {
        let values: Vec<_> = series
            .iter()
            .flatten()
            .filter_map(|(_, point)| point.as_ref())
            .map(|p| (p.value, p.interval))
            .collect();
        let last = series.iter().flatten().map(|(x, _)| *x).fold(1.0, f64::max);
        if let Some((low, high)) = range(&values, Scale::Linear, bounds) {
            let mut x = Axis::linear("Epoch", 0.5, last + 0.5);
            x.ticks.retain(|(x, _)| x.fract() == 0.0);
            x.ticks
                .iter_mut()
                .for_each(|(x, label)| *label = format!("{x}"));
            specs.push(PanelSpec {
                title: String::new(),
                x,
                y: Axis::linear(title, low, high),
            });
            content.push(series);
        }
    }
    if content.is_empty() {
        return Outcome::omitted(TITLE, "no epoch has a finite accuracy or loss");
    }
    let entries: Vec<Entry> = styles.iter().map(Entry::method).collect();
    let mut sheet = Sheet::new(2, 170.0, specs, &entries, &[]);
    for (panel, series) in content.iter().enumerate() {
        for (points, style) in series.iter().zip(&styles) {
            sheet.series(panel, points, style, 0.0);
        }
    }
    let rest = if trained.len() > MOST {
        format!("The first {MOST} of {} settings are shown.", trained.len())
    } else {
        String::new()
    };
    let text = caption(&[
        "After each epoch, on the queries; all methods share the fine-tune. Mean over seeds with its 95 % t-interval.",
        &rest,
    ]);
    Outcome::drawn("training", TITLE, text, sheet.finish())
}

fn by_epoch(
    group: &Group,
    pick: fn(&crate::results::record::EpochFacts) -> f64,
    bounds: (f64, f64),
) -> Series {
    let runs: Vec<_> = group
        .records
        .iter()
        .filter_map(|record| record.training.as_ref())
        .collect();
    let epochs = runs.iter().map(|run| run.epochs.len()).max().unwrap_or(0);
    (0..epochs)
        .map(|at| {
            let values: Vec<f64> = runs
                .iter()
                .filter_map(|run| run.epochs.get(at))
                .map(pick)
                .filter(|x| x.is_finite())
                .collect();
            let interval = t_interval(&values).map(|i| {
                (
                    i.low.clamp(bounds.0, bounds.1),
                    i.high.clamp(bounds.0, bounds.1),
                )
            });
            (
                (at + 1) as f64,
                mean(&values).map(|value| Point { value, interval }),
            )
        })
        .collect()
}
