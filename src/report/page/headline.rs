//! What came out, in a few rows: who leads by what, with its interval, and what failed.

use std::collections::BTreeSet;

use super::markup::escape;
use super::records::count;
use super::table::{Links, body};
use crate::metrics::{Direction, Metric, Need, find};
use crate::report::aggregate::{Aggregate, aggregate};
use crate::report::figures::{agreement, findings, has_values};
use crate::report::number::{self, MISSING};
use crate::report::sheet::Point;
use crate::report::study::{Group, Study};
use crate::report::tables::{Cell, Table, damping_text, metric_cell};
use crate::results::record::Status;

/// Rows of the summary at most.
const MOST: usize = 12;

/// The summary at the top of the page.
pub fn headline(study: &Study) -> String {
    let mut text = format!("<ul class=\"facts\">{}</ul>\n", facts(study));
    let (rows, left) = rows(study);
    if !rows.is_empty() {
        let table = Table {
            title: "What came out".to_owned(),
            note: String::new(),
            headers: [
                "Setting",
                "Measure",
                "Best",
                "Its value",
                "Intervals that overlap with it",
                "DataInf",
                "Exact",
            ]
            .map(str::to_owned)
            .to_vec(),
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
        // short enough to need no tools
        text.push_str(&body(&table, &links).replacen("\"data\"", "\"lead\"", 1));
        let rest = if left > 0 {
            format!(" {} more in the tables.", count(left, "row"))
        } else {
            String::new()
        };
        text.push_str(&format!(
            "<p class=\"how\">At the reference setting: mean over seeds with its 95 % t-interval (one seed: the interval within the cell). \
             Intervals that overlap leave the order open.{rest}</p>\n"
        ));
    }
    text
}

/// What was run and what failed, an item each.
fn facts(study: &Study) -> String {
    let seeds: BTreeSet<u64> = study.records.iter().map(|r| r.cell.seed).collect();
    let methods = || study.records.iter().flat_map(|record| &record.methods);
    let failed = methods().filter(|m| m.status == Status::Failed).count();
    let values = || methods().flat_map(|method| &method.metrics);
    let (undefined, cases) = (
        values().map(|v| v.undefined).sum::<usize>(),
        values().map(|v| v.cases).sum::<usize>(),
    );
    let bad = |text: String| format!("<strong class=\"bad\">{text}</strong>");
    let cells = match study.failed() {
        0 => "no cell failed".to_owned(),
        some => bad(format!("{} failed", count(some, "cell"))),
    };
    let failed = match failed {
        0 => "no method failed".to_owned(),
        some => bad(format!(
            "methods failed {} in other cells",
            if some == 1 {
                "once".to_owned()
            } else {
                format!("{} times", number::plain(some as f64))
            }
        )),
    };
    let undefined = match undefined {
        0 => "no metric undefined".to_owned(),
        some => format!(
            "{} of {} cases of metrics undefined",
            number::plain(some as f64),
            number::plain(cases as f64)
        ),
    };
    let seconds: f64 = study.records.iter().map(|r| r.provenance.seconds).sum();
    let items = [
        format!(
            "{} in {}, {}, {}; {} of computing",
            count(study.records.len(), "cell"),
            count(study.groups.len(), "setting"),
            count(seeds.len(), "seed"),
            count(study.methods.len(), "method"),
            number::seconds(seconds)
        ),
        format!("{cells}, {failed}, {undefined}"),
        escape(&damping_text(study)),
    ];
    items
        .iter()
        .map(|item| format!("<li>{item}</li>"))
        .collect()
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
    let against_exact = metric.needs.contains(&Need::Exact);
    let labels: Vec<&String> = study
        .methods
        .iter()
        .filter(|label| !(against_exact && *label == "exact"))
        .collect();
    let results: Vec<Aggregate> = labels
        .iter()
        .map(|label| aggregate(group, label, metric.name))
        .collect();
    let points: Vec<Option<Point>> = results
        .iter()
        .map(|result| {
            Some(Point {
                value: result.value?,
                interval: result.low.zip(result.high),
            })
        })
        .collect();
    let leader = findings::leader(&points, metric.direction)?;
    let name = |at: usize| study.palette.style(labels[at]).name;
    let others: Vec<String> = leader.overlapping.iter().map(|at| name(*at)).collect();
    let others = match (others.is_empty(), leader.intervals) {
        (false, _) => findings::list(&others),
        (true, true) => "none".to_owned(),
        (true, false) => "not known: no intervals".to_owned(),
    };
    let of = |label: &str| {
        let at = labels.iter().position(|other| *other == label);
        at.map_or_else(
            || text(MISSING.to_owned()),
            |at| metric_cell(metric, &results[at]),
        )
    };
    let arrow = match metric.direction {
        Direction::Higher => " ↑",
        Direction::Lower => " ↓",
        Direction::None => "",
    };
    Some(vec![
        text(setting.to_owned()),
        text(format!("{}{arrow}", metric.label())),
        text(name(leader.at)),
        metric_cell(metric, &results[leader.at]),
        text(others),
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
    use crate::report::synthetic;

    #[test]
    fn it_names_the_best_and_what_is_wrong() {
        let records = synthetic::rank();
        let study = Study::new(&records);
        let text = headline(&study);
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

    #[test]
    fn failures_alone_have_no_winner() {
        let records = synthetic::hopeless();
        let text = headline(&Study::new(&records));
        assert!(text.contains("1 cell failed") && !text.contains("<table"));
    }
}
