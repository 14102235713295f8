//! Training curves: accuracy and loss after each epoch.

use super::draft::{Draft, Line, MOST, dodge, styles};
use super::{Outcome, findings, lower_first, mean_series, omitted};
use crate::report::chart::{Axis, AxisScale, Entry};
use crate::report::data::{Group, ResultSet, distinct};
use crate::report::number;
use crate::results::record::{EpochInfo, TrainingInfo};

const TITLE: &str = "Fine-tuning: query accuracy and loss by epoch";

/// A number of an epoch of a cell's fine-tune.
type Pick = fn(&EpochInfo) -> Option<f64>;

/// A row of panels per task: accuracy and loss, one line per setting, mean over seeds.
pub fn draw(results: &ResultSet) -> Outcome {
    let is_trained = |group: &&Group| runs(group).any(|training| !training.epochs.is_empty());
    let trained: Vec<&Group> = results.groups.iter().filter(is_trained).collect();
    if trained.is_empty() {
        return omitted(TITLE, "no cell was fine-tuned");
    }
    let tasks = distinct(trained.iter().map(|group| group.task.as_str()));
    let mut settings = distinct(trained.iter().map(|group| group.setting()));
    let all = settings.len();
    settings.truncate(MOST);
    let styles = styles(settings.iter().cloned());
    let mut draft = Draft::new(2, 170.0);
    let accuracy: Pick = |epoch| epoch.query_accuracy;
    let loss: Pick = |epoch| Some(epoch.query_loss);
    for task in &tasks {
        for (title, pick, most) in [
            (results.accuracy_title(), accuracy, Some(1.0)),
            ("Query loss (nats)", loss, None),
        ] {
            let limits = (Some(0.0), most);
            // a setting's line has the same look in every task
            let line = |group: &&Group| {
                let setting = group.setting();
                let place = settings.iter().position(|other| *other == setting)?;
                let points = runs(group).flat_map(|training| &training.epochs);
                // what is not there is as little a number as what is not finite
                let points = points.map(|e| (e.epoch as f64, pick(e).unwrap_or(f64::NAN)));
                let series = mean_series(points, limits, &results.origin(group, None));
                Some((styles[place].clone(), series, dodge(place, styles.len())))
            };
            let own = trained.iter().filter(|group| group.task == *task);
            let lines: Vec<Line> = own.filter_map(line).collect();
            let x = lines.iter().flat_map(|(_, series, _)| series);
            let x = Axis::epochs(x.map(|(x, _)| *x).fold(1.0, f64::max));
            let said = sentence(task, title, &lines);
            let heading = if tasks.len() > 1 { task } else { "" };
            let drawn = draft.fitted(heading, x, (title, AxisScale::Linear, limits), lines);
            if drawn.is_some() {
                draft.findings.extend(said);
            }
        }
    }
    // one setting alone has no name, and needs none
    let named = styles.iter().filter(|style| !style.name.is_empty());
    draft.chart.legend.extend(named.map(Entry::method));
    let rest = (all > MOST).then(|| format!("The first {MOST} of {all} settings are shown."));
    let groups = results.groups.iter();
    groups.for_each(|group| draft.missing.group(group));
    let text = [
        "After each epoch, on the queries; all methods share the fine-tune. Mean over seeds with its 95 % t-interval.",
        &rest.unwrap_or_default(),
        &not_finite(&trained),
    ];
    let empty = "no epoch has a finite accuracy or loss";
    draft.outcome("training", TITLE, &text, empty)
}

/// Where the curves end: the highest and the lowest.
fn sentence(task: &str, title: &str, lines: &[Line]) -> Option<String> {
    let end = |(style, series, _): &'_ Line| {
        let last = series.iter().rev().find_map(|(_, point)| point.clone())?;
        let mut text = findings::with_interval(&last, |x| number::fixed(x, 3));
        if !style.name.is_empty() {
            text = format!("{text} ({})", style.name);
        }
        Some((last.value, text))
    };
    let mut ends: Vec<(f64, String)> = lines.iter().filter_map(end).collect();
    ends.sort_by(|a, b| b.0.total_cmp(&a.0));
    let range = match ends.as_slice() {
        [] => return None,
        [(_, only)] => format!("at {only}"),
        [(_, most), .., (_, least)] => format!("between {least} and {most}"),
    };
    Some(format!("{task}, {} ends {range}.", lower_first(title)))
}

/// Epochs whose accuracy or loss is NaN or infinite: they are in no mean.
fn not_finite(groups: &[&Group]) -> String {
    let epochs = groups.iter().flat_map(|group| runs(group));
    let epochs: Vec<&EpochInfo> = epochs.flat_map(|training| &training.epochs).collect();
    let bad = epochs.iter().filter(|epoch| {
        let accuracy = epoch.query_accuracy.is_none_or(f64::is_finite);
        !(accuracy && epoch.query_loss.is_finite())
    });
    let (bad, all) = (bad.count(), epochs.len());
    match bad {
        0 => String::new(),
        _ => {
            format!("Missing: {bad} of {all} epochs have an accuracy or a loss that is not finite.")
        }
    }
}

/// The fine-tunes of a group.
fn runs<'r>(group: &Group<'r>) -> impl Iterator<Item = &'r TrainingInfo> {
    let records = group.records.iter();
    records.filter_map(|record| record.training.as_ref())
}
