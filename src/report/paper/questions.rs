//! What a reader asks of a figure or a table, answered by records: paired over seeds.

use super::items::{Item, Question};
use super::rows::last_accuracy;
use crate::metrics::find;
use crate::metrics::interval::mean;
use crate::metrics::ranking::Contrast;
use crate::report::aggregate::value;
use crate::report::number;
use crate::report::study::{Group, Study};
use crate::results::record::Record;

/// A question and what the records say.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The question, as a statement.
    pub statement: String,
    /// Settings where the interval of the difference is on its side, on the other, and undecided or without one.
    pub counts: [usize; 3],
    /// Over all tasks and seeds: the difference and its interval.
    pub overall: Option<Contrast>,
    /// Pairs of task and seed that it is taken over.
    pub blocks: usize,
    /// What is counted: settings, or tasks where settings are compared with one another.
    pub unit: &'static str,
}

impl Finding {
    /// `in 5 of 16 settings the 95 % interval … ; over all, 0.1 ± 0.05 (12 pairs of task and seed)`
    pub fn text(&self) -> String {
        let [yes, no, open] = self.counts;
        let all = yes + no + open;
        let mut text = if all == 0 {
            format!("no {} has both", self.unit)
        } else {
            format!(
                "the 95 % interval of the paired difference says yes in {yes} of {all} {}{}, no in {no}, and cannot tell in {open}",
                self.unit,
                if all == 1 { "" } else { "s" }
            )
        };
        if let Some(overall) = self.overall {
            let value = number::fixed(overall.difference, 3);
            text.push_str(&match overall.interval() {
                Some(interval) => format!(
                    "; over all {value} ± {} ({} pairs of task and seed)",
                    number::fixed((interval.high - interval.low) / 2.0, 3),
                    self.blocks
                ),
                None => format!("; over all {value} (no interval: one seed)"),
            });
        }
        text
    }
}

/// The findings of an item that the records can say something about.
pub fn findings(item: &Item, study: &Study) -> Vec<Finding> {
    item.questions
        .iter()
        .map(|question| finding(question, study))
        .collect()
}

fn finding(question: &Question, study: &Study) -> Finding {
    let name = |label: &str| study.palette.style(label).name;
    let title = |metric: &str| {
        find(metric)
            .map_or(metric, |metric| metric.title)
            .to_owned()
    };
    match *question {
        Question::Better(metric, better, worse) => {
            let text = format!("{}: {} above {}", title(metric), name(better), name(worse));
            compare(study, text, &|record| {
                Some(value(record, better, metric)? - value(record, worse, metric)?)
            })
        }
        Question::SelectsWell(label) => {
            let text = format!(
                "accuracy at the end: the choice of {} above a random one",
                name(label)
            );
            compare(study, text, &|record| {
                Some(last_accuracy(record, label)? - last_accuracy(record, "random")?)
            })
        }
        Question::FallsWithRank(metric, label) => {
            falls(study, metric, label, &title(metric), &name(label))
        }
    }
}

/// A difference that every cell has.
fn compare(study: &Study, statement: String, of: &dyn Fn(&Record) -> Option<f64>) -> Finding {
    let mut counts = [0; 3];
    for group in &study.groups {
        let records = group.records.iter();
        let differences: Vec<f64> = records.filter_map(|record| of(record)).collect();
        if let Some(contrast) = Contrast::of_seeds(&differences) {
            counts[side(&contrast)] += 1;
        }
    }
    let blocks = blocks(study, &|_, record| of(record));
    let means: Vec<f64> = blocks
        .iter()
        .filter_map(|(_, values)| mean(values))
        .collect();
    Finding {
        statement,
        counts,
        overall: Contrast::of_seeds(&means),
        blocks: means.len(),
        unit: "setting",
    }
}

