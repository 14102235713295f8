//! What came out, in a few rows: who leads by what, with its interval, and what failed.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::markup::bad;
use super::records::count;
use super::table::{Links, short};
use crate::metrics::{Direction, Metric, find};
use crate::report::aggregate::aggregate;
use crate::report::comparison::compare;
use crate::report::figures::{agreement, findings, has_values};
use crate::report::number::{self, MISSING};
use crate::report::study::{Group, Study};
use crate::report::tables::{Cell, NOT_TOLD_APART, Table, damping_text, metric_cell};
use crate::results::record::Status;

/// Rows of the summary at most.
const MOST: usize = 12;

/// The summary at the top of the page.
pub fn headline(study: &Study) -> Markup {
    let (rows, left) = rows(study);
    let table = (!rows.is_empty()).then(|| {
        let headers = [
            "Setting",
            "Measure",
            "Best",
            "Its value",
            NOT_TOLD_APART,
            "DataInf",
            "Exact",
        ];
        let table = Table {
            title: "What came out".to_owned(),
            note: String::new(),
            headers: headers.map(str::to_owned).to_vec(),
            rows,
        };
        let anchor = |row: &[Cell]| {
            let slices = study.slices(None);
            let slice = slices
                .iter()
                .find(|s| row[0].text == setting(&s.title, &s.held))?;
            Some(study.origin(slice.groups.first()?, None).anchor)
        };
        let links = Links {
            row: &anchor,
            ..Links::NONE
        };
        short(&table, &links)
    });
    html! {
        ul.facts { (facts(study)) }
        @if let Some(table) = table {
            (table)
            p.how {
                "At the reference setting: mean over seeds with its 95 % t-interval (one seed: the interval within the cell). \
                 Not told apart: by paired differences, all pairs adjusted together (Holm), as in the tables."
                @if left > 0 { " " (count(left, "row")) " more in the tables." }
            }
        }
    }
}

/// What was run and what failed, an item each.
fn facts(study: &Study) -> Markup {
    let seeds: BTreeSet<u64> = study.records.iter().map(|r| r.cell.seed).collect();
    let methods = || study.records.iter().flat_map(|record| &record.methods);
    let failed = methods().filter(|m| m.status == Status::Failed).count();
    let values = || methods().flat_map(|method| &method.metrics);
    let undefined: usize = values().map(|v| v.undefined).sum();
    let cases: usize = values().map(|v| v.cases).sum();
    let times = match failed {
        1 => "once".to_owned(),
        some => format!("{} times", number::plain(some as f64)),
    };
    let seconds: f64 = study.records.iter().map(|r| r.provenance.seconds).sum();
    html! {
        li {
            (count(study.records.len(), "cell")) " in " (count(study.groups.len(), "setting")) ", "
            (count(seeds.len(), "seed")) ", " (count(study.methods.len(), "method")) "; "
            (number::seconds(seconds)) " of computing"
        }
        li {
            @match study.failed() {
                0 => { "no cell failed" },
                some => { (bad(&format!("{} failed", count(some, "cell")))) },
            }
            ", "
            @match failed {
                0 => { "no method failed" },
                _ => { (bad(&format!("methods failed {times} in other cells"))) },
            }
            ", "
            @match undefined {
                0 => { "no metric undefined" },
                some => { (number::plain(some as f64)) " of " (number::plain(cases as f64)) " cases of metrics undefined" },
            }
            @match study.without_reference() {
                0 => {},
                some => {
                    (bad(&format!(", no reference in {} (exact influence failed or did not converge)", count(some, "cell"))))
                },
            }
        }
        li { (damping_text(study)) }
    }
}

