//! The methods of one setting, or of all, compared with one another: pairs by seed, or within the one cell.

use std::collections::BTreeMap;

use super::aggregate::{aggregate, value};
use super::study::{Group, Study};
use crate::metrics::interval::mean;
use crate::metrics::paired::{Difference, PAIRED};
use crate::metrics::ranking::{Contrast, Ranking, hurdle};
use crate::metrics::{Direction, Metric, Need, find};
use crate::results::record::{Record, Status};

/// What pairs of methods are compared over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Units {
    /// So many seeds of one setting.
    Seeds(usize),
    /// So many pairs of task and seed, each the mean over its settings.
    Blocks(usize),
    /// The queries, examples or subsets of one cell.
    Cell(String),
    /// One seed, and nothing recorded that would tell what it varies by.
    One,
}

/// Methods compared by one metric.
#[derive(Clone, Debug)]
pub struct Comparison<'s> {
    /// The metric.
    pub metric: &'static Metric,
    /// The methods.
    pub labels: Vec<&'s str>,
    /// Their values: the mean over seeds or blocks where they are defined.
    pub values: Vec<Option<f64>>,
    /// The pairs.
    pub ranking: Ranking,
    /// What they are compared over.
    pub units: Units,
    /// Undefined cases of all methods, and all cases.
    pub undefined: (usize, usize),
    /// Methods of cells that failed, the cells' own failures included.
    pub failed: usize,
}

impl Comparison<'_> {
    /// The method with the best value among those that may be the best.
    pub fn best(&self) -> Option<usize> {
        let better = |a: f64, b: f64| match self.metric.direction {
            Direction::Lower => a < b,
            _ => a > b,
        };
        let mut best: Option<(usize, f64)> = None;
        for (i, value) in self.values.iter().enumerate() {
            let Some(value) = *value else { continue };
            let first = best.is_none_or(|(_, other)| better(value, other));
            if self.ranking.may_be_best(i) && first {
                best = Some((i, value));
            }
        }
        best.map(|(i, _)| i)
    }

    /// The method that the others are held against beside the best: exact, else DataInf.
    pub fn reference(&self) -> Option<usize> {
        ["exact", "datainf"]
            .into_iter()
            .find_map(|name| self.labels.iter().position(|label| *label == name))
    }

    /// What the data can and cannot say, in a sentence.
    pub fn support(&self) -> String {
        let clear = |count: usize, what: &str| {
            let error = hurdle(self.ranking.count(), Some(count - 1));
            let error = error.map_or(String::new(), |t| {
                format!(": the clearest pair is told apart beyond {t:.1} standard errors")
            });
            format!("{count} {what}{error}")
        };
        match &self.units {
            Units::Seeds(count) => clear(*count, "seeds"),
            Units::Blocks(count) => clear(*count, "pairs of task and seed"),
            Units::Cell(over) => format!(
                "one seed: holds for other {over} with this fine-tune, says nothing of another seed"
            ),
            Units::One => "one seed: no interval, nothing can be told apart".to_owned(),
        }
    }
}

/// The headline metrics that two methods or more have here.
pub fn compared_metrics(study: &Study) -> Vec<&'static Metric> {
    let known = |metric: &&Metric| {
        let with_value = |label: &&String| {
            let mut records = study.records.iter();
            records.any(|record| value(record, label, metric.name).is_some())
        };
        let methods = labels(study, metric);
        let with = study.methods.iter().filter(with_value);
        with.filter(|label| methods.contains(&label.as_str()))
            .count()
            > 1
    };
    PAIRED
        .iter()
        .filter_map(|name| find(name))
        .filter(known)
        .collect()
}

/// Methods that a metric compares: exact is not compared with itself.
fn labels<'s>(study: &'s Study, metric: &Metric) -> Vec<&'s str> {
    let against_exact = metric.needs.contains(&Need::Exact);
    study
        .methods
        .iter()
        .map(String::as_str)
        .filter(|label| !(against_exact && *label == "exact"))
        .collect()
}