/// Value at the lowest rank less that at the highest, within every task and seed; the settings counted are the tasks.
fn falls(study: &Study, metric: &str, label: &str, title: &str, name: &str) -> Finding {
    let rank = |group: &Group| group.number("lora.rank");
    let ranks: Vec<f64> = study.groups.iter().filter_map(rank).collect();
    let (low, high) = ranks
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), r| {
            (a.min(*r), b.max(*r))
        });
    let at = |wanted: f64| {
        blocks(study, &move |group, record| {
            (rank(group) == Some(wanted)).then(|| value(record, label, metric))?
        })
    };
    let (first, last) = (at(low), at(high));
    let mut differences: Vec<(String, f64)> = Vec::new();
    for (key, values) in first.iter().filter(|_| low < high) {
        let other = last.iter().find(|(other, _)| other == key);
        if let Some(d) = mean(values).zip(other.and_then(|(_, v)| mean(v))) {
            differences.push((key.0.clone(), d.0 - d.1));
        }
    }
    let mut counts = [0; 3];
    let mut tasks: Vec<&String> = differences.iter().map(|(task, _)| task).collect();
    tasks.dedup();
    for task in tasks {
        let own = differences.iter().filter(|(other, _)| other == task);
        let own: Vec<f64> = own.map(|(_, d)| *d).collect();
        if let Some(contrast) = Contrast::of_seeds(&own) {
            counts[side(&contrast)] += 1;
        }
    }
    let all: Vec<f64> = differences.iter().map(|(_, d)| *d).collect();
    let statement = if low < high {
        format!(
            "{title}: that of {name} is higher at rank {} than at {}",
            number::plain(low),
            number::plain(high)
        )
    } else {
        format!("{title}: that of {name} falls with the rank (one rank here)")
    };
    Finding {
        statement,
        counts,
        overall: Contrast::of_seeds(&all),
        blocks: all.len(),
        unit: "task",
    }
}

/// 0 above zero, 1 below, 2 undecided.
fn side(contrast: &Contrast) -> usize {
    match contrast.interval() {
        Some(interval) if interval.low > 0.0 => 0,
        Some(interval) if interval.high < 0.0 => 1,
        _ => 2,
    }
}

/// Task and seed, and what their cells have.
type Block = ((String, u64), Vec<f64>);

fn blocks(study: &Study, of: &dyn Fn(&Group, &Record) -> Option<f64>) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for group in &study.groups {
        for record in &group.records {
            let Some(value) = of(group, record) else {
                continue;
            };
            let key = (group.task.clone(), record.cell.seed);
            match blocks.iter_mut().find(|(known, _)| *known == key) {
                Some((_, values)) => values.push(value),
                None => blocks.push((key, vec![value])),
            }
        }
    }
    blocks.sort_by(|a, b| a.0.cmp(&b.0));
    blocks
}

#[cfg(test)]
mod tests {
    use super::super::items;
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn clear_claims_are_seen_and_counted() {
        let records = synthetic::glue();
        let study = Study::new(&records);
        let found = findings(items::find("figure-1").expect("listed"), &study);
        // DataInf is .27 above Hessian-free in these records, noise ± .025
        let better = &found[0];
        assert_eq!(better.counts.iter().sum::<usize>(), 16);
        assert!(
            better.counts[0] >= 14 && better.counts[1] == 0,
            "{better:?}"
        );
        assert_eq!(better.blocks, 12);
        assert!(better.text().contains("says yes in 1") && better.text().contains("(12 pairs"));
        // and falls by 0.9·0.18·0.35 from rank 1 to 8
        let falls = &found[2];
        assert_eq!(falls.counts.iter().sum::<usize>(), 4);
        assert!(falls.overall.expect("twelve").difference > 0.1, "{falls:?}");
        assert!(
            falls.statement.contains("rank 1 than at 8"),
            "{}",
            falls.statement
        );
    }

    #[test]
    fn nothing_to_compare_is_said() {
        let records = synthetic::hopeless();
        let study = Study::new(&records);
        let found = findings(items::find("figure-1").expect("listed"), &study);
        assert!(
            found
                .iter()
                .all(|f| f.overall.is_none() && f.counts == [0; 3])
        );
        assert_eq!(found[0].text(), "no setting has both");
        assert!(found[2].statement.ends_with("(one rank here)"));
    }
}
