//! The gaps to retraining in parts, the size of every switch, and the damping of the upper rungs.

use super::{Cell, Table, damping_text, setting_cells, setting_headers};
use crate::config::influence::DEFAULT_DAMPING;
use crate::metrics::find;
use crate::report::aggregate::{Aggregate, aggregate_cell};
use crate::report::number::{self, MISSING};
use crate::report::parts::{Gaps, MethodGap, Part, distinct, of_group, remarks};
use crate::report::study::{Group, Study};
use crate::results::record::Record;

/// How the entries are to be read.
const READING: &str = "Mean over seeds ± half of the 95 % t-interval; with one seed, the value and its paired bootstrap interval over examples or subsets and queries in brackets.";

/// What the agreement loses on each rung; `None` where no gap was split.
pub fn losses(study: &Study) -> Option<Table> {
    let note = format!(
        "{} What the agreement with retraining loses on each rung of the ladder from the truth to the method; the parts add up to the gap, negative ones are gains. {READING}",
        damping_text(study)
    );
    of_parts(study, "The gap to retraining in parts", &note, true)
}

/// How far the scores move on each rung; `None` where no gap was split.
pub fn sizes(study: &Study) -> Option<Table> {
    let note = format!(
        "1 − Pearson's r between the scores above and below the switch, over training examples, mean over queries: its size, whether it leads nearer to retraining or away. {READING}"
    );
    of_parts(study, "How far each switch moves the scores", &note, false)
}

type Split<'s, 'a> = Vec<(&'s Group<'a>, Vec<Gaps>)>;

/// The groups whose gaps were split.
fn split<'s, 'a>(study: &'s Study<'a>) -> Option<Split<'s, 'a>> {
    let groups = study.groups.iter();
    let groups: Split = groups
        .map(|group| (group, of_group(group)))
        .filter(|(_, gaps)| !gaps.is_empty())
        .collect();
    (!groups.is_empty()).then_some(groups)
}

/// A row a setting, metric and method, a column a part.
fn of_parts(study: &Study, title: &str, note: &str, losses: bool) -> Option<Table> {
    let groups = split(study)?;
    let all = || groups.iter().flat_map(|(_, gaps)| gaps);
    // retraining has no scores: what is switched at the top has no size
    let shown = |part: &&Part| losses || part.size.applies();
    let parts = all().flat_map(|gaps| gaps.methods.iter().flat_map(|method| &method.parts));
    let parts = parts.filter(shown);
    let mut kinds = distinct(parts.map(|part| (part.switches.clone(), part.title.clone())));
    kinds.sort();
    let remarks = if losses {
        remarks(all()).join(" ")
    } else {
        String::new()
    };
    let mut headers = setting_headers(study);
    headers.extend(["Metric", "Upper rungs' c", "Method"].map(str::to_owned));
    headers.extend(losses.then(|| "Gap".to_owned()));
    headers.extend(kinds.iter().map(|(_, title)| title.clone()));
    headers.extend(["Seeds", "Undefined", "Failed"].map(str::to_owned));
    let mut rows = Vec::new();
    for (group, gaps) in &groups {
        for gaps in gaps {
            for method in &gaps.methods {
                let mut row = setting_cells(study, group);
                row.push(Cell::text(metric_title(&gaps.metric)));
                row.push(dampings(&gaps.dampings));
                row.push(Cell::text(study.palette.style(&method.label).name));
                row.extend(losses.then(|| value_cell(&method.gap)));
                row.extend(kinds.iter().map(|(switches, _)| {
                    let part = method.parts.iter().find(|part| part.switches == *switches);
                    part.map_or(Cell::text(MISSING), |part| {
                        value_cell(if losses { &part.loss } else { &part.size })
                    })
                }));
                row.extend(counts(method));
                rows.push(row);
            }
        }
    }
    Some(Table {
        title: title.to_owned(),
        note: [note, &remarks].join(" ").trim_end().to_owned(),
        headers,
        rows,
    })
}

