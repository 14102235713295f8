//! `report.html` of a theory report: verdicts on top, figures, tables, claims, cases.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::along::{self, BASE, anchor, values};
use super::{markdown, tables};
use crate::report::figures::Figure;
use crate::report::html::figures_section;
use crate::report::number;
use crate::report::page::{Colours, Environments, Links, Page, Section, bad, count, how, section};
use crate::results::theory::{CaseRecord, ClaimRecord, TheoryResults, Verdict};

/// The whole page.
pub fn page(results: &TheoryResults, figures: &[Figure], omitted: &[(String, String)]) -> String {
    let mut colours = Colours::default();
    let figures = figures_section(figures, omitted, &mut colours);
    let (records, data) = entries(results);
    let environment = Section {
        id: "settings".to_owned(),
        title: "Settings and environment".to_owned(),
        parts: Vec::new(),
        html: html! {
            p.how {
                "Started " (results.provenance.started) ", "
                (number::seconds(results.provenance.seconds)) " of computing."
            }
            (Environments::one(&results.provenance).html())
            details {
                summary { "Settings of the base" }
                pre tabindex="0" { (serde_json::to_string_pretty(&results.base).unwrap_or_default()) }
            }
        }
        .into_string(),
    };
    Page {
        title: format!("Theory: {}", results.experiment),
        about: results.description.trim().to_owned(),
        head: head(results).into_string(),
        sections: vec![
            figures,
            tables_section(results),
            claims(results),
            records,
            environment,
        ],
        data,
        colours,
    }
    .html()
}

/// What was asked, how many claims hold, and the verdicts.
fn head(results: &TheoryResults) -> Markup {
    let of = |verdict| {
        let claims = results.claims.iter();
        claims.filter(|claim| claim.verdict == verdict).count()
    };
    let failed = results
        .cases
        .iter()
        .filter(|case| case.error.is_some())
        .count();
    let place = |text: &str| {
        let claim = text.trim_matches('`');
        if results.claims.iter().any(|other| other.name == claim) {
            return Some(claim_anchor(claim));
        }
        case_at(results, text).map(case_anchor)
    };
    let class = |text: &str| match text {
        "holds" => Some("good"),
        "VIOLATED" => Some("bad"),
        _ => None,
    };
    let links = Links {
        text: &place,
        class: &class,
        ..Links::NONE
    };
    let description = results.description.trim();
    html! {
        @if !description.is_empty() { p.asked { (description) } }
        ul.facts {
            li {
                "Of " (count(results.claims.len(), "claim")) ": " (of(Verdict::Holds)) " hold, "
                @match of(Verdict::Violated) {
                    0 => { "none is violated" },
                    some => { (bad(&format!("{some} violated"))) },
                }
                ", " (of(Verdict::NotTestable)) " not testable here."
            }
            li {
                (markdown::introduction(results)) " "
                @match failed {
                    0 => { "Every case could be checked." },
                    some => { (bad(&format!("{} could not be checked at all.", count(some, "case")))) },
                }
            }
        }
        (section(&tables::verdicts(results), "verdicts", &links))
    }
}

fn tables_section(results: &TheoryResults) -> Section {
    let measured = |row: usize| Some(format!("g{row}"));
    let growth = Links {
        id: &measured,
        ..Links::NONE
    };
    let all = [
        ("table-base", tables::base(results), Links::NONE),
        ("table-growth", tables::growth(results), growth),
    ];
    let all = || {
        let known = all.iter();
        known.filter_map(|(id, table, links)| Some((*id, table.as_ref()?, links)))
    };
    Section {
        id: "tables".to_owned(),
        title: "Tables".to_owned(),
        parts: all()
            .map(|(id, table, _)| (id.to_owned(), table.title.clone()))
            .collect(),
        html: html! { @for (id, table, links) in all() { (section(table, id, links)) } }
            .into_string(),
    }
}

fn claim_anchor(name: &str) -> String {
    format!("claim-{name}")
}

fn case_anchor(case: usize) -> String {
    format!("k{case}")
}

/// Position of the case that a place names.
fn case_at(results: &TheoryResults, place: &str) -> Option<usize> {
    results.cases.iter().position(|case| case.place() == place)
}

