//! The gaps between methods and retraining in parts, over the seeds of a group.

use super::aggregate::{Aggregate, aggregate_value};
use super::study::Group;
use crate::metrics::decomposition::{LadderFacts, MethodParts, PartFacts, Switch};
use crate::results::record::Record;

/// The gaps by one metric.
pub struct Gaps {
    /// The metric's name.
    pub metric: String,
    /// c of the upper rungs, ascending: several when the seeds chose different ones.
    pub dampings: Vec<f64>,
    /// One entry a method, in the order of the settings.
    pub methods: Vec<MethodGap>,
}

/// The gap of one method.
pub struct MethodGap {
    /// The method, as in the settings.
    pub label: String,
    /// 1 − agreement.
    pub gap: Aggregate,
    /// The parts, from the truth down.
    pub parts: Vec<Part>,
    /// Why a cell has none, one entry a reason.
    pub problems: Vec<String>,
}

/// One part of a gap.
#[derive(Clone)]
pub struct Part {
    /// What is switched.
    pub switches: Vec<Switch>,
    /// Name for readers.
    pub title: String,
    /// Agreement lost.
    pub loss: Aggregate,
    /// How far the scores move.
    pub size: Aggregate,
    /// What the records say of it, one entry a remark.
    pub notes: Vec<String>,
}

/// The gaps of a group's cells; none when nothing was split.
pub fn of_group(group: &Group) -> Vec<Gaps> {
    let ladders = |record: &'_ Record| -> Vec<LadderFacts> {
        let truth = record.ground_truth.as_ref();
        let parts = truth.and_then(|truth| truth.decomposition.as_ref());
        parts.map_or(Vec::new(), |parts| parts.ladders.clone())
    };
    let all: Vec<LadderFacts> = group.records.iter().flat_map(|r| ladders(r)).collect();
    distinct(all.iter().map(|ladder| ladder.metric.clone()))
        .into_iter()
        .map(|metric| {
            let own: Vec<&LadderFacts> = all.iter().filter(|l| l.metric == metric).collect();
            let mut dampings = distinct(own.iter().map(|ladder| ladder.damping));
            dampings.sort_by(f64::total_cmp);
            let methods = own.iter().flat_map(|l| &l.methods);
            let labels = distinct(methods.map(|method| method.method.clone()));
            Gaps {
                methods: labels
                    .into_iter()
                    .map(|label| method_gap(group, &metric, label))
                    .collect(),
                metric,
                dampings,
            }
        })
        .collect()
}

fn method_gap(group: &Group, metric: &str, label: String) -> MethodGap {
    let own = |record: &Record| find(record, metric, &label).cloned();
    let records: Vec<MethodParts> = group.records.iter().filter_map(|r| own(r)).collect();
    let all: Vec<&PartFacts> = records.iter().flat_map(|method| &method.parts).collect();
    let mut kinds = distinct(all.iter().map(|part| part.switches.clone()));
    kinds.sort();
    let parts = kinds.into_iter().map(|switches| {
        let same: Vec<&&PartFacts> = all.iter().filter(|p| p.switches == switches).collect();
        let pick = |record| part(record, metric, &label, &switches);
        Part {
            title: same.first().map_or_else(String::new, |part| part.title()),
            loss: aggregate_value(group, |record| Some(&pick(record)?.loss)),
            size: aggregate_value(group, |record| pick(record)?.size.as_ref()),
            notes: distinct(same.iter().filter_map(|part| part.note.clone())),
            switches: switches.clone(),
        }
    });
    MethodGap {
        gap: aggregate_value(group, |record| Some(&find(record, metric, &label)?.gap)),
        parts: parts.collect(),
        problems: distinct(records.iter().filter_map(|method| method.problem.clone())),
        label,
    }
}

fn find<'r>(record: &'r Record, metric: &str, label: &str) -> Option<&'r MethodParts> {
    let parts = record.ground_truth.as_ref()?.decomposition.as_ref()?;
    let ladder = parts
        .ladders
        .iter()
        .find(|ladder| ladder.metric == metric)?;
    ladder.methods.iter().find(|method| method.method == label)
}

fn part<'r>(
    record: &'r Record,
    metric: &str,
    label: &str,
    switches: &[Switch],
) -> Option<&'r PartFacts> {
    let parts = &find(record, metric, label)?.parts;
    parts.iter().find(|part| part.switches == switches)
}

/// Each once, in the order of their first places.
pub fn distinct<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for one in all {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}

/// What the records remark on the parts of these gaps, and why methods have none: one sentence each.
pub fn remarks<'g>(gaps: impl IntoIterator<Item = &'g Gaps>) -> Vec<String> {
    let methods = gaps.into_iter().flat_map(|gaps| &gaps.methods);
    distinct(methods.flat_map(|method| {
        let notes = method.parts.iter().flat_map(|part| {
            let title = &part.title;
            part.notes
                .iter()
                .map(move |note| format!("“{title}”: {note}."))
        });
        let problems = method.problems.iter();
        let problems = problems.map(|problem| format!("{}: {problem}.", method.label));
        notes.chain(problems).collect::<Vec<_>>()
    }))
}
