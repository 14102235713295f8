//! What a reader asks of a figure or a table, answered by records: paired over seeds.

use super::items::{Item, Question};
use super::rows::SELECTION;
use crate::metrics::contrast::Contrast;
use crate::progress::plural;
use crate::report::data::{
    Group, ResultSet, ascending, by_task, curve_end, means_by_seed, metric_title, numbers, value,
};
use crate::report::number;
use crate::report::tables::half_width;
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
    /// Of differences: `own` are those of every setting or task that is counted, a number a seed.
    fn new(statement: String, unit: &'static str, own: &[Vec<f64>], tasks: Vec<Vec<f64>>) -> Self {
        let mut counts = [0; 3];
        for contrast in own.iter().filter_map(|d| Contrast::of_seeds(d)) {
            counts[side(&contrast)] += 1;
        }
        Self {
            statement,
            counts,
            tasks,
            unit,
        }
    }

    /// `in 5 of 16 settings the 95 % interval … ; over all, 0.1 ± 0.05 (12 pairs of task and seed)`
    pub fn text(&self) -> String {
        let [yes, no, open] = self.counts;
        let (all, unit) = (yes + no + open, self.unit);
        let mut text = match all {
            0 => format!("no {unit} has both"),
            _ => format!(
                "the 95 % interval of the paired difference says yes in {yes} of {all} {unit}{}, no in {no}, and cannot tell in {open}",
                plural(all)
            ),
        };
        if let Some(overall) = Contrast::of_fixed_tasks(&self.tasks) {
            text.push_str(&format!("; over all {}", self.pooled(overall)));
        }
        text
    }

    /// `0.064 ± 0.042 with the 4 tasks held fixed, ± 0.089 with them as a sample of tasks (12 pairs of task and seed)`
    fn pooled(&self, overall: Contrast) -> String {
        let pairs: usize = self.tasks.iter().map(Vec::len).sum();
        let half = |contrast: Option<Contrast>| {
            let half = contrast.and_then(|contrast| half_width(&contrast));
            half.map_or("without an interval".to_owned(), |half| format!("± {half}"))
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
pub fn findings(item: &Item, results: &ResultSet) -> Vec<Finding> {
    let answer = |question| finding(question, results);
    item.questions.iter().map(answer).collect()
}

fn finding(question: &Question, results: &ResultSet) -> Finding {
    let name = |label: &str| results.palette.name(label);
    match question {
        Question::Better(metric, better, worse) => {
            let text = format!(
                "{}: {} above {}",
                metric_title(metric),
                name(better),
                name(worse)
            );
            compare(results, text, &|record| {
                Some(value(record, better, metric)? - value(record, worse, metric)?)
            })
        }
        Question::SelectsWell(label) => {
            let text = format!(
                "accuracy at the end, on the very queries whose loss made the scores: the choice of {} above a random one",
                name(label)
            );
            compare(results, text, &|record| {
                let end = |label: &str| curve_end(record, label, SELECTION);
                Some(end(label)? - end("random")?)
            })
        }
        Question::FallsWithRank(metric, label) => {
            let subject = format!("{}: that of {}", metric_title(metric), name(label));
            falls(results, &subject, &|record| value(record, label, metric))
        }
    }
}

/// A difference that every cell has.
fn compare(results: &ResultSet, statement: String, of: &dyn Fn(&Record) -> Option<f64>) -> Finding {
    let groups: Vec<&Group> = results.groups.iter().collect();
    let own = groups.iter().map(|group| {
        let records = group.records.iter();
        records.filter_map(|record| of(record)).collect()
    });
    let tasks = by_task(numbers(&groups, of));
    Finding::new(statement, "setting", &own.collect::<Vec<_>>(), tasks)
}

/// Value at the lowest rank less that at the highest, within every task and seed; the settings counted are the tasks.
fn falls(results: &ResultSet, subject: &str, of: &dyn Fn(&Record) -> Option<f64>) -> Finding {
    let rank = |group: &Group| group.number("lora.rank");
    let ranks = ascending(results.groups.iter().filter_map(rank));
    let [low, .., high] = ranks[..] else {
        let statement = format!("{subject} falls with the rank (one rank here)");
        return Finding::new(statement, "task", &[], Vec::new());
    };
    let statement = format!(
        "{subject} is higher at rank {} than at {}",
        number::plain(low),
        number::plain(high)
    );
    // with the other swept settings as they are, each at its lowest and highest rank
    let at = |wanted: f64| -> Vec<&Group> {
        let groups = results.groups.iter();
        groups.filter(|group| rank(group) == Some(wanted)).collect()
    };
    let (low, high) = (at(low), at(high));
    let last = means_by_seed(numbers(&high, of));
    let first = means_by_seed(numbers(&low, of)).into_iter();
    let mut tasks: Vec<Vec<f64>> = first
        .map(|(task, seeds)| {
            let pair = |(seed, value)| Some(value - last.get(task)?.get(&seed)?);
            seeds.into_iter().filter_map(pair).collect()
        })
        .collect();
    tasks.retain(|differences| !differences.is_empty());
    Finding::new(statement, "task", &tasks.clone(), tasks)
}

/// 0 above zero, 1 below, 2 undecided.
fn side(contrast: &Contrast) -> usize {
    match contrast.interval() {
        Some(interval) if interval.low > 0.0 => 0,
        Some(interval) if interval.high < 0.0 => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::super::items;
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn nothing_to_compare_is_said() {
        let records = synthetic::hopeless();
        let results = ResultSet::new(&records);
        let found = findings(items::find("figure-1").expect("listed"), &results);
        let nothing = |f: &Finding| f.tasks.is_empty() && f.counts == [0; 3];
        assert!(found.iter().all(nothing));
        assert_eq!(found[0].text(), "no setting has both");
        assert!(found[2].statement.ends_with("(one rank here)"));
    }
}
