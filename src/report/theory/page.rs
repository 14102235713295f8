//! What a theory page has beside figures and tables: verdicts on top, claims, cases.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::along::{self, BASE, anchor, values};
use super::tables::{self, case_anchor, introduction};
use crate::progress::count;
use crate::report::html::{Environments, Part, Section, bad, how};
use crate::report::number;
use crate::results::theory::{CaseRecord, ClaimRecord, TheoryResults, Verdict};

/// What was asked, how many claims hold, and the verdicts.
pub fn head(results: &TheoryResults) -> Markup {
    let of = |verdict| {
        let claims = results.claims.iter();
        claims.filter(|claim| claim.verdict == verdict).count()
    };
    let cases = results.cases.iter();
    let failed = cases.filter(|case| case.error.is_some()).count();
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
                (introduction(results)) " "
                @match failed {
                    0 => { "Every case could be checked." },
                    some => { (bad(&format!("{} could not be checked at all.", count(some, "case")))) },
                }
            }
        }
        @if let Some(table) = tables::verdicts(results) { (Part::of_table("verdicts", &table).html()) }
    }
}

/// A part per claim: what it says, what is measured, where it is nearest to its bound.
pub fn claims(results: &TheoryResults) -> Section {
    let parts = results.claims.iter().map(|claim| Part {
        id: format!("claim-{}", claim.name),
        title: claim.title.clone(),
        body: html! {
            p { code { (claim.name) } " " (claim.statement) }
            p.how {
                "Measured: " (claim.measures.trim_end_matches('.')) ". Source: "
                (claim.source.trim_end_matches('.')) "."
            }
            p { (verdict(results, claim)) }
        },
    });
    Section::of_parts("claims", "Claims", "", parts)
}

fn verdict(results: &TheoryResults, claim: &ClaimRecord) -> Markup {
    let class = tables::verdict_class(claim.verdict).unwrap_or("how");
    html! {
        strong class=(class) { (claim.verdict.text()) }
        ": on " (claim.held) " of " (count(claim.held + claim.violated, "case")) " that could tell"
        @if claim.untested > 0 { "; " (count(claim.untested, "case")) " cannot tell" }
        @if let Some(reason) = &claim.reason { " (" (reason) ")" }
        "."
        @if let Some(worst) = &claim.worst {
            " Smallest margin " (format!("{:.3e}", worst.margin)) " (measured " (format!("{:.3e}", worst.measured))
            ", bound " (format!("{:.3e}", worst.bound)) ", rounding may add " (format!("{:.1e}", worst.tolerance)) ") at "
            @match case_anchor(results, &worst.place) {
                Some(case) => { a href={ "#" (case) } { (worst.place) } },
                None => { (worst.place) },
            }
            "."
        }
        @if let Some(witness) = &claim.witness {
            " The violating case, cut down, is beside this page: " a href=(witness) { code { (witness) } } "."
        }
    }
}

/// The cases that points stand on, an entry per value of a varied setting, and the table of all of them.
pub fn entries(results: &TheoryResults) -> (Section, Value) {
    let position = |case: &CaseRecord| {
        let mut cases = results.cases.iter();
        cases.position(|other| std::ptr::eq(other, case))
    };
    let base = results.cases.iter();
    let base = base.filter(|case| case.axes == results.base_axes);
    let base: Vec<usize> = base.filter_map(position).collect();
    let mut listed = vec![(BASE.to_owned(), "The base".to_owned(), base)];
    for (i, varied) in results.varied.iter().enumerate() {
        let along = along::cases(results, &varied.axis);
        for (k, x) in values(&along).into_iter().enumerate() {
            let here = along.iter().filter(|(at, _)| *at == x);
            let title = format!("{} = {}", along::title(&varied.axis), number::plain(x));
            let cases = here.filter_map(|(_, case)| position(case)).collect();
            listed.push((anchor(i, k), title, cases));
        }
    }
    let data = listed
        .iter()
        .map(|(id, _, cases)| (id.clone(), json!({ "cases": cases })));
    let data: Map<String, Value> = data.collect();
    let text = html! {
        (how("Points of figures lead to the cases that they are a mean of; all cases stand in one table below."))
        @for (id, title, cases) in &listed {
            details.entry id=(id) {
                summary { (title) " · " (count(cases.len(), "case")) }
                p.cases {
                    "Cases "
                    @for case in cases { a href={ "#k" (case) } { (case + 1) } " " }
                }
            }
        }
    };
    let mut section = Section::new("records", "Records", text);
    if let Some(table) = tables::cases(results) {
        section.add(Part::of_table("cases-table", &table));
    }
    (section, json!({ "entries": data }))
}

/// Where and with what it was computed.
pub fn environment(results: &TheoryResults) -> Section {
    let base = serde_json::to_string_pretty(&results.base).unwrap_or_default();
    let text = html! {
        p.how {
            "Started " (results.provenance.started) ", "
            (number::seconds(results.provenance.seconds)) " of computing."
        }
        (Environments::one(&results.provenance).html())
        details { summary { "Settings of the base" } pre tabindex="0" { (base) } }
    };
    Section::new("settings", "Settings and environment", text)
}
