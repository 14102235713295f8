//! The paper's numbers and ours, side by side.

use super::items::{Item, Number};
use crate::metrics::contrast::Contrast;
use crate::metrics::{Metric, find};
use crate::report::data::{
    Aggregate, Group, Reading, ResultSet, aggregate, aggregate_by, by_task, curve_end, numbers,
    value,
};
use crate::report::number::MISSING;

/// A number of ours, of the paper, or both.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The task.
    pub task: String,
    /// The swept settings here, without the task; empty where nothing was swept.
    pub setting: String,
    /// The method's label; `full` and `random` for the choices that need none.
    pub method: String,
    /// The metric's name.
    pub metric: String,
    /// The paper's.
    pub paper: Option<&'static Number>,
    /// Ours; nothing where the paper's has no counterpart here.
    pub ours: Option<Aggregate>,
}

impl Row {
    /// The paper's number less ours, or over ours for what is positive without a bound (time); `None` where one of the two is missing.
    pub fn gap(&self) -> Option<Gap> {
        let (paper, ours) = (self.paper?.value, self.ours?);
        let value = ours.value?;
        let factor =
            self.metric == "time_ratio" || find(&self.metric).is_some_and(Metric::is_factor);
        let ratio = factor && paper > 0.0 && value > 0.0;
        let less = |x: f64| if ratio { paper / x } else { paper - x };
        Some(Gap {
            value: less(value),
            interval: ours.interval.map(|(low, high)| (less(high), less(low))),
            ratio,
        })
    }

    /// The swept settings, or that there are none.
    pub fn setting_text(&self) -> &str {
        if self.setting.is_empty() {
            MISSING
        } else {
            &self.setting
        }
    }

    /// Title of the metric for readers.
    pub fn title(&self) -> String {
        match self.metric.as_str() {
            "time_ratio" => "Runtime over DataInf's".to_owned(),
            SELECTION => "Accuracy at the end".to_owned(),
            name => find(name).map_or_else(|| name.to_owned(), Metric::label),
        }
    }
}

/// How far the paper's number is from ours. The interval is that of ours: the paper's number is taken as it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gap {
    /// The difference, or the ratio.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// Whether it is a ratio.
    pub ratio: bool,
}

/// The rows of an item: those with a number of the paper, with or without a counterpart here, then every other method and
/// setting.
pub fn rows(item: &'static Item, results: &ResultSet) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for group in &results.groups {
        for metric in &item.metrics {
            for label in methods(results, metric) {
                let is_selection = metric == SELECTION;
                let ours = match is_selection {
                    true => selection(group, &label),
                    false => aggregate(group, &label, metric),
                };
                let taken = !is_selection || ours.value.is_some();
                if !taken || (!ours.applies() && ours.failed == 0) {
                    continue;
                }
                let rank = rank(group);
                let same = |number: &&Number| {
                    number.is_of(&group.task)
                        && is_published(group)
                        && (number.rank.is_none() || number.rank == rank)
                        && number.method == label
                        && number.metric == *metric
                };
                rows.push(Row {
                    task: group.task.clone(),
                    setting: group.setting(),
                    paper: item.numbers.iter().find(same),
                    method: label,
                    metric: metric.clone(),
                    ours: Some(ours),
                });
            }
        }
    }
    // what has no counterpart here
    let alone = |number: &'static Number, task: &str, setting: String| Row {
        task: task.to_owned(),
        setting,
        method: number.method.clone(),
        metric: number.metric.clone(),
        paper: Some(number),
        ours: None,
    };
    for number in item.numbers.iter().filter(|n| n.metric == "time_ratio") {
        let mut ratios = time_ratio(results, &number.method);
        if ratios.is_empty() {
            ratios.push((String::new(), None));
        }
        rows.extend(ratios.into_iter().map(|(setting, ours)| Row {
            ours,
            ..alone(number, "all settings", setting)
        }));
    }
    for number in &item.numbers {
        let used = |row: &Row| row.paper.is_some_and(|known| std::ptr::eq(known, number));
        if !rows.iter().any(used) {
            let setting = number
                .rank
                .map(|r| format!("rank r = {r}"))
                .unwrap_or_default();
            rows.push(alone(number, &number.task, setting));
        }
    }
    rows
}

/// Labels of the methods that a metric is shown of.
fn methods(results: &ResultSet, metric: &str) -> Vec<String> {
    match find(metric) {
        Some(metric) => results
            .compared(metric)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        None => {
            let choices = ["full", "random"].map(str::to_owned);
            results.methods.iter().cloned().chain(choices).collect()
        }
    }
}

