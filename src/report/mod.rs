//! Tables, figures and one self-contained page, from records alone.
//!
//! Nothing here computes influence or a metric; numbers are averaged over seeds and drawn. The same
//! records give the same bytes, in whatever order they come.
//!
//! In: records of [`crate::results`]. Out: `figures/*`, `tables.md` and `report.html` ([`write()`]), the table printed after
//! a run ([`summary()`]), the pages beside the paper ([`paper`]) and of theory ([`theory`]), and two results side by side
//! ([`compare`]).

mod chart;
mod colour_contrast;
pub mod compare;
mod data;
mod document;
mod error;
mod families;
mod figures;
mod gap_decomposition;
mod html;
pub mod loss_curves;
mod number;
mod palette;
pub mod paper;
mod summary;
#[cfg(test)]
#[path = "../../tests/synthetic/mod.rs"]
mod synthetic;
mod tables;
pub mod theory;

use std::path::{Path, PathBuf};

use maud::html;

use crate::results::record::Record;
use data::ResultSet;
use document::Report;

pub use error::ReportError;
pub use summary::summary;
pub use tables::Table;

/// What to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportOptions {
    /// Heading of the page; the experiments' names when absent.
    pub title: Option<String>,
    /// Whether figures are also written as PNG (default: yes).
    pub png: bool,
    /// Folder of the results, which the records name their pictures relative to; without it the page has none.
    pub results: Option<PathBuf>,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            title: None,
            png: true,
            results: None,
        }
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportSummary {
    /// The files, in the order of writing; the page is the last.
    pub files: Vec<PathBuf>,
    /// Names of the figures drawn (`figures/NAME.svg`).
    pub figures: Vec<String>,
    /// Figures not drawn: title and reason.
    pub omitted: Vec<(String, String)>,
    /// Cells in the report.
    pub cells: usize,
    /// Failed ones among them.
    pub failed: usize,
}

/// Writes `figures/*.svg` (and `.png`), `tables.md` and `report.html` into the folder `out`, which is
/// made when it is missing.
///
/// # Errors
/// No records, a file that cannot be written, or a failure of the drawing library.
pub fn write(
    records: &[Record],
    out: &Path,
    options: &ReportOptions,
) -> Result<ReportSummary, ReportError> {
    if records.is_empty() {
        return Err(ReportError::Empty);
    }
    let results = ResultSet::new(records);
    let mut report = run_report(&results, options.title.clone());
    report.add_figures(figures::all(&results));
    let mut asked: Vec<&str> = results
        .records
        .iter()
        .map(|r| r.description.trim())
        .collect();
    asked.dedup();
    asked.retain(|text| !text.is_empty());
    report.about = asked.first().map_or(&*report.title, |text| text).to_owned();
    report.head = html! {
        @for text in &asked { p.asked { (text) } }
        (html::headline(&results))
    };
    let (records, data) = html::record_sections(&results);
    let outputs = html::outputs(&results, options.results.as_deref());
    report.sections = outputs.into_iter().chain(records).collect();
    report.data = data;
    Ok(ReportSummary {
        files: report.write(out, options.png)?,
        figures: report.figures.into_iter().map(|f| f.id).collect(),
        omitted: report.omitted,
        cells: results.records.len(),
        failed: results.failed(),
    })
}

/// `tables.md` of these records.
pub fn markdown(records: &[Record]) -> String {
    run_report(&ResultSet::new(records), None).markdown()
}

/// The tables of a run; titled by the experiments' names with their profiles where there is no title.
fn run_report(results: &ResultSet, title: Option<String>) -> Report {
    let name = |record: &&Record| match &record.profile {
        Some(profile) => format!("{} (profile {profile})", record.experiment),
        None => record.experiment.clone(),
    };
    let mut names: Vec<String> = results.records.iter().map(name).collect();
    names.dedup();
    Report {
        title: title.unwrap_or_else(|| names.join(", ")),
        tables: tables::all(results),
        ..Report::new("tables.md", "report.html")
    }
}