fn setting(title: &str, held: &str) -> String {
    [title, held]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

/// The rows, and how many more there would be.
fn rows(study: &Study) -> (Vec<Vec<Cell>>, usize) {
    let candidates = [
        agreement(study),
        Some("lds_50"),
        Some("loo_pearson"),
        Some("detection_auc"),
        Some("class_auc"),
    ];
    let mut metrics: Vec<&Metric> = candidates
        .into_iter()
        .flatten()
        .filter(|metric| has_values(study, metric))
        .filter_map(find)
        .collect();
    if metrics.is_empty() {
        metrics.extend(find("total_seconds").filter(|m| has_values(study, m.name)));
    }
    let slices = study.slices(None);
    let mut rows = Vec::new();
    for metric in metrics {
        for slice in &slices {
            let Some(group) = slice.groups.first() else {
                continue;
            };
            rows.extend(row(
                study,
                group,
                metric,
                &setting(&slice.title, &slice.held),
            ));
        }
    }
    let left = rows.len().saturating_sub(MOST);
    rows.truncate(MOST);
    (rows, left)
}

fn row(study: &Study, group: &Group, metric: &Metric, setting: &str) -> Option<Vec<Cell>> {
    let found = compare(study, &[group], metric)?;
    let best = found.best()?;
    let name = |at: usize| study.palette.style(found.labels[at]).name;
    let alike: Vec<String> = found.alike().into_iter().map(name).collect();
    let alike = match found.untold() {
        Some(why) => format!("not known: {why}"),
        None if alike.is_empty() => "none".to_owned(),
        None => findings::list(&alike),
    };
    let shown = |label: &str| metric_cell(metric, &aggregate(group, label, metric.name));
    let of = |label: &str| {
        let known = found.labels.contains(&label);
        if known {
            shown(label)
        } else {
            text(MISSING.to_owned())
        }
    };
    let arrow = match metric.direction {
        Direction::Higher => " ↑",
        Direction::Lower => " ↓",
        Direction::None => "",
    };
    Some(vec![
        text(setting.to_owned()),
        text(format!("{}{arrow}", metric.label())),
        text(name(best)),
        shown(found.labels[best]),
        text(alike),
        of("datainf"),
        of("exact"),
    ])
}

fn text(text: String) -> Cell {
    Cell { text, sort: None }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::metrics::METRICS;
    use crate::report::figures::{Outcome, all};
    use crate::report::synthetic;
    use crate::report::tables::{best, entry_of};
    use crate::results::record::Record;

    #[test]
    fn it_names_the_best_and_what_is_wrong() {
        let records = synthetic::rank();
        let study = Study::new(&records);
        let text = headline(&study).0;
        assert!(
            text.contains("24 cells in 8 settings, 3 seeds, 10 methods"),
            "{text}"
        );
        assert!(
            text.contains("1 cell failed")
                && text.contains("methods failed 2 times in other cells")
        );
        // of the synthetic methods this one is closest to exact by construction
        assert!(text.contains("<td>DataInf, groups of 32</td>"), "{text}");
        assert!(
            text.contains("href=\"#e2\"") && text.contains("rank r = 4"),
            "{text}"
        );
    }

    /// Rows of the headline that say something else than the table of the best methods, of all rows that both have.
    fn disagreements(records: &[Record]) -> (Vec<String>, usize) {
        let study = Study::new(records);
        let Some(table) = best(&study) else {
            return (Vec::new(), 0);
        };
        let at = |header: &str| {
            table
                .headers
                .iter()
                .position(|h| h == header)
                .expect("a column")
        };
        let (best, alike) = (at("Best"), at(NOT_TOLD_APART));
        let (mut wrong, mut rows) = (Vec::new(), 0);
        let captions: Vec<String> = all(&study)
            .into_iter()
            .filter_map(|outcome| match outcome {
                Outcome::Drawn(figure) => Some(figure.findings),
                Outcome::Omitted { .. } => None,
            })
            .flatten()
            .collect();
        for slice in study.slices(None) {
            let group = slice.groups[0];
            for metric in METRICS {
                let of_group = |row: &&Vec<Cell>| {
                    row[0].text == metric.title && entry_of(&study, &row[1..]) == Some(group.index)
                };
                let Some(expected) = table.rows.iter().find(of_group) else {
                    continue;
                };
                let list = expected[alike].text.clone();
                let list = match list.as_str() {
                    MISSING | "none" => list,
                    _ => findings::list(&list.split("; ").map(str::to_owned).collect::<Vec<_>>()),
                };
                let agrees = |text: &str| match list.as_str() {
                    MISSING => text.starts_with("not known: "),
                    list => text == list,
                };
                let found = row(&study, group, metric, "").expect("the table has it");
                rows += 1;
                if found[2].text != expected[best].text || !agrees(&found[4].text) {
                    wrong.push(format!("{found:?} {expected:?}"));
                }
                // `digits, Detection AUC: best is A, 0.9 [0.8, 1.0]; not told apart from it: B and C (…).`
                let start = format!("{}, {}: best is ", slice.title, metric.title);
                for caption in captions.iter().filter(|text| text.starts_with(&start)) {
                    let rest = match list.as_str() {
                        MISSING => ": nothing is told apart".to_owned(),
                        "none" => "; told apart from every other".to_owned(),
                        list => format!("; not told apart from it: {list}"),
                    };
                    rows += 1;
                    let best = format!("{start}{}, ", expected[best].text);
                    if !caption.starts_with(&best) || !caption.contains(&rest) {
                        wrong.push(format!("{caption} {expected:?}"));
                    }
                }
            }
        }
        (wrong, rows)
    }

    #[test]
    fn headline_captions_and_tables_name_the_same_methods() {
        let mut rows = 0;
        for (name, records) in synthetic::all() {
            let (wrong, own) = disagreements(&records);
            assert!(wrong.is_empty(), "{name}: {wrong:#?}");
            rows += own;
        }
        assert!(rows > 20, "{rows}");
    }

    #[test]
    fn failures_alone_have_no_winner() {
        let records = synthetic::hopeless();
        let text = headline(&Study::new(&records)).0;
        assert!(text.contains("1 cell failed") && !text.contains("<table"));
    }
}