/// Whether gradients are of the loss that the paper's code takes them of, where there is a choice.
fn is_published(group: &Group) -> bool {
    let tokens = group.axis("task.tokens");
    tokens.is_none_or(|tokens| tokens == "published")
}

/// The LoRA rank of a group, swept or not.
fn rank(group: &Group) -> Option<u64> {
    let swept = group.axis("lora.rank");
    let set = || group.records.first()?.config.pointer("/lora/rank");
    swept.or_else(set)?.as_u64()
}

/// Curve of the accuracy on the choice of a method, or on `full` or `random`.
pub const SELECTION: &str = "selection_accuracy";

fn selection(group: &Group, label: &str) -> Aggregate {
    aggregate_by(group, (Some(0.0), Some(1.0)), |record| {
        let value = curve_end(record, label, SELECTION);
        Reading::Taken {
            value,
            ends: None,
            cases: 1,
            undefined: usize::from(value.is_none()),
        }
    })
}

/// Geometric mean of a method's runtime over DataInf's, cell by cell; of several tasks once with the tasks held fixed and
/// once with them as a sample, which the setting says.
fn time_ratio(results: &ResultSet, label: &str) -> Vec<(String, Option<Aggregate>)> {
    let groups: Vec<&Group> = results.groups.iter().collect();
    let logarithms = by_task(numbers(&groups, &|record| {
        let seconds = |label: &str| value(record, label, "total_seconds").filter(|s| *s > 0.0);
        Some((seconds(label)? / seconds("datainf")?).ln())
    }));
    let mut ways = vec![("", Contrast::of_fixed_tasks(&logarithms))];
    if logarithms.len() > 1 {
        ways[0].0 = "tasks held fixed";
        ways.push(("tasks as a sample", Contrast::of_sampled_tasks(&logarithms)));
    }
    let ratio = |(setting, found): (&str, Option<Contrast>)| {
        let found = found?;
        let interval = found.interval();
        let ratio = Aggregate {
            value: Some(found.difference.exp()),
            interval: interval.map(|i| (i.low.exp(), i.high.exp())),
            over_seeds: interval.is_some(),
            factor: interval.is_some(),
            seeds: logarithms.iter().map(Vec::len).sum(),
            ..Aggregate::default()
        };
        Some((setting.to_owned(), Some(ratio)))
    };
    ways.into_iter().filter_map(ratio).collect()
}

#[cfg(test)]
mod tests {
    use super::super::items;
    use super::*;
    use crate::metrics::interval::mean;
    use crate::report::synthetic;
    use crate::results::record::Record;

    #[test]
    fn gaps_are_the_papers_number_less_or_over_ours() {
        let records = synthetic::glue();
        let results = ResultSet::new(&records);
        let item = items::find("figure-1").expect("listed");
        let found = rows(item, &results);
        let paired: Vec<&Row> = found.iter().filter(|row| row.paper.is_some()).collect();
        assert_eq!(paired.len(), 3);
        for row in paired {
            assert_eq!((&*row.task, &*row.setting), ("MRPC", "rank r = 1"));
            let ours = row.ours.expect("three seeds");
            let gap = row.gap().expect("both are there");
            let paper = row.paper.expect("paired").value;
            assert!((gap.value - (paper - ours.value.expect("defined"))).abs() < 1e-12);
            let (low, high) = gap.interval.expect("three seeds");
            assert!(ours.over_seeds && low < gap.value && gap.value < high && !gap.ratio);
        }
        let digits = synthetic::retraining(2);
        let results = ResultSet::new(&digits);
        let figure = items::find("figure-2").expect("listed");
        let mut ratios = rows(figure, &results);
        ratios.retain(|row| row.metric == "time_ratio");
        assert_eq!(ratios.len(), 2);
        let of = |record: &Record, label: &str| value(record, label, "total_seconds");
        let log = |record: &Record| Some((of(record, "exact")? / of(record, "datainf")?).ln());
        let logs: Vec<f64> = digits.iter().filter_map(log).collect();
        let expected = mean(&logs).expect("two").exp();
        let ours = ratios[1].ours.expect("measured");
        assert!((ours.value.expect("two") - expected).abs() < 1e-9);
        let gap = ratios[1].gap().expect("both are there");
        assert!(gap.ratio && (gap.value - 1149.6 / expected).abs() < 1e-9 * gap.value);
        let (low, high) = gap.interval.expect("two seeds");
        let (ours_low, ours_high) = ours.interval.expect("two seeds");
        assert!((low * ours_high - 1149.6).abs() < 1e-6 && low < gap.value);
        assert!((high * ours_low - 1149.6).abs() < 1e-6 && gap.value < high);
    }
}
