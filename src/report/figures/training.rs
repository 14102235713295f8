//! Training curves: accuracy and loss after each epoch.

use crate::report::data::{Group, ResultSet};
use std::collections::BTreeSet;

use super::draft::{Draft, Line, MOST, dodge, styles};
use super::{Bounds, Outcome, findings, lower_first, mean_point};
use crate::report::chart::{Axis, AxisScale, Entry, Series, TickLabels, points};
use crate::report::data::distinct;
use crate::report::number;
use crate::results::record::{EpochInfo, TrainingInfo};

const TITLE: &str = "Fine-tuning: query accuracy and loss by epoch";

/// A number of an epoch of a cell's fine-tune.
type Pick = fn(&EpochInfo) -> Option<f64>;

/// A row of panels per task: accuracy and loss, one line per setting, mean over seeds.
pub fn draw(results: &ResultSet) -> Outcome {
    let is_trained = |group: &&Group| {
        let mut runs = group.records.iter().filter_map(|r| r.training.as_ref());
        runs.any(|training| !training.epochs.is_empty())
    };
    let trained: Vec<&Group> = results.groups.iter().filter(is_trained).collect();
    if trained.is_empty() {
        return Outcome::omitted(TITLE, "no cell was fine-tuned");
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
            let bounds = (Some(0.0), most);
            // a setting's line has the same look in every task
            let line = |group: &&Group| {
                let setting = group.setting();
                let place = settings.iter().position(|other| *other == setting)?;
                let series = by_epoch(results, group, pick, bounds);
                Some((styles[place].clone(), series, dodge(place, styles.len())))
            };
            let own = trained.iter().filter(|group| group.task == *task);
            let lines: Vec<Line> = own.filter_map(line).collect();
            let shown = points(lines.iter().map(|(_, series, _)| series));
            let y = Axis::fit(title, shown, AxisScale::Linear, bounds, TickLabels::Number);
            let Some(y) = y else { continue };
            let x = lines.iter().flat_map(|(_, series, _)| series);
            let x = Axis::epochs(x.map(|(x, _)| *x).fold(1.0, f64::max));
            draft.findings.extend(sentence(task, title, &lines));
            let heading = if tasks.len() > 1 { task } else { "" };
            draft.lines(heading, (x, y), lines);
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
        let text = findings::with_interval(&last, |x| number::fixed(x, 3));
        Some((
            last.value,
            match style.name.as_str() {
                "" => text,
                name => format!("{text} ({name})"),
            },
        ))
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
    let records = groups.iter().flat_map(|group| &group.records);
    let epochs = records.filter_map(|record| record.training.as_ref());
    let (mut all, mut bad) = (0, 0);
    for epoch in epochs.flat_map(|training| &training.epochs) {
        all += 1;
        let accuracy = epoch.query_accuracy.is_none_or(f64::is_finite);
        bad += usize::from(!(accuracy && epoch.query_loss.is_finite()));
    }
    if bad == 0 {
        return String::new();
    }
    format!("Missing: {bad} of {all} epochs have an accuracy or a loss that is not finite.")
}

fn by_epoch(results: &ResultSet, group: &Group, pick: Pick, bounds: Bounds) -> Series {
    let runs = group.records.iter();
    let runs: Vec<&TrainingInfo> = runs.filter_map(|run| run.training.as_ref()).collect();
    let all = || runs.iter().flat_map(|training| &training.epochs);
    let epochs: BTreeSet<usize> = all().map(|facts| facts.epoch).collect();
    let at = |epoch: usize| {
        let here = all().filter(|facts| facts.epoch == epoch);
        let point = mean_point(here.filter_map(pick), bounds);
        let record = || Some(results.origin(group, None));
        (epoch as f64, point.map(|point| point.with_record(record())))
    };
    epochs.into_iter().map(at).collect()
}