/// A part a claim: what it says, what is measured, where it is nearest to its bound.
fn claims(results: &TheoryResults) -> Section {
    let html = html! {
        @for claim in &results.claims {
            section id=(claim_anchor(&claim.name)) {
                h3 { (claim.title) " " code { (claim.name) } }
                p { (claim.statement) }
                p.how {
                    "Measured: " (claim.measures.trim_end_matches('.')) ". Source: "
                    (claim.source.trim_end_matches('.')) "."
                }
                p { (verdict(results, claim)) }
            }
        }
    };
    let parts = results.claims.iter();
    Section {
        id: "claims".to_owned(),
        title: "Claims".to_owned(),
        parts: parts
            .map(|claim| (claim_anchor(&claim.name), claim.title.clone()))
            .collect(),
        html: html.into_string(),
    }
}

fn verdict(results: &TheoryResults, claim: &ClaimRecord) -> Markup {
    let class = match claim.verdict {
        Verdict::Holds => "good",
        Verdict::Violated => "bad",
        Verdict::NotTestable => "how",
    };
    html! {
        strong class=(class) { (claim.verdict.text()) }
        ": on " (claim.held) " of " (count(claim.held + claim.violated, "case")) " that could tell"
        @if claim.untested > 0 { "; " (count(claim.untested, "case")) " cannot tell" }
        @if let Some(reason) = &claim.reason { " (" (reason) ")" }
        "."
        @if let Some(worst) = &claim.worst {
            " Smallest margin " (format!("{:.3e}", worst.margin)) " (measured " (format!("{:.3e}", worst.measured))
            ", bound " (format!("{:.3e}", worst.bound)) ", rounding may add " (format!("{:.1e}", worst.tolerance)) ") at "
            @match case_at(results, &worst.place) {
                Some(case) => { a href={ "#" (case_anchor(case)) } { (worst.place) } },
                None => { (worst.place) },
            }
            "."
        }
        @if let Some(witness) = &claim.witness {
            " The violating case, cut down, is beside this page: " a href=(witness) { code { (witness) } } "."
        }
    }
}

/// The cases that points stand on, an entry a value of a varied setting, and the table of all of them.
fn entries(results: &TheoryResults) -> (Section, Value) {
    let mut listed: Vec<(String, String, Vec<usize>)> = Vec::new();
    let position = |case: &CaseRecord| {
        let cases = results.cases.iter();
        cases.clone().position(|other| std::ptr::eq(other, case))
    };
    let base = results
        .cases
        .iter()
        .filter(|case| case.axes == results.base_axes);
    listed.push((
        BASE.to_owned(),
        "The base".to_owned(),
        base.filter_map(position).collect(),
    ));
    for (i, varied) in results.varied.iter().enumerate() {
        let along = along::cases(results, &varied.axis);
        for (k, x) in values(&along).into_iter().enumerate() {
            let here = along.iter().filter(|(at, _)| *at == x);
            listed.push((
                anchor(i, k),
                format!("{} = {}", along::title(&varied.axis), number::plain(x)),
                here.filter_map(|(_, case)| position(case)).collect(),
            ));
        }
    }
    let mut data = Map::new();
    for (id, _, cases) in &listed {
        data.insert(id.clone(), json!({ "cases": cases }));
    }
    let class = |text: &str| {
        (text != "ok").then_some("bad").filter(|_| {
            results
                .cases
                .iter()
                .any(|case| case.error.as_deref() == Some(text))
        })
    };
    let links = Links {
        id: &|row| Some(case_anchor(row)),
        class: &class,
        ..Links::NONE
    };
    let html = html! {
        (how("Points of figures lead to the cases that they are a mean of; all cases stand in one table below."))
        @for (id, title, cases) in &listed {
            details.entry id=(id) {
                summary { (title) " · " (count(cases.len(), "case")) }
                p.cases {
                    "Cases "
                    @for case in cases { a href={ "#" (case_anchor(*case)) } { (case + 1) } " " }
                }
            }
        }
        (section(&tables::cases(results), "cases-table", &links))
    };
    let section = Section {
        id: "records".to_owned(),
        title: "Records".to_owned(),
        parts: vec![("cases-table".to_owned(), "Cases".to_owned())],
        html: html.into_string(),
    };
    (section, json!({ "entries": data }))
}
