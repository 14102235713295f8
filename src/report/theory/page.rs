//! `report.html` of a theory report: verdicts on top, figures, tables, claims, cases.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::along::{self, BASE, anchor, values};
use super::{markdown, tables};
use crate::report::figures::Figure;
use crate::report::html::figures_section;
use crate::report::number;
use crate::report::page::{
    Colours, Environments, Links, Page, Section, body, count, escape, section,
};
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
        html: format!(
            "<p class=\"how\">Started {}, {} of computing.</p>{}<details><summary>Settings of the base</summary><pre tabindex=\"0\">{}</pre></details>\n",
            escape(&results.provenance.started),
            number::seconds(results.provenance.seconds),
            Environments::one(&results.provenance).html(),
            escape(&serde_json::to_string_pretty(&results.base).unwrap_or_default())
        ),
    };
    Page {
        title: format!("Theory: {}", results.experiment),
        about: results.description.trim().to_owned(),
        head: head(results),
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
fn head(results: &TheoryResults) -> String {
    let of = |verdict| {
        let claims = results.claims.iter();
        claims.filter(|claim| claim.verdict == verdict).count()
    };
    let failed = results
        .cases
        .iter()
        .filter(|case| case.error.is_some())
        .count();
    let mut text = String::new();
    if !results.description.trim().is_empty() {
        let _ = writeln!(
            text,
            "<p class=\"asked\">{}</p>",
            escape(results.description.trim())
        );
    }
    let violated = of(Verdict::Violated);
    let _ = writeln!(
        text,
        "<ul class=\"facts\"><li>Of {}: {} hold, {}, {} not testable here.</li><li>{} {}</li></ul>",
        count(results.claims.len(), "claim"),
        of(Verdict::Holds),
        match violated {
            0 => "none is violated".to_owned(),
            some => format!("<strong class=\"bad\">{some} violated</strong>"),
        },
        of(Verdict::NotTestable),
        escape(&markdown::introduction(results)),
        match failed {
            0 => "Every case could be checked.".to_owned(),
            some => format!(
                "<strong class=\"bad\">{} could not be checked at all.</strong>",
                count(some, "case")
            ),
        }
    );
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
    let table = tables::verdicts(results);
    let _ = writeln!(
        text,
        "<section id=\"verdicts\"><h3>{}</h3><p class=\"how\">{}</p>\n{}</section>",
        escape(&table.title),
        escape(&table.note),
        body(&table, &links)
    );
    text
}

fn tables_section(results: &TheoryResults) -> Section {
    let mut html = String::new();
    let mut parts = Vec::new();
    if let Some(table) = tables::base(results) {
        parts.push(("table-base".to_owned(), table.title.clone()));
        html.push_str(&section(&table, "table-base", &Links::NONE));
    }
    if let Some(table) = tables::growth(results) {
        parts.push(("table-growth".to_owned(), table.title.clone()));
        let links = Links {
            id: &|row| Some(format!("g{row}")),
            ..Links::NONE
        };
        html.push_str(&section(&table, "table-growth", &links));
    }
    Section {
        id: "tables".to_owned(),
        title: "Tables".to_owned(),
        parts,
        html,
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
    let mut html = String::new();
    for claim in &results.claims {
        let _ = writeln!(
            html,
            "<section id=\"{}\"><h3>{} <code>{}</code></h3><p>{}</p><p class=\"how\">Measured: {}. Source: {}.</p><p>{}</p></section>",
            escape(&claim_anchor(&claim.name)),
            escape(&claim.title),
            escape(&claim.name),
            escape(&claim.statement),
            escape(claim.measures.trim_end_matches('.')),
            escape(claim.source.trim_end_matches('.')),
            verdict(results, claim)
        );
    }
    let parts = results.claims.iter();
    Section {
        id: "claims".to_owned(),
        title: "Claims".to_owned(),
        parts: parts
            .map(|claim| (claim_anchor(&claim.name), claim.title.clone()))
            .collect(),
        html,
    }
}

fn verdict(results: &TheoryResults, claim: &ClaimRecord) -> String {
    let class = match claim.verdict {
        Verdict::Holds => "good",
        Verdict::Violated => "bad",
        Verdict::NotTestable => "how",
    };
    let mut text = format!(
        "<strong class=\"{class}\">{}</strong>: on {} of {} that could tell",
        claim.verdict.text(),
        claim.held,
        count(claim.held + claim.violated, "case")
    );
    if claim.untested > 0 {
        let _ = write!(text, "; {} cannot tell", count(claim.untested, "case"));
    }
    if let Some(reason) = &claim.reason {
        let _ = write!(text, " ({})", escape(reason));
    }
    text.push('.');
    if let Some(worst) = &claim.worst {
        let place = match case_at(results, &worst.place) {
            Some(case) => format!(
                "<a href=\"#{}\">{}</a>",
                case_anchor(case),
                escape(&worst.place)
            ),
            None => escape(&worst.place),
        };
        let _ = write!(
            text,
            " Smallest margin {:.3e} (measured {:.3e}, bound {:.3e}, rounding may add {:.1e}) at {place}.",
            worst.margin, worst.measured, worst.bound, worst.tolerance
        );
    }
    if let Some(witness) = &claim.witness {
        let _ = write!(
            text,
            " The violating case, cut down, is beside this page: <a href=\"{0}\"><code>{0}</code></a>.",
            escape(witness)
        );
    }
    text
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
    let mut html = String::from(
        "<p class=\"how\">Points of figures lead to the cases that they are a mean of; all cases stand in one table below.</p>\n",
    );
    let mut data = Map::new();
    for (id, title, cases) in listed {
        let links: String = cases
            .iter()
            .map(|case| format!("<a href=\"#{}\">{}</a> ", case_anchor(*case), case + 1))
            .collect();
        let _ = writeln!(
            html,
            "<details class=\"entry\" id=\"{id}\"><summary>{} · {}</summary><p class=\"cases\">Cases {links}</p></details>",
            escape(&title),
            count(cases.len(), "case")
        );
        data.insert(id, json!({ "cases": cases }));
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
    html.push_str(&section(&tables::cases(results), "cases-table", &links));
    let section = Section {
        id: "records".to_owned(),
        title: "Records".to_owned(),
        parts: vec![("cases-table".to_owned(), "Cases".to_owned())],
        html,
    };
    (section, json!({ "entries": data }))
}
