//! The paper's numbers and ours, side by side.

use super::items::{Item, Number};
use crate::metrics::interval::{mean, t_interval};
use crate::metrics::{Metric, find};
use crate::report::aggregate::{Aggregate, aggregate, value};
use crate::report::study::{Group, Study, method};
use crate::results::record::Record;

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
    pub paper: Option<Number>,
    /// Ours; nothing where the paper's has no counterpart here.
    pub ours: Option<Aggregate>,
}

impl Row {
    /// Whether the paper's number lies within our interval; `None` where one of the two is missing.
    pub fn agrees(&self) -> Option<bool> {
        let (paper, ours) = (self.paper?, self.ours?);
        let (low, high) = ours.low.zip(ours.high)?;
        Some(low <= paper.value && paper.value <= high)
    }

    /// Title of the metric for readers.
    pub fn title(&self) -> String {
        match self.metric.as_str() {
            "time_ratio" => "Runtime over DataInf's".to_owned(),
            "selection_accuracy" => "Accuracy at the end".to_owned(),
            name => find(name).map_or_else(|| name.to_owned(), Metric::label),
        }
    }
}

/// The rows of an item: those with a number of the paper, with or without a counterpart here, then every other method and
/// setting.
pub fn rows(item: &Item, study: &Study) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut used: Vec<Number> = Vec::new();
    let mut take = |wanted: &dyn Fn(&Number) -> bool| {
        let number = item.numbers.iter().find(|number| wanted(number)).copied();
        used.extend(number);
        number
    };
    for group in &study.groups {
        for metric in item.metrics {
            for label in methods(study, metric) {
                let ours = if *metric == "selection_accuracy" {
                    selection(group, &label)
                } else {
                    aggregate(group, &label, metric)
                };
                let taken = *metric != "selection_accuracy" || ours.value.is_some();
                if !taken || (!ours.applies() && ours.failed == 0) {
                    continue;
                }
                let rank = rank(group);
                rows.push(Row {
                    task: group.task.clone(),
                    setting: group.setting(),
                    paper: take(&|number| {
                        number.task == group.task
                            && (number.rank.is_none() || number.rank == rank)
                            && number.method == label
                            && number.metric == *metric
                    }),
                    method: label,
                    metric: (*metric).to_owned(),
                    ours: Some(ours),
                });
            }
        }
    }
    for number in item.numbers.iter().filter(|n| n.metric == "time_ratio") {
        let ours = time_ratio(study, number.method);
        take(&|other| other == number);
        rows.push(Row {
            task: "all settings".to_owned(),
            setting: String::new(),
            method: number.method.to_owned(),
            metric: number.metric.to_owned(),
            paper: Some(*number),
            ours: ours.value.is_some().then_some(ours),
        });
    }
    let unused = item.numbers.iter().filter(|number| !used.contains(number));
    rows.extend(unused.map(|number| {
        Row {
            task: number.task.to_owned(),
            setting: number
                .rank
                .map_or(String::new(), |r| format!("rank r = {r}")),
            method: number.method.to_owned(),
            metric: number.metric.to_owned(),
            paper: Some(*number),
            ours: None,
        }
    }));
    rows
}

/// Labels of the methods that a metric is shown of.
fn methods(study: &Study, metric: &str) -> Vec<String> {
    let against_exact = metric.starts_with("pearson") || metric.starts_with("spearman");
    let own = study.methods.iter().cloned();
    let mut methods: Vec<String> = own
        .filter(|label| !(against_exact && label == "exact"))
        .collect();
    if metric == "selection_accuracy" {
        methods.extend(["full", "random"].map(str::to_owned));
    }
    methods
}

/// The LoRA rank of a group, swept or not.
fn rank(group: &Group) -> Option<u64> {
    let swept = group.axis("lora.rank").and_then(serde_json::Value::as_u64);
    let set = || {
        group
            .records
            .first()?
            .config
            .pointer("/lora/rank")?
            .as_u64()
    };
    swept.or_else(set)
}

/// Accuracy after the last epoch on the choice of a method, or on `full` or `random`.
pub fn last_accuracy(record: &Record, label: &str) -> Option<f64> {
    let curve = match label {
        "full" | "random" => {
            let curves = &record.ground_truth.as_ref()?.curves;
            let name = format!("selection_accuracy/{label}");
            curves.iter().find(|curve| curve.name == name)
        }
        _ => {
            let curves = &method(record, label)?.curves;
            curves
                .iter()
                .find(|curve| curve.name == "selection_accuracy")
        }
    };
    curve?.y.last().copied().filter(|y| y.is_finite())
}

