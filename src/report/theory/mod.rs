//! The findings of `infbench theory`: `theory.md`, `report.html` and their figures.

mod along;
mod bounds;
mod groups;
mod growth;
mod page;
mod tables;

use std::path::{Path, PathBuf};

use super::ReportError;
use super::document::{FiguresInText, Report};
use super::figures::Outcome;
use crate::results::theory::TheoryResults;

/// Writes `figures/theory_*.{svg,png}`, `theory.md` and `report.html` into the folder `out`; returns the files,
/// the page last.
///
/// # Errors
/// A file that cannot be written, or a failure of the drawing library.
pub fn write(results: &TheoryResults, out: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let (records, data) = page::entries(results);
    let report = Report {
        about: results.description.trim().to_owned(),
        head: page::head(results),
        sections: vec![page::claims(results), records, page::environment(results)],
        data,
        ..report(results)
    };
    report.write(out, true)
}

/// `theory.md` of these findings.
pub fn markdown(results: &TheoryResults) -> String {
    report(results).markdown()
}

/// What the Markdown file shows.
fn report(results: &TheoryResults) -> Report {
    let verdicts = tables::verdicts(results).map(|table| table.markdown());
    let mut text = vec![
        results.description.trim().to_owned(),
        tables::introduction(results),
        verdicts.unwrap_or_default().trim_end().to_owned(),
    ];
    text.retain(|text| !text.is_empty());
    let tables = [tables::base(results), tables::growth(results)];
    let mut report = Report {
        title: format!("Theory: {}", results.experiment),
        text,
        in_text: FiguresInText::Findings,
        tables: tables.into_iter().flatten().collect(),
        ..Report::new("theory.md", "report.html")
    };
    report.add_figures(figures(results));
    report
}

fn figures(results: &TheoryResults) -> Vec<Outcome> {
    vec![
        bounds::errors(results),
        bounds::tightness(results),
        groups::draw(results),
        growth::draw(results),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::theory::load;

    fn results() -> TheoryResults {
        let folder = Path::new("tests/fixtures/theory_synthetic");
        load(folder).unwrap().expect("a fixture")
    }

    #[test]
    fn no_two_texts_of_a_figure_overlap_and_none_leaves_it() {
        let outcomes = figures(&results());
        assert_eq!(outcomes.len(), 4);
        for outcome in outcomes {
            let figure = outcome.expect("drawn");
            crate::report::chart::check_texts(&figure.chart)
                .unwrap_or_else(|problem| panic!("{}: {problem}", figure.id));
        }
    }
}
