//! What a reader asks of a figure or a table, answered by records: paired over seeds.

use std::collections::BTreeMap;

use super::items::{Item, Question};
use super::rows::SELECTION;
use crate::metrics::contrast::Contrast;
use crate::metrics::find;
use crate::metrics::interval::mean;
use crate::report::aggregate::{curve_end, value};
use crate::report::comparison::by_task;
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
    /// Over all settings: the difference of every task, a number a seed.
    pub tasks: Vec<Vec<f64>>,
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
        if let Some(overall) = Contrast::of_fixed_tasks(&self.tasks) {
            text.push_str(&format!("; over all {}", self.pooled(overall)));
        }
        text
    }

    /// `0.064 ± 0.042 with the 4 tasks held fixed, ± 0.089 with them as a sample of tasks (12 pairs of task and seed)`
    fn pooled(&self, overall: Contrast) -> String {
        let pairs: usize = self.tasks.iter().map(Vec::len).sum();
        let half = |contrast: Option<Contrast>| match contrast.and_then(|c| c.interval()) {
            Some(interval) => format!(
                "± {}",
                number::fixed((interval.high - interval.low) / 2.0, 3)
            ),
            None => "without an interval".to_owned(),
        };
        let value = number::fixed(overall.difference, 3);
        match self.tasks.len() {
            1 if pairs == 1 => format!("{value} (no interval: one seed)"),
            1 => format!("{value} {} ({pairs} seeds)", half(Some(overall))),
            tasks => format!(
                "{value} {} with the {tasks} tasks held fixed, {} with them as a sample of tasks ({pairs} pairs of task and seed)",
                half(Some(overall)),
                half(Contrast::of_sampled_tasks(&self.tasks)),
            ),
        }
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
                "accuracy at the end, on the very queries whose loss made the scores: the choice of {} above a random one",
                name(label)
            );
            compare(study, text, &|record| {
                let end = |label: &str| curve_end(record, label, SELECTION);
                Some(end(label)? - end("random")?)
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
    let groups: Vec<&Group> = study.groups.iter().collect();
    Finding {
        statement,
        counts,
        tasks: by_task(&groups, &|_, record| of(record)),
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
    // with the other swept settings as they are, each at its lowest and highest rank
    let mut counts = [0; 3];
    let mut tasks: Vec<Vec<f64>> = Vec::new();
    let mut names: Vec<&str> = study.groups.iter().map(|g| g.task.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names.into_iter().filter(|_| low < high) {
        let at = |wanted: f64| {
            let own = |group: &&Group| group.task == name && rank(group) == Some(wanted);
            let groups: Vec<&Group> = study.groups.iter().filter(own).collect();
            by_seed(&groups, &|record| value(record, label, metric))
        };
        let (first, last) = (at(low), at(high));
        let differences: Vec<f64> = first
            .iter()
            .filter_map(|(seed, value)| Some(value - last.get(seed)?))
            .collect();
        if let Some(contrast) = Contrast::of_seeds(&differences) {
            counts[side(&contrast)] += 1;
            tasks.push(differences);
        }
    }
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
        tasks,
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

/// Of every seed the mean over its cells.
fn by_seed(groups: &[&Group], of: &dyn Fn(&Record) -> Option<f64>) -> BTreeMap<u64, f64> {
    let mut seeds: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for record in groups.iter().flat_map(|group| &group.records) {
        if let Some(value) = of(record) {
            seeds.entry(record.cell.seed).or_default().push(value);
        }
    }
    let means = seeds.into_iter();
    means
        .filter_map(|(seed, own)| Some((seed, mean(&own)?)))
        .collect()
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
        assert_eq!(
            better.tasks.iter().map(Vec::len).collect::<Vec<_>>(),
            [3; 4]
        );
        let text = better.text();
        for part in [
            "says yes in 1",
            " with the 4 tasks held fixed, ± ",
            " with them as a sample of tasks (12 pairs of task and seed)",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // and falls by 0.9·0.18·0.35 from rank 1 to 8
        let falls = &found[2];
        assert_eq!(falls.counts.iter().sum::<usize>(), 4);
        let overall = Contrast::of_fixed_tasks(&falls.tasks).expect("four tasks");
        assert!(overall.difference > 0.1, "{falls:?}");
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
                .all(|f| f.tasks.is_empty() && f.counts == [0; 3])
        );
        assert_eq!(found[0].text(), "no setting has both");
        assert!(found[2].statement.ends_with("(one rank here)"));
    }
}