fn selection(group: &Group, label: &str) -> Aggregate {
    let records = group.records.iter();
    let values: Vec<f64> = records.filter_map(|r| last_accuracy(r, label)).collect();
    let cases = group.records.len() - group.failed();
    let interval = t_interval(&values);
    Aggregate {
        value: mean(&values),
        low: interval.map(|i| i.low.max(0.0)),
        high: interval.map(|i| i.high.min(1.0)),
        over_seeds: values.len() > 1,
        seeds: values.len(),
        failed: group.failed(),
        cases,
        undefined: cases - values.len().min(cases),
        ..Aggregate::default()
    }
}

/// Geometric mean of a method's runtime over DataInf's, cell by cell; the interval is over tasks and seeds, each the mean of
/// the logarithms over its settings.
fn time_ratio(study: &Study, label: &str) -> Aggregate {
    let mut blocks: Vec<((&str, u64), Vec<f64>)> = Vec::new();
    for group in &study.groups {
        for record in &group.records {
            let seconds = |label: &str| value(record, label, "total_seconds").filter(|s| *s > 0.0);
            let Some(ratio) = seconds(label).zip(seconds("datainf")).map(|(a, b)| a / b) else {
                continue;
            };
            let key = (group.task.as_str(), record.cell.seed);
            match blocks.iter_mut().find(|(known, _)| *known == key) {
                Some((_, ratios)) => ratios.push(ratio.ln()),
                None => blocks.push((key, vec![ratio.ln()])),
            }
        }
    }
    let logarithms: Vec<f64> = blocks.iter().filter_map(|(_, r)| mean(r)).collect();
    let interval = t_interval(&logarithms);
    Aggregate {
        value: mean(&logarithms).map(f64::exp),
        low: interval.map(|i| i.low.exp()),
        high: interval.map(|i| i.high.exp()),
        over_seeds: logarithms.len() > 1,
        factor: logarithms.len() > 1,
        seeds: logarithms.len(),
        ..Aggregate::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::items;
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn numbers_stand_beside_their_setting_and_none_is_lost() {
        let records = synthetic::glue();
        let study = Study::new(&records);
        let item = items::find("figure-1").expect("listed");
        let found = rows(item, &study);
        let paired: Vec<&Row> = found.iter().filter(|row| row.paper.is_some()).collect();
        assert_eq!(paired.len(), 3);
        for row in paired {
            assert_eq!(
                (row.task.as_str(), row.setting.as_str()),
                ("MRPC", "rank r = 1")
            );
            assert!(row.ours.expect("three seeds").over_seeds);
        }
        assert!(found.iter().all(|row| row.method != "exact"));
        // sixteen settings, nine methods
        assert_eq!(found.len(), 16 * 9);
        let digits = synthetic::retraining(2);
        let study = Study::new(&digits);
        let found = rows(items::find("table-2").expect("listed"), &study);
        let without: Vec<&Row> = found.iter().filter(|row| row.ours.is_none()).collect();
        assert_eq!(without.len(), 20);
        let figure = items::find("figure-2").expect("listed");
        let ratios: Vec<Row> = rows(figure, &study)
            .into_iter()
            .filter(|row| row.metric == "time_ratio")
            .collect();
        assert_eq!(ratios.len(), 2);
        let of = |record: &Record, label: &str| value(record, label, "total_seconds");
        let log = |record: &Record| Some((of(record, "exact")? / of(record, "datainf")?).ln());
        let logs: Vec<f64> = digits.iter().filter_map(log).collect();
        let expected = mean(&logs).expect("two").exp();
        let ours = ratios[1].ours.expect("measured");
        assert!((ours.value.expect("two") - expected).abs() < 1e-9);
        assert_eq!(
            ratios[1].agrees(),
            Some(ours.low <= Some(1149.6) && ours.high >= Some(1149.6))
        );
    }

    #[test]
    fn a_selection_is_read_at_its_last_epoch() {
        let records = synthetic::retraining(2);
        let study = Study::new(&records);
        let item = items::find("figure-7").expect("listed");
        let found = rows(item, &study);
        let full = found
            .iter()
            .find(|row| row.method == "full")
            .expect("a baseline");
        let ours = full.ours.expect("two seeds");
        // 0.86 and 0.87 after the last epoch
        assert!((ours.value.expect("two seeds") - 0.865).abs() < 1e-12);
        assert_eq!(ours.seeds, 2);
        assert!(found.iter().any(|row| row.method == "datainf"));
    }
}
