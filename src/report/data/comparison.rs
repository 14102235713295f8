//! The methods of one setting, or of all, compared with one another: pairs by seed, or within the one cell.
//!
//! Every statement of the report that one method is better than another is made here: headline, captions and tables
//! read the same [`Comparison`].

use std::collections::BTreeMap;

use super::{Group, ResultSet, aggregate, value};
use crate::metrics::contrast::Contrast;
use crate::metrics::interval::mean;
use crate::metrics::paired::{Difference, PAIRED};
use crate::metrics::ranking::{Ranking, hurdle};
use crate::metrics::{Direction, Metric, find};
use crate::results::methods::is_control;
use crate::results::record::{PairingInfo, Record};

/// What pairs of methods are compared over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Units {
    /// So many seeds, of one setting or each the mean over its settings.
    Seeds(usize),
    /// So many tasks, held fixed, and so many pairs of task and seed, each the mean over its settings.
    Tasks(usize, usize),
    /// The queries, examples or subsets of one cell.
    Cell(String),
    /// One seed, and nothing recorded that would tell what it varies by.
    One,
}

/// Methods compared by one number.
#[derive(Clone, Debug)]
pub struct Comparison<'s> {
    /// The methods.
    pub labels: Vec<&'s str>,
    /// Their values: the mean over seeds, then over tasks, where they are defined; geometric for what is a factor.
    pub values: Vec<Option<f64>>,
    /// The pairs. Several tasks are held fixed.
    pub ranking: Ranking,
    /// The same pairs with the tasks as a sample of tasks, where there are several.
    pub sampled: Option<Ranking>,
    /// What they are compared over.
    pub units: Units,
    /// Undefined cases of all methods, and all cases.
    pub undefined: (usize, usize),
    /// Methods of cells that failed, the cells' own failures included.
    pub failed: usize,
    /// Those that may be called the best: all but the controls where the metric is about approximations.
    candidates: Vec<bool>,
    higher: bool,
}

impl Comparison<'_> {
    /// The method with the best value among the candidates that may be the best.
    pub fn best(&self) -> Option<usize> {
        let able = |i: &usize| self.candidates[*i] && self.may_be_best(*i);
        self.order().into_iter().find(able)
    }

    /// The methods that are not told apart from the best, the better values first.
    pub fn alike(&self) -> Vec<usize> {
        let (best, above) = (self.best(), self.above());
        self.those(|i| Some(i) != best && self.may_be_best(i) && !above.contains(&i))
    }

    /// The methods that are told apart as worse than a candidate, the better values first.
    pub fn worse(&self) -> Vec<usize> {
        self.those(|i| self.ranking.has(i) && !self.may_be_best(i))
    }

    /// The controls that are told apart from the best as better still: of an approximation they say nothing, of the
    /// metric much.
    pub fn above(&self) -> Vec<usize> {
        let best = self.best();
        self.those(|i| best.is_some_and(|best| self.ranking.beats(i, best)))
    }

    /// `; better still, but a control: A`, with the names of [`Comparison::above`]; empty without any.
    pub fn better_controls(&self, name: impl Fn(&str) -> String) -> String {
        let above: Vec<String> = self.above().iter().map(|&i| name(self.labels[i])).collect();
        match above.is_empty() {
            true => String::new(),
            false => format!("; better still, but a control: {}", above.join("; ")),
        }
    }

    fn may_be_best(&self, method: usize) -> bool {
        self.ranking.may_be_best(method, |i| self.candidates[i])
    }

    fn those(&self, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        self.order().into_iter().filter(|&i| wanted(i)).collect()
    }

    /// Whether the best is told apart from every other method, as better.
    pub fn is_decided(&self) -> bool {
        let others = self.alike().is_empty() && self.above().is_empty();
        self.ranking.can_tell() && self.best().is_some() && others
    }

    /// Why nothing can be told apart, where that is so.
    pub fn untold(&self) -> Option<&'static str> {
        match self.units {
            _ if self.ranking.can_tell() => None,
            Units::One => Some("one seed"),
            _ => Some("differences without any spread"),
        }
    }

    /// The methods with a value, the better first.
    fn order(&self) -> Vec<usize> {
        let values = self.values.iter().enumerate();
        let mut order: Vec<(usize, f64)> = values.filter_map(|(i, x)| Some((i, (*x)?))).collect();
        let sign = if self.higher { -1.0 } else { 1.0 };
        order.sort_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)));
        order.into_iter().map(|(i, _)| i).collect()
    }

    /// The method that the others are held against beside the best: exact, else DataInf.
    pub fn reference(&self) -> Option<usize> {
        let at = |name| self.labels.iter().position(|label| *label == name);
        at("exact").or_else(|| at("datainf"))
    }

    /// What the data can and cannot say, in a sentence.
    pub fn support(&self) -> String {
        match &self.units {
            Units::Seeds(count) => {
                let error = hurdle(self.ranking.count(), Some((count - 1) as f64));
                let error = error.map_or(String::new(), |t| {
                    format!(": the clearest pair is told apart beyond {t:.1} standard errors")
                });
                format!("{count} seeds{error}")
            }
            Units::Tasks(tasks, pairs) => {
                let sampled = self.sampled.as_ref().map_or(0, Ranking::told_apart);
                format!(
                    "{tasks} tasks held fixed, {pairs} pairs of task and seed: {} of {} pairs of methods are told apart; with the tasks as a \
                     sample of tasks, {sampled}",
                    self.ranking.told_apart(),
                    self.ranking.count() * self.ranking.count().saturating_sub(1) / 2,
                )
            }
            Units::Cell(over) => format!(
                "one seed: holds for other {over} with this fine-tune, says nothing of another seed"
            ),
            Units::One => "one seed: no interval, nothing can be told apart".to_owned(),
        }
    }
}

