//! An item of the paper beside records of ours: numbers with intervals, what a reader asks, what differs.
//!
//! Nothing is computed here but means over seeds and differences between them.

pub mod items;
mod page;
mod questions;
mod rows;
mod setup;
mod theory;
mod wide;

use std::path::{Path, PathBuf};

use super::figures::Outcome;
use super::files::Files;
use super::study::Study;
use super::tables::Table;
use super::{ReportError, figures, number, tables};
use crate::results::record::{Record, Status};
use items::Item;
use page::Page;

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
    item: &Item,
    records: &[Record],
    name: &str,
    out: &Path,
) -> Result<PaperSummary, ReportError> {
    if records.is_empty() {
        return Err(ReportError::Empty);
    }
    let study = Study::new(records);
    let rows = rows::rows(item, &study);
    let settings = setup::settings(item, &study);
    let mut page = Page::new(item, name);
    page.facts.push(run_facts(&study));
    if !settings.is_empty() {
        page.facts.push(setup::sentence(&settings));
    }
    page.facts.push(tables::damping_text(&study));
    page.facts.push(missing(&study, &rows));
    let answers = questions::findings(item, &study);
    if !answers.is_empty() {
        page.sections.push(Table::list(
            "Questions",
            "Each is asked beforehand and answered by a difference within every seed, so that no p-value is adjusted for the others. For one setting the interval is over its seeds. Over all settings a seed counts with the mean over its settings and a task with the mean over its seeds; with the tasks held fixed only seeds are random, and the interval holds for these tasks; with the tasks as a sample it holds for tasks like these.",
            answers
                .iter()
                .map(|finding| format!("{}: {}.", finding.statement, finding.text())),
        ));
    }
    if item.is_wide {
        let table = wide::section(item, &rows, &study.palette);
        page.sections.push(table);
    }
    page.sections.push(page::numbers(&rows, &study.palette));
    if !settings.is_empty() {
        page.sections.push(page::settings(&settings));
    }
    page.csv = page::csv(item, &rows);
    for outcome in figures::all(&study) {
        if let (Outcome::Drawn(figure), Some(wanted)) = (outcome, item.figure)
            && (figure.id == wanted || wanted == SWEEP && figure.id.starts_with(SWEEP))
        {
            page.figures.push(*figure);
        }
    }
    save(&page, Some(&study), out)
}

/// [`write()`] of Table 1 and Theorem 1, from the `theory.json` of `infbench theory`.
///
/// # Errors
/// A text that is not such a file, or a file that cannot be written.
pub fn write_theory(
    item: &Item,
    theory: &str,
    name: &str,
    out: &Path,
) -> Result<PaperSummary, ReportError> {
    let mut page = Page::new(item, name);
    theory::fill(&mut page, item, theory).map_err(ReportError::Results)?;
    save(&page, None, out)
}

fn save(page: &Page, study: Option<&Study>, out: &Path) -> Result<PaperSummary, ReportError> {
    let file = |kind: &str, text| (format!("{}.{kind}", page.name), text);
    let files = Files {
        figures: &page.figures,
        prefix: format!("{}_", page.name),
        png: false,
        texts: vec![
            file("md", page.markdown()),
            file("csv", page.csv.clone()),
            file("html", page.html(study)),
        ],
    };
    Ok(PaperSummary {
        files: files.write(out)?,
        text: page.terminal(),
    })
}

/// Where the numbers come from.
fn run_facts(study: &Study) -> String {
    let first = &study.records[0];
    let profile = first.profile.as_ref();
    let profile = profile.map_or(String::new(), |p| format!(", profile `{p}`"));
    let mut seeds: Vec<u64> = study.records.iter().map(|r| r.cell.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let provenance = &first.provenance;
    let commit = provenance
        .commit
        .as_deref()
        .map_or(String::new(), |commit| {
            format!(", commit {}", &commit[..commit.len().min(10)])
        });
    format!(
        "Experiment `{}`{profile}: {} cell{}, {} seed{}, started {}{commit}, on {} ({}), {} threads.",
        first.experiment,
        study.records.len(),
        if study.records.len() == 1 { "" } else { "s" },
        seeds.len(),
        if seeds.len() == 1 { "" } else { "s" },
        provenance.started,
        provenance.device,
        provenance.cpu.as_deref().unwrap_or("unknown processor"),
        provenance.threads,
    )
}

/// Failed cells and methods, undefined values and the paper's numbers without a counterpart.
fn missing(study: &Study, rows: &[rows::Row]) -> String {
    let methods = study.records.iter().flat_map(|record| &record.methods);
    let failed = methods.filter(|m| m.status == Status::Failed).count();
    let ours = rows.iter().filter_map(|row| row.ours);
    let (undefined, cases) = ours.fold((0, 0), |(u, c), a| (u + a.undefined, c + a.cases));
    let alone = rows.iter().filter(|row| row.ours.is_none()).count();
    format!(
        "Missing: {} of {} cells failed, {failed} methods in the others, {} of {} values undefined, {alone} of the paper's numbers without a counterpart here.",
        study.failed(),
        study.records.len(),
        number::plain(undefined as f64),
        number::plain(cases as f64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn a_page_has_numbers_answers_and_what_differs_in_three_forms() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let item = items::find("figure-1").expect("listed");
        let found = write(item, &synthetic::glue(), "figure-1-laptop", folder.path());
        let found = found.expect("written");
        assert_eq!(found.files.len(), 4);
        let read = |ending: &str| {
            let path = folder.path().join(format!("figure-1-laptop.{ending}"));
            std::fs::read_to_string(path).expect("written")
        };
        let page = read("md");
        for part in [
            "# Figure 1",
            "| MRPC | rank r = 1 | DataInf | Pearson r with exact, mean query | 0.640 | 0.",
            "Experiment `glue_rank`, profile `laptop`: 48 cells, 3 seeds",
            "What differs here: ",
            "Missing: 0 of 48 cells failed",
            "with the 4 tasks held fixed, ± ",
            "as a sample of tasks (12 pairs of task and seed)",
            "![",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let csv = read("csv");
        assert!(
            csv.starts_with("item,task,setting,method,metric,paper,"),
            "{csv}"
        );
        assert_eq!(csv.lines().count(), 1 + 16 * 9);
        assert!(
            csv.contains("\nfigure-1,MRPC,rank r = 1,datainf,pearson_mean_query,0.64,,Figure 1,0.")
        );
        let html = read("html");
        assert!(html.contains("<svg") && html.contains("0.640") && !html.contains("src=\"http"));
        assert!(found.text.contains("0.640") && found.text.contains("What differs"));
        let none = write(item, &[], "x", folder.path());
        assert!(matches!(none, Err(ReportError::Empty)));
    }
}
