//! Training curves: accuracy and loss after each epoch.

use std::collections::BTreeSet;

use super::lineplot::{self, Line, MOST, epochs, styles};
use super::{Bounds, Outcome, caption, dodge, findings, mean_point, points};
use crate::report::aggregate::Gaps;
use crate::report::axis::{Axis, Scale, range};
use crate::report::marks::{Mark, Marks};
use crate::report::number;
use crate::report::sheet::{Entry, PanelSpec, Point};
use crate::report::study::{Group, Study};
use crate::results::record::{EpochFacts, TrainingFacts};

const TITLE: &str = "Fine-tuning: query accuracy and loss by epoch";

/// A row of panels a task: accuracy and loss, one line a setting, mean over seeds.
pub fn draw(study: &Study) -> Outcome {
    let is_trained = |group: &&Group| {
        let mut runs = group.records.iter().filter_map(|r| r.training.as_ref());
        runs.any(|training| !training.epochs.is_empty())
    };
    let trained: Vec<&Group> = study.groups.iter().filter(is_trained).collect();
    if trained.is_empty() {
        return Outcome::omitted(TITLE, "no cell was fine-tuned");
    }
    let (mut tasks, mut settings) = (Vec::<&str>::new(), Vec::<String>::new());
    for group in &trained {
        if !tasks.contains(&group.task.as_str()) {
            tasks.push(&group.task);
        }
        if !settings.contains(&group.setting()) {
            settings.push(group.setting());
        }
    }
    let all = settings.len();
    settings.truncate(MOST);
    let styles = styles(settings.iter().cloned());
    let (mut panels, mut seen) = (Vec::new(), Vec::new());
    for task in &tasks {
        // a setting's line has the same look in every task
        let shown: Vec<(usize, &Group)> = trained
            .iter()
            .filter(|group| group.task == **task)
            .filter_map(|group| {
                let setting = group.setting();
                let style = settings.iter().position(|other| *other == setting)?;
                Some((style, *group))
            })
            .collect();
        let curves = |pick: Pick, bounds| {
            let of =
                |(style, group): &(usize, &Group)| (*style, by_epoch(study, group, pick, bounds));
            shown.iter().map(of).collect::<Vec<(usize, Marks)>>()
        };
        for (title, series, bounds) in [
            (
                study.accuracy_title(),
                curves(|epoch| epoch.query_accuracy, (Some(0.0), Some(1.0))),
                (Some(0.0), Some(1.0)),
            ),
            (
                "Query loss (nats)",
                curves(|epoch| Some(epoch.query_loss), (Some(0.0), None)),
                (Some(0.0), None),
            ),
        ] {
            let values: Vec<_> = points(series.iter().map(|(_, marks)| marks))
                .map(|p| (p.value, p.interval))
                .collect();
            let all = series.iter().flat_map(|(_, marks)| marks);
            let last = all.map(|(x, _)| *x).fold(1.0, f64::max);
            let Some((low, high)) = range(&values, Scale::Linear, bounds) else {
                continue;
            };
            let spec = PanelSpec {
                title: if tasks.len() > 1 {
                    (*task).to_owned()
                } else {
                    String::new()
                },
                x: epochs(last),
                y: Axis::linear(title, low, high),
            };
            seen.extend(sentence(task, title, &series, &styles));
            let line = |(style, marks): (usize, Marks)| Line {
                style: styles[style].clone(),
                marks,
                dodge: dodge(style, styles.len()),
            };
            panels.push((spec, series.into_iter().map(line).collect()));
        }
    }
    if panels.is_empty() {
        return Outcome::omitted(TITLE, "no epoch has a finite accuracy or loss");
    }
    // one setting alone has no name, and needs none
    let entries: Vec<Entry> = styles
        .iter()
        .filter(|style| !style.name.is_empty())
        .map(Entry::method)
        .collect();
    let scene = lineplot::draw((2, 170.0), panels, &entries, &[], |_, _| {});
    let rest = if all > MOST {
        format!("The first {MOST} of {all} settings are shown.")
    } else {
        String::new()
    };
    let mut gaps = Gaps::default();
    study.groups.iter().for_each(|group| gaps.group(group));
    let text = caption(&[
        "After each epoch, on the queries; all methods share the fine-tune. Mean over seeds with its 95 % t-interval.",
        &rest,
        &gaps.text().unwrap_or_default(),
        &not_finite(&trained),
    ]);
    Outcome::drawn("training", TITLE, text, scene).finding(seen)
}

/// Where the curves end: the highest and the lowest.
fn sentence(
    task: &str,
    title: &str,
    series: &[(usize, Marks)],
    styles: &[crate::report::palette::Style],
) -> Option<String> {
    let mut ends: Vec<(&str, Point)> = series
        .iter()
        .filter_map(|(style, marks)| {
            let (_, mark) = marks.iter().rev().find(|(_, mark)| mark.is_some())?;
            Some((styles[*style].name.as_str(), mark.as_ref()?.point))
        })
        .collect();
    ends.sort_by(|a, b| b.1.value.total_cmp(&a.1.value));
    let text = |(name, point): &(&str, Point)| {
        let value = findings::with_interval(point, |x| number::fixed(x, 3));
        if name.is_empty() {
            value
        } else {
            format!("{value} ({name})")
        }
    };
    let what = super::lower_first(title);
    Some(match ends.as_slice() {
        [] => return None,
        [only] => format!("{task}, {what} ends at {}.", text(only)),
        [first, .., last] => format!(
            "{task}, {what} ends between {} and {}.",
            text(last),
            text(first)
        ),
    })
}

/// Epochs whose accuracy or loss is NaN or infinite: they are in no mean.
fn not_finite(groups: &[&Group]) -> String {
    let records = groups.iter().flat_map(|group| &group.records);
    let epochs = records.filter_map(|record| record.training.as_ref());
    let (mut all, mut bad) = (0, 0);
    for epoch in epochs.flat_map(|training| &training.epochs) {
        all += 1;
        let accuracy = epoch.query_accuracy.is_none_or(f64::is_finite);
        let finite = accuracy && epoch.query_loss.is_finite();
        bad += usize::from(!finite);
    }
    if bad > 0 {
        format!("Missing: {bad} of {all} epochs have an accuracy or a loss that is not finite.")
    } else {
        String::new()
    }
}

/// A number of an epoch of a cell's fine-tune.
type Pick = fn(&EpochFacts) -> Option<f64>;

fn by_epoch(study: &Study, group: &Group, pick: Pick, bounds: Bounds) -> Marks {
    let runs = group.records.iter();
    let runs: Vec<&TrainingFacts> = runs.filter_map(|run| run.training.as_ref()).collect();
    let all = || runs.iter().flat_map(|training| &training.epochs);
    let epochs: BTreeSet<usize> = all().map(|facts| facts.epoch).collect();
    let at = |epoch: usize| {
        let here = all().filter(|facts| facts.epoch == epoch);
        let mark = mean_point(here.filter_map(pick), bounds).map(|point| Mark {
            point,
            origin: Some(study.origin(group, None)),
        });
        (epoch as f64, mark)
    };
    epochs.into_iter().map(at).collect()
}