/// Compares the methods over the cells of these groups; `None` where fewer than two methods have a value.
pub fn compare<'s>(
    study: &'s Study,
    groups: &[&Group],
    metric: &'static Metric,
) -> Option<Comparison<'s>> {
    let labels = labels(study, metric);
    let mut blocks: BTreeMap<(&str, u64), Vec<&Record>> = BTreeMap::new();
    for group in groups {
        for record in &group.records {
            let block = blocks.entry((group.task.as_str(), record.cell.seed));
            block.or_default().push(record);
        }
    }
    let blocks: Vec<Vec<&Record>> = blocks.into_values().collect();
    // means over the cells of each block where `of` is defined
    let by_block = |of: &dyn Fn(&Record) -> Option<f64>| -> Vec<f64> {
        let within = |records: &Vec<&Record>| {
            let defined: Vec<f64> = records.iter().filter_map(|record| of(record)).collect();
            mean(&defined)
        };
        blocks.iter().filter_map(within).collect()
    };
    let values: Vec<Option<f64>> = labels
        .iter()
        .map(|label| mean(&by_block(&|record| value(record, label, metric.name))))
        .collect();
    if values.iter().flatten().count() < 2 {
        return None;
    }
    let single = match blocks.as_slice() {
        [records] if records.len() == 1 => Some(records[0]),
        _ => None,
    };
    let within = single.and_then(|record| {
        let mut facts = record.pairing.iter();
        facts.find(|facts| facts.metric == metric.name)
    });
    let ranking = Ranking::new(
        labels.len(),
        metric.direction != Direction::Lower,
        |i, j| {
            if let Some(facts) = within {
                let at = |label: &str| facts.methods.iter().position(|known| known == label);
                let (a, b) = (at(labels[i])?, at(labels[j])?);
                let pick = |table: &[Vec<Option<f64>>]| *table.get(a.max(b))?.get(a.min(b))?;
                let found = Contrast::of_cell(Difference {
                    value: pick(&facts.differences),
                    error: pick(&facts.errors),
                })?;
                return Some(if a > b { found } else { found.reversed() });
            }
            Contrast::of_seeds(&by_block(&|record| {
                let of = |i: usize| value(record, labels[i], metric.name);
                Some(of(i)? - of(j)?)
            }))
        },
    );
    let (mut undefined, mut failed) = ((0, 0), 0);
    for group in groups {
        for label in &labels {
            let result = aggregate(group, label, metric.name);
            undefined = (undefined.0 + result.undefined, undefined.1 + result.cases);
        }
        let failures = |record: &&Record| {
            let methods = record.methods.iter();
            let own = methods
                .filter(|method| method.status == Status::Failed)
                .count();
            own + usize::from(record.status == Status::Failed)
        };
        failed += group.records.iter().map(failures).sum::<usize>();
    }
    let units = match (blocks.len(), within, groups.len()) {
        (1, Some(facts), _) => Units::Cell(facts.over.clone()),
        (0 | 1, ..) => Units::One,
        (count, _, 1) => Units::Seeds(count),
        (count, ..) => Units::Blocks(count),
    };
    Some(Comparison {
        metric,
        labels,
        values,
        ranking,
        units,
        undefined,
        failed,
    })
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;
    use crate::results::record::PairingFacts;

    #[test]
    fn pairs_are_by_seed_and_the_undefined_have_no_rank() {
        let records = synthetic::rank();
        let study = Study::new(&records);
        let metric = find("pearson").expect("listed");
        let groups: Vec<&Group> = study.groups.iter().collect();
        let one = compare(&study, &groups[..1], metric).expect("ten methods");
        assert_eq!(one.units, Units::Seeds(3));
        assert!(!one.labels.contains(&"exact"));
        // LiSSA is undefined at rank 1: 300 cases, and no rank
        let lissa = one
            .labels
            .iter()
            .position(|l| *l == "lissa")
            .expect("a method");
        assert_eq!((one.values[lissa], one.ranking.ranks(lissa)), (None, None));
        assert_eq!((one.undefined.0, one.failed), (300, 0));
        let of = |label: &str, seed: usize| value(groups[0].records[seed], label, "pearson");
        let d = |seed| Some(of("datainf", seed)? - of("hessian_free", seed)?);
        let d: Vec<f64> = (0..3).filter_map(d).collect();
        let at = |label: &str| {
            one.labels
                .iter()
                .position(|l| *l == label)
                .expect("a method")
        };
        let contrast = one.ranking.contrast(at("datainf"), at("hessian_free"));
        let contrast = contrast.expect("three seeds");
        assert!((contrast.difference - mean(&d).expect("three")).abs() < 1e-12);
        assert_eq!(contrast.freedom, Some(2));
        // one cell failed as a whole, and a method in one cell of each task
        let all = compare(&study, &groups, metric).expect("ten methods");
        assert_eq!((all.units.clone(), all.failed), (Units::Blocks(6), 3));
        let best = all.best().expect("a best");
        assert_eq!(all.labels[best], "datainf:group_size=32");
        assert!(all.support().starts_with("6 pairs of task and seed: "));
    }

    #[test]
    fn one_seed_has_what_its_record_tells() {
        let mut records = synthetic::single();
        let metric = find("detection_auc").expect("listed");
        let bare = Study::new(&records);
        let groups: Vec<&Group> = bare.groups.iter().collect();
        let found = compare(&bare, &groups, metric).expect("methods");
        assert_eq!(
            (found.units.clone(), found.ranking.can_tell()),
            (Units::One, false)
        );
        assert!(found.support().contains("no interval"));
        // the record's order is not that of the settings
        records[0].pairing = vec![PairingFacts {
            metric: "detection_auc".to_owned(),
            over: "examples".to_owned(),
            methods: vec!["datainf".to_owned(), "exact".to_owned()],
            differences: vec![vec![], vec![Some(0.5)]],
            errors: vec![vec![], vec![Some(0.01)]],
        }];
        let study = Study::new(&records);
        let groups: Vec<&Group> = study.groups.iter().collect();
        let found = compare(&study, &groups, metric).expect("methods");
        assert_eq!(found.units, Units::Cell("examples".to_owned()));
        assert_eq!(found.best().map(|i| found.labels[i]), Some("exact"));
        assert_eq!(found.ranking.ranks(0), Some((1, 1)));
        assert_eq!(found.ranking.count(), 2);
    }
}