/// The headline metrics that two methods or more have here.
pub fn compared_metrics(results: &ResultSet) -> Vec<&'static Metric> {
    let known = |metric: &&Metric| {
        let has_value = |label: &&str| {
            let mut records = results.records.iter();
            records.any(|record| value(record, label, metric.name).is_some())
        };
        results
            .compared(metric)
            .into_iter()
            .filter(has_value)
            .count()
            > 1
    };
    let metrics = PAIRED.iter().filter_map(|name| find(name));
    metrics.filter(known).collect()
}

/// Numbers with their task and seed: of every task and seed their mean. Cells of one task and seed share data and are no
/// independent draws.
pub fn means_by_seed<T: Ord>(
    numbers: impl IntoIterator<Item = (T, u64, f64)>,
) -> BTreeMap<T, BTreeMap<u64, f64>> {
    let mut tasks: BTreeMap<T, BTreeMap<u64, Vec<f64>>> = BTreeMap::new();
    for (task, seed, number) in numbers {
        let seeds = tasks.entry(task).or_default();
        seeds.entry(seed).or_default().push(number);
    }
    let own = |(seed, numbers): (_, Vec<f64>)| Some((seed, mean(&numbers)?));
    let of_task =
        |(task, seeds): (_, BTreeMap<_, _>)| (task, seeds.into_iter().filter_map(own).collect());
    tasks.into_iter().map(of_task).collect()
}

/// A number of every cell where it is defined.
pub fn numbers<'g>(
    groups: &'g [&Group],
    of: &'g dyn Fn(&Record) -> Option<f64>,
) -> impl Iterator<Item = (&'g str, u64, f64)> {
    groups.iter().flat_map(move |group| {
        group.records.iter().filter_map(move |record| {
            let number = of(record).filter(|x| x.is_finite())?;
            Some((group.task.as_str(), record.cell.seed, number))
        })
    })
}

/// Of every task the means of [`means_by_seed`].
pub fn by_task<T: Ord>(numbers: impl IntoIterator<Item = (T, u64, f64)>) -> Vec<Vec<f64>> {
    let tasks = means_by_seed(numbers).into_values();
    tasks.map(|seeds| seeds.into_values().collect()).collect()
}