fn counts(method: &MethodGap) -> [Cell; 3] {
    let gap = &method.gap;
    let share = match gap.undefined {
        0 => "0".to_owned(),
        undefined => format!(
            "{} of {}",
            number::plain(undefined as f64),
            number::plain(gap.cases as f64)
        ),
    };
    let undefined = Cell {
        text: share,
        sort: Some(gap.undefined as f64),
    };
    [Cell::count(gap.seeds), undefined, Cell::count(gap.failed)]
}

/// `0.123 ± 0.010` over seeds, `0.123 [0.100, 0.150]` in a cell.
pub fn value_cell(result: &Aggregate) -> Cell {
    let show = |x: f64| number::fixed(x, 3);
    Cell::maybe(result.value, |value| match result.low.zip(result.high) {
        Some((low, high)) if result.over_seeds => {
            format!("{} ± {}", show(value), show((high - low) / 2.0))
        }
        Some((low, high)) => format!("{} [{}, {}]", show(value), show(low), show(high)),
        None => show(value),
    })
}

fn metric_title(metric: &str) -> String {
    find(metric)
        .map_or(metric, |metric| metric.title)
        .to_owned()
}

fn dampings(list: &[f64]) -> Cell {
    let texts: Vec<String> = list.iter().copied().map(number::plain).collect();
    Cell {
        text: texts.join(", "),
        sort: list.first().copied(),
    }
}

/// Agreement of the ladder's upper end at every candidate for its c.
///
/// `None` where no gap was split.
pub fn candidates(study: &Study) -> Option<Table> {
    let groups = split(study)?;
    let candidates = |record: &'_ Record, metric: &str| -> Vec<(f64, Option<f64>)> {
        let truth = record.ground_truth.as_ref();
        let parts = truth.and_then(|truth| truth.decomposition.as_ref());
        let mut ladders = parts.into_iter().flat_map(|parts| &parts.ladders);
        ladders
            .find(|ladder| ladder.metric == metric)
            .map_or(Vec::new(), |ladder| {
                let all = ladder.candidates.iter();
                all.map(|c| (c.damping, c.agreement)).collect()
            })
    };
    let mut columns: Vec<f64> = Vec::new();
    for (group, gaps) in &groups {
        for (record, gaps) in group
            .records
            .iter()
            .flat_map(|r| gaps.iter().map(move |g| (r, g)))
        {
            columns.extend(candidates(record, &gaps.metric).iter().map(|(c, _)| c));
        }
    }
    columns.sort_by(f64::total_cmp);
    columns.dedup();
    let mut headers = setting_headers(study);
    headers.push("Metric".to_owned());
    headers.extend(columns.iter().map(|c| {
        let default = if *c == DEFAULT_DAMPING {
            " (default)"
        } else {
            ""
        };
        format!("c = {}{default}", number::plain(*c))
    }));
    headers.push("Chosen".to_owned());
    let mut rows = Vec::new();
    for (group, gaps) in &groups {
        for gaps in gaps {
            let mut row = setting_cells(study, group);
            row.push(Cell::text(metric_title(&gaps.metric)));
            row.extend(columns.iter().map(|c| {
                let own = |record: &Record| {
                    let mut all = candidates(record, &gaps.metric).into_iter();
                    all.find(|(other, _)| other == c)?.1
                };
                value_cell(&aggregate_cell(group, own))
            }));
            row.push(dampings(&gaps.dampings));
            rows.push(row);
        }
    }
    Some(Table {
        title: "Damping of the ladder's upper rungs".to_owned(),
        note: "Agreement with retraining of the ladder's upper end – influence by the Hessian of all parameters, or by the Fisher where there is no Hessian – at every candidate for c and at the cell's own. The best of the candidates is taken, on the same retrainings, for each metric and cell by itself. Mean over seeds ± half of the 95 % t-interval.".to_owned(),
        headers,
        rows,
    })
}
