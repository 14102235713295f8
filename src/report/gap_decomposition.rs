//! The gaps between methods and retraining in parts, over the seeds of a group.

use super::data::{Aggregate, Group, aggregate_value, ascending, distinct};
use crate::metrics::decomposition::{LadderInfo, MethodParts, PartInfo, Switch};
use crate::results::record::Record;

/// The gaps by one metric.
pub struct GapDecomposition {
    /// The metric's name.
    pub metric: String,
    /// c of the upper rungs, ascending: several when the seeds chose different ones.
    pub dampings: Vec<f64>,
    /// One entry per method, in the order of the settings.
    pub methods: Vec<MethodGap>,
}

/// The gap of one method.
pub struct MethodGap {
    /// The method, as in the settings.
    pub label: String,
    /// 1 − agreement.
    pub gap: Aggregate,
    /// The parts, from the truth down.
    pub parts: Vec<GapComponent>,
    /// Why a cell has none, one entry per reason.
    pub problems: Vec<String>,
}

/// One part of a gap.
#[derive(Clone)]
pub struct GapComponent {
    /// What is switched.
    pub switches: Vec<Switch>,
    /// Name for readers.
    pub title: String,
    /// Agreement lost.
    pub loss: Aggregate,
    /// How far the scores move.
    pub size: Aggregate,
    /// What the records say of it, one entry per remark.
    pub notes: Vec<String>,
}

/// The gaps of a group's cells; none when nothing was split.
pub fn of_group(group: &Group) -> Vec<GapDecomposition> {
    let all = group.records.iter().flat_map(|record| ladders(record));
    let metrics = distinct(all.clone().map(|ladder| &ladder.metric));
    let of_metric = |metric: &String| {
        let own = all.clone().filter(|ladder| ladder.metric == *metric);
        let dampings = ascending(own.clone().map(|ladder| ladder.damping));
        let labels = distinct(own.flat_map(|l| &l.methods).map(|method| &method.method));
        let methods = labels.into_iter();
        GapDecomposition {
            metric: metric.clone(),
            dampings,
            methods: methods.map(|l| method_gap(group, metric, l)).collect(),
        }
    };
    metrics.into_iter().map(of_metric).collect()
}

fn method_gap(group: &Group, metric: &str, label: &str) -> MethodGap {
    let own = |record| -> Option<&MethodParts> {
        let mut methods = ladder(record, metric)?.methods.iter();
        methods.find(|method| method.method == label)
    };
    let cells = || group.records.iter().filter_map(|record| own(record));
    let all = || cells().flat_map(|method| &method.parts);
    let mut kinds = distinct(all().map(|part| &part.switches));
    kinds.sort();
    let parts = kinds.into_iter().map(|switches| {
        let same = || all().filter(|part| part.switches == *switches);
        let pick = |record| -> Option<&PartInfo> {
            let mut parts = own(record)?.parts.iter();
            parts.find(|part| part.switches == *switches)
        };
        GapComponent {
            title: same().next().map_or_else(String::new, PartInfo::title),
            loss: aggregate_value(group, |record| Some(&pick(record)?.loss)),
            size: aggregate_value(group, |record| pick(record)?.size.as_ref()),
            notes: distinct(same().filter_map(|part| part.note.clone())),
            switches: switches.clone(),
        }
    });
    MethodGap {
        label: label.to_owned(),
        gap: aggregate_value(group, |record| Some(&own(record)?.gap)),
        parts: parts.collect(),
        problems: distinct(cells().filter_map(|method| method.problem.clone())),
    }
}

fn ladders(record: &Record) -> &[LadderInfo] {
    let truth = record.ground_truth.as_ref();
    let parts = truth.and_then(|truth| truth.decomposition.as_ref());
    parts.map_or(&[], |parts| &parts.ladders)
}

/// The ladder of a cell by this metric.
pub fn ladder<'r>(record: &'r Record, metric: &str) -> Option<&'r LadderInfo> {
    let mut all = ladders(record).iter();
    all.find(|ladder| ladder.metric == metric)
}

/// What the records remark on the parts of these gaps, and why methods have none: one sentence each.
pub fn remarks<'g>(gaps: impl IntoIterator<Item = &'g GapDecomposition>) -> Vec<String> {
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