/// Compares the methods over the cells of these groups; `None` where fewer than two methods have a value.
pub fn compare<'s>(
    results: &'s ResultSet,
    groups: &[&Group],
    metric: &Metric,
) -> Option<Comparison<'s>> {
    let labels = results.compared(metric);
    let single = match groups {
        [group] if group.records.len() == 1 => group.records.first(),
        _ => None,
    };
    let mut pairings = single.into_iter().flat_map(|record| &record.pairing);
    let within = pairings.find(|info| info.metric == metric.name);
    let raw = |record: &Record, label: &str| value(record, label, metric.name);
    let positive = |record: &&Record| {
        labels
            .iter()
            .all(|label| raw(record, label).is_none_or(|x| x > 0.0))
    };
    let mut records = groups.iter().flat_map(|group| &group.records);
    let logarithms = metric.is_factor() && records.all(positive);
    let of = |record: &Record, label: &str| match logarithms {
        true => raw(record, label).map(f64::ln),
        false => raw(record, label),
    };
    let higher = metric.direction != Direction::Lower;
    let mut found = compare_by(groups, labels, higher, within, &of)?;
    if metric.is_of_approximations() {
        found.candidates = found.labels.iter().map(|l| !is_control(l)).collect();
    }
    if logarithms {
        found
            .values
            .iter_mut()
            .for_each(|value| *value = value.map(f64::exp));
    }
    for group in groups {
        for label in &found.labels {
            let result = aggregate(group, label, metric.name);
            found.undefined.0 += result.undefined;
            found.undefined.1 += result.cases;
        }
        let methods = group.records.iter().flat_map(|record| &record.methods);
        found.failed += group.failed() + methods.filter(|method| !method.has_scores()).count();
    }
    Some(found)
}

/// Compares anything that cells have by any number; `within` is what the one cell recorded of its pairs.
pub fn compare_by<'s>(
    groups: &[&Group],
    labels: Vec<&'s str>,
    higher: bool,
    within: Option<&PairingInfo>,
    of: &dyn Fn(&Record, &str) -> Option<f64>,
) -> Option<Comparison<'s>> {
    let task_means = |tasks: &[Vec<f64>]| {
        let means: Vec<f64> = tasks.iter().filter_map(|seeds| mean(seeds)).collect();
        mean(&means)
    };
    let values: Vec<Option<f64>> = labels
        .iter()
        .map(|label| task_means(&by_task(numbers(groups, &|record| of(record, label)))))
        .collect();
    if values.iter().flatten().count() < 2 {
        return None;
    }
    let by_pair = |i: usize, j: usize| {
        by_task(numbers(groups, &|record| {
            Some(of(record, labels[i])? - of(record, labels[j])?)
        }))
    };
    let ranking = Ranking::new(labels.len(), higher, |i, j| match within {
        Some(info) => recorded(info, labels[i], labels[j]),
        None => Contrast::of_fixed_tasks(&by_pair(i, j)),
    });
    let cells = by_task(numbers(groups, &|_| Some(0.0)));
    let pairs = cells.iter().map(Vec::len).sum();
    let several = cells.len() > 1;
    let sampled = several.then(|| {
        Ranking::new(labels.len(), higher, |i, j| {
            Contrast::of_sampled_tasks(&by_pair(i, j))
        })
    });
    let units = match (within, pairs, several) {
        (Some(info), ..) => Units::Cell(info.over.clone()),
        (_, 0 | 1, _) => Units::One,
        (.., false) => Units::Seeds(pairs),
        (.., true) => Units::Tasks(cells.len(), pairs),
    };
    Some(Comparison {
        candidates: vec![true; labels.len()],
        labels,
        values,
        ranking,
        sampled,
        units,
        undefined: (0, 0),
        failed: 0,
        higher,
    })
}

