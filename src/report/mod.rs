//! Tables, figures and one self-contained page, from records alone.
//!
//! Nothing here computes influence or a metric; numbers are averaged over seeds and drawn. The same
//! records give the same bytes, in whatever order they come.
//!
//! In: records of [`crate::results`]. Out: `figures/*`, `tables.md` and `report.html` ([`write()`]), the table printed after
//! a run ([`summary()`]), the pages beside the paper ([`paper`]) and of theory ([`theory`]), and two results side by side
//! ([`compare`]).

mod aggregate;
mod answers;
mod by_token;
mod chart;
pub mod compare;
mod comparison;
mod contrast;
mod error;
mod families;
mod figures;
mod files;
mod html;
pub mod loss_curves;
mod number;
mod page;
mod palette;
pub mod paper;
mod parts;
mod pictures;
mod study;
mod summary;
#[cfg(test)]
#[path = "../../tests/synthetic/mod.rs"]
mod synthetic;
mod tables;
pub mod theory;

use std::path::{Path, PathBuf};

use crate::results::record::Record;
use figures::Outcome;
use files::Files;
use study::Study;

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
    let study = Study::new(records);
    let (mut drawn, mut omitted) = (Vec::new(), Vec::new());
    for outcome in figures::all(&study) {
        match outcome {
            Outcome::Drawn(figure) => drawn.push(*figure),
            Outcome::Omitted { title, reason } => omitted.push((title, reason)),
        }
    }
    let title = options.title.clone().unwrap_or_else(|| names(&study));
    let tables = tables::all(&study);
    let results = options.results.as_deref();
    let page = html::page(&study, &title, (&drawn, &omitted), &tables, results);
    let files = Files {
        figures: &drawn,
        prefix: String::new(),
        png: options.png,
        texts: vec![
            ("tables.md".to_owned(), tables::markdown(&title, &tables)),
            ("report.html".to_owned(), page),
        ],
    };
    Ok(ReportSummary {
        files: files.write(out)?,
        figures: drawn.into_iter().map(|figure| figure.id).collect(),
        omitted,
        cells: records.len(),
        failed: study.failed(),
    })
}

/// `tables.md` of these records.
pub fn markdown(records: &[Record]) -> String {
    let study = Study::new(records);
    tables::markdown(&names(&study), &tables::all(&study))
}

/// The experiments' names, with their profiles.
fn names(study: &Study) -> String {
    let mut names: Vec<String> = study
        .records
        .iter()
        .map(|record| match &record.profile {
            Some(profile) => format!("{} (profile {profile})", record.experiment),
            None => record.experiment.clone(),
        })
        .collect();
    names.dedup();
    names.join(", ")
}
