//! Tables, figures and one self-contained page, from records alone.
//!
//! Nothing here computes influence or a metric; numbers are averaged over seeds and drawn. The same
//! records give the same bytes, in whatever order they come.
//!
//! In: records of [`crate::results`]. Out: `figures/*`, `tables.md` and `report.html` ([`write()`]), the table printed after
//! a run ([`summary()`]), the pages beside the paper ([`paper`]) and of theory ([`theory`]), and two results side by side
//! ([`compare`]).

mod aggregate;
mod axis;
mod by_token;
pub mod compare;
mod comparison;
mod contrast;
mod error;
mod families;
mod figures;
mod font;
mod html;
mod marks;
mod number;
mod page;
mod palette;
pub mod paper;
mod parts;
mod render;
mod scene;
mod series;
mod sheet;
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
use study::Study;

pub use error::ReportError;
pub use summary::summary;

/// What to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportOptions {
    /// Heading of the page; the experiments' names when absent.
    pub title: Option<String>,
    /// Whether figures are also written as PNG (default: yes).
    pub png: bool,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            title: None,
            png: true,
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
    let folder = out.join("figures");
    std::fs::create_dir_all(&folder).map_err(|source| ReportError::Write {
        path: folder.clone(),
        source,
    })?;
    let mut result = ReportSummary {
        files: Vec::new(),
        figures: Vec::new(),
        omitted: Vec::new(),
        cells: records.len(),
        failed: study.failed(),
    };
    let mut drawn = Vec::new();
    for outcome in figures::all(&study) {
        match outcome {
            Outcome::Drawn(figure) => {
                let svg = render::svg(&figure.scene, &figure.title)?;
                save(folder.join(format!("{}.svg", figure.id)), &svg, &mut result)?;
                if options.png {
                    let path = folder.join(format!("{}.png", figure.id));
                    render::png(&figure.scene, &path)?;
                    result.files.push(path);
                }
                result.figures.push(figure.id.clone());
                drawn.push(*figure);
            }
            Outcome::Omitted { title, reason } => result.omitted.push((title, reason)),
        }
    }
    let title = options.title.clone().unwrap_or_else(|| names(&study));
    let tables = tables::all(&study);
    let mut markdown = format!("# {}\n", tables::clean(&title));
    for table in &tables {
        markdown.push('\n');
        markdown.push_str(&table.markdown());
    }
    save(out.join("tables.md"), &markdown, &mut result)?;
    let page = html::page(&study, &title, &drawn, &tables, &result.omitted);
    save(out.join("report.html"), &page, &mut result)?;
    Ok(result)
}

fn save(path: PathBuf, text: &str, result: &mut ReportSummary) -> Result<(), ReportError> {
    crate::atomic::write(&path, text.as_bytes()).map_err(|source| ReportError::Write {
        path: path.clone(),
        source,
    })?;
    result.files.push(path);
    Ok(())
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