/// What a cell recorded of a pair: value of the first less that of the second.
fn recorded(info: &PairingInfo, first: &str, second: &str) -> Option<Contrast> {
    let at = |label: &str| info.methods.iter().position(|known| known == label);
    let (a, b) = (at(first)?, at(second)?);
    let pick = |table: &[Vec<Option<f64>>]| *table.get(a.max(b))?.get(a.min(b))?;
    let found = Contrast::of_cell(Difference {
        value: pick(&info.differences),
        error: pick(&info.errors),
    })?;
    Some(if a > b { found } else { found.reversed() })
}

/// What a number changes by from one setting to another, paired by seeds.
pub fn change(
    first: &Group,
    last: &Group,
    of: &dyn Fn(&Record) -> Option<f64>,
) -> Option<Contrast> {
    let pair = |record: &&Record| {
        let mut others = last.records.iter();
        let other = others.find(|other| other.cell.seed == record.cell.seed)?;
        Some(of(other)? - of(record)?)
    };
    let differences: Vec<f64> = first.records.iter().filter_map(pair).collect();
    Contrast::of_seeds(&differences)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    /// The comparison over these groups.
    fn over<'s>(results: &'s ResultSet, groups: usize, metric: &str) -> Comparison<'s> {
        let groups: Vec<&Group> = results.groups.iter().take(groups).collect();
        compare(results, &groups, find(metric).expect("listed")).expect("methods")
    }

    fn place(found: &Comparison, label: &str) -> usize {
        let place = found.labels.iter().position(|l| *l == label);
        place.expect("a method")
    }

    #[test]
    fn pairs_are_by_seed_and_the_undefined_have_no_rank() {
        let records = synthetic::rank();
        let results = ResultSet::new(&records);
        let one = over(&results, 1, "pearson");
        assert_eq!(one.units, Units::Seeds(3));
        assert!(!one.labels.contains(&"exact"));
        // LiSSA is undefined at rank 1: 300 cases, and no rank
        let lissa = place(&one, "lissa");
        assert_eq!((one.values[lissa], one.ranking.ranks(lissa)), (None, None));
        assert_eq!((one.undefined.0, one.failed), (300, 0));
        let [datainf, free] = ["datainf", "hessian_free"].map(|label| place(&one, label));
        let seeds = results.groups[0].records.iter();
        let d = seeds.filter_map(|r| {
            Some(value(r, "datainf", "pearson")? - value(r, "hessian_free", "pearson")?)
        });
        let contrast = one.ranking.contrast(datainf, free).expect("three seeds");
        let expected = mean(&d.collect::<Vec<_>>()).expect("three");
        assert!((contrast.difference - expected).abs() < 1e-12);
        assert_eq!(contrast.freedom, Some(2.0));
        // one cell failed as a whole, and a method in one cell of each task
        let all = over(&results, usize::MAX, "pearson");
        assert_eq!((all.units.clone(), all.failed), (Units::Tasks(2, 6), 3));
        assert_eq!(all.best(), Some(place(&all, "datainf:group_size=32")));
        let support = all.support();
        let start = "2 tasks held fixed, 6 pairs of task and seed: ";
        assert!(
            support.starts_with(start) && support.contains("as a sample of tasks, "),
            "{support}"
        );
        // with two tasks as a sample there is one degree of freedom
        let sampled = all.sampled.as_ref().expect("two tasks");
        let contrast = sampled.contrast(datainf, free).expect("two tasks");
        assert_eq!(contrast.freedom, Some(1.0));
        // every ranked method is the best, not told apart from it, or worse
        for found in [&one, &all] {
            let mut parts = [found.alike(), found.worse(), found.above()].concat();
            parts.extend(found.best());
            parts.sort_unstable();
            let ranked = (0..found.labels.len()).filter(|&i| found.ranking.has(i));
            assert_eq!(parts, ranked.collect::<Vec<_>>());
        }
    }

    #[test]
    fn times_are_compared_by_their_ratios() {
        let records = synthetic::rank();
        let results = ResultSet::new(&records);
        let found = over(&results, 1, "total_seconds");
        assert!(found.labels.contains(&"exact"));
        for (label, value) in found.labels.iter().zip(&found.values) {
            let expected = aggregate(&results.groups[0], label, "total_seconds").value;
            let (value, expected) = (value.expect("timed"), expected.expect("timed"));
            assert!((value / expected - 1.0).abs() < 1e-12, "{label}");
        }
    }

    #[test]
    fn exact_is_compared_where_the_reference_is_another_and_only_then() {
        let mut records = synthetic::rank();
        let has_exact = |records: &[Record], metric: &str| {
            let results = ResultSet::new(records);
            let found = over(&results, usize::MAX, metric);
            assert_eq!(
                found.labels,
                results.compared(find(metric).expect("listed"))
            );
            found.labels.contains(&"exact")
        };
        assert!(!has_exact(&records, "pearson"));
        for record in &mut records {
            record.config["store"]["reference"] = "f32".into();
        }
        assert!(has_exact(&records, "pearson") && has_exact(&records, "detection_auc"));
    }

    #[test]
    fn a_control_is_listed_but_never_the_nearest_or_the_cheapest() {
        let mut records = synthetic::rank();
        // one method becomes a control that has the first place by every metric
        for record in &mut records {
            let first = 1e-3 * (1.0 + record.cell.seed as f64);
            let mut methods = record.methods.iter_mut();
            let Some(method) = methods.find(|m| m.label == "datainf:group_size=32") else {
                continue;
            };
            method.label = "token_bags:of=text".to_owned();
            for value in &mut method.metrics {
                value.value = Some(match find(&value.metric).map(|m| m.direction) {
                    Some(Direction::Lower) => first,
                    _ => 1.0 - first,
                });
            }
            if let Some(seconds) = &mut method.seconds {
                (seconds.prepare, seconds.apply, seconds.score) = (0.0, 0.0, 1e-6 * first);
            }
        }
        let results = ResultSet::new(&records);
        for (metric, is_best) in [
            ("pearson", false),
            ("relative_error", false),
            ("total_seconds", false),
            // what any scores find is another question
            ("detection_auc", true),
        ] {
            let found = over(&results, usize::MAX, metric);
            let control = place(&found, "token_bags:of=text");
            let best = found.best().expect("a method");
            assert_eq!(found.order()[0], control, "{metric}");
            assert_eq!(best == control, is_best, "{metric}");
            let above = found.above().contains(&control);
            assert_eq!(above, found.ranking.beats(control, best), "{metric}");
            let text = found.better_controls(str::to_owned);
            assert_eq!(
                text.ends_with("a control: token_bags:of=text"),
                above,
                "{metric}"
            );
            assert!(above || metric != "total_seconds");
            let listed = above || found.alike().contains(&control);
            assert!(listed || is_best, "{metric}");
            assert!(!found.worse().contains(&control), "{metric}");
        }
    }

    #[test]
    fn one_seed_has_what_its_record_tells() {
        let mut records = synthetic::single();
        let results = ResultSet::new(&records);
        let found = over(&results, 1, "detection_auc");
        assert_eq!(found.units, Units::One);
        assert!(!found.ranking.can_tell() && found.support().contains("no interval"));
        // the record's order is not that of the settings
        records[0].pairing = vec![PairingInfo {
            metric: "detection_auc".to_owned(),
            over: "examples".to_owned(),
            methods: vec!["datainf".to_owned(), "exact".to_owned()],
            differences: vec![vec![], vec![Some(0.5)]],
            errors: vec![vec![], vec![Some(0.01)]],
        }];
        let results = ResultSet::new(&records);
        let found = over(&results, 1, "detection_auc");
        assert_eq!(found.units, Units::Cell("examples".to_owned()));
        assert_eq!(found.best(), Some(place(&found, "exact")));
        assert_eq!(found.ranking.ranks(0), Some((1, 1)));
        assert_eq!(found.ranking.count(), 2);
    }
}
