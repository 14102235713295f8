//! An item of the paper beside records of ours: numbers with intervals, what a reader asks, what differs.
//!
//! Nothing is computed here but means over seeds and differences between them.

pub mod items;
mod page;
mod questions;
mod rows;
mod setup;
mod theory;

use std::path::{Path, PathBuf};

use maud::html;

use super::data::ResultSet;
use super::document::{FiguresInText, Names, Report};
use super::html::{items as list_items, record_sections};
use super::tables::{Table, clean};
use super::{ReportError, figures, number, tables};
use crate::progress::count;
use crate::results::record::Record;
use crate::results::theory::TheoryResults;
use items::Item;

/// A figure of which there is one a task.
const SWEEP: &str = "sweep_lora_rank";

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaperSummary {
    /// The files; the HTML page is the last.
    pub files: Vec<PathBuf>,
    /// The page as text for a terminal: the numbers and the sentences.
    pub text: String,
}

/// Writes `<name>.md`, `<name>.csv`, `<name>.html` and `figures/<name>_*.svg` into the folder `out`: the item beside
/// these records.
///
/// # Errors
/// No records, a file that cannot be written, or a failure of the drawing library.
pub fn write(
    item: &'static Item,
    records: &[Record],
    name: &str,
    out: &Path,
) -> Result<PaperSummary, ReportError> {
    if records.is_empty() {
        return Err(ReportError::Empty);
    }
    let results = ResultSet::new(records);
    let rows = rows::rows(item, &results);
    let settings = setup::settings(item, &results);
    let mut facts = vec![run_facts(&results)];
    if !settings.is_empty() {
        facts.push(setup::sentence(&settings));
    }
    facts.extend([tables::damping_text(&results), missing(&results, &rows)]);
    let answers = questions::findings(item, &results).into_iter();
    let answers = answers.map(|finding| format!("{}: {}.", finding.statement, finding.text()));
    let questions = Table::list(
        "Questions",
        "Each is asked beforehand and answered by a difference within every seed, so that no p-value is adjusted for the others. For one setting the interval is over its seeds. Over all settings a seed counts with the mean over its settings and a task with the mean over its seeds; with the tasks held fixed only seeds are random, and the interval holds for these tasks; with the tasks as a sample it holds for tasks like these.",
        answers,
    );
    let wide = || page::wide(item, &rows, &results.palette);
    let tables = [
        Some(questions).filter(|questions| !questions.rows.is_empty()),
        item.is_wide.then(wide).flatten(),
        Some(page::numbers(&rows, &results.palette)),
        page::settings(&settings),
    ];
    let tables = tables.into_iter().flatten().collect();
    let mut report = report(item, name, &facts, tables, page::csv(item, &rows));
    let is_wanted = |id: &str| {
        let wanted = item.figure.as_deref();
        wanted.is_some_and(|wanted| id == wanted || wanted == SWEEP && id.starts_with(SWEEP))
    };
    let drawn = figures::all(&results).into_iter().flatten();
    report.figures = drawn.filter(|figure| is_wanted(&figure.id)).collect();
    let (records, data) = record_sections(&results);
    (report.sections, report.data) = (records.into(), data);
    save(&report, &facts, out)
}

/// [`write()`] of Table 1 and Theorem 1, from what `infbench theory` found.
///
/// # Errors
/// Findings that lack what the item is about, or a file that cannot be written.
pub fn write_theory(
    item: &Item,
    theory: &TheoryResults,
    name: &str,
    out: &Path,
) -> Result<PaperSummary, ReportError> {
    let (facts, table, csv) = theory::content(item, theory).map_err(ReportError::Results)?;
    save(&report(item, name, &facts, vec![table], csv), &facts, out)
}

/// A report of an item, without figures and records yet.
fn report(item: &Item, name: &str, facts: &[String], tables: Vec<Table>, csv: Table) -> Report {
    let shows = format!("In the paper: {}.", item.shows);
    let cleaned = facts.iter().map(|fact| clean(fact));
    Report {
        title: format!("{} of the paper, and here", item.title),
        about: item.shows.clone(),
        head: html! { p.asked { (shows) } ul.facts { (list_items(facts)) } },
        text: std::iter::once(shows.clone()).chain(cleaned).collect(),
        in_text: FiguresInText::Captions,
        tables,
        tables_first: true,
        names: Names {
            markdown: format!("{name}.md"),
            csv: Some((format!("{name}.csv"), csv)),
            page: format!("{name}.html"),
            prefix: format!("{name}_"),
        },
        ..Report::new("", "")
    }
}

fn save(report: &Report, facts: &[String], out: &Path) -> Result<PaperSummary, ReportError> {
    Ok(PaperSummary {
        files: report.write(out, false)?,
        text: terminal(report, facts),
    })
}

/// The answers, what has a number of the paper, and the sentences.
fn terminal(report: &Report, facts: &[String]) -> String {
    let mut text = format!("{}\n\n", report.title);
    for table in &report.tables {
        let mut shown = table.clone();
        let paper = table.headers.iter().position(|header| header == "Paper");
        let has_paper =
            |row: &Vec<tables::Cell>| paper.is_some_and(|at| row[at].text != number::MISSING);
        shown
            .rows
            .retain(|row| table.headers.is_empty() || has_paper(row));
        if !shown.rows.is_empty() {
            text.push_str(&format!("{}\n", shown.text("")));
        }
    }
    text.extend(facts.iter().map(|fact| format!("{fact}\n")));
    text
}

/// Where the numbers come from.
fn run_facts(results: &ResultSet) -> String {
    let first = &results.records[0];
    let profile = first.profile.as_ref().map(|p| format!(", profile `{p}`"));
    let provenance = &first.provenance;
    let commit = provenance.commit.as_deref();
    let commit = commit.map(|commit| format!(", commit {}", &commit[..commit.len().min(10)]));
    format!(
        "Experiment `{}`{}: {}, {}, started {}{}, on {} ({}), {} threads.",
        first.experiment,
        profile.unwrap_or_default(),
        count(results.records.len(), "cell"),
        count(results.seeds(), "seed"),
        provenance.started,
        commit.unwrap_or_default(),
        provenance.device,
        provenance.cpu.as_deref().unwrap_or("unknown processor"),
        provenance.threads,
    )
}

/// Failed cells and methods, undefined values and the paper's numbers without a counterpart.
fn missing(results: &ResultSet, rows: &[rows::Row]) -> String {
    let ours = rows.iter().filter_map(|row| row.ours);
    let (undefined, cases) = ours.fold((0, 0), |(u, c), a| (u + a.undefined, c + a.cases));
    let alone = rows.iter().filter(|row| row.ours.is_none()).count();
    format!(
        "Missing: {} of {} cells failed, {} methods in the others, {} of {} values undefined, {alone} of the paper's numbers without a counterpart here.",
        results.failed(),
        results.records.len(),
        results.failed_methods(),
        number::plain(undefined as f64),
        number::plain(cases as f64),
    )
}
