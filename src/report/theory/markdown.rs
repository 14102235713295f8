//! `theory.md`: verdicts, the error beside its bounds, slopes, figures.

use std::fmt::Write as _;

use super::tables;
use crate::report::figures::Figure;
use crate::report::tables::clean;
use crate::results::theory::TheoryResults;

/// The page.
pub fn page(results: &TheoryResults, figures: &[Figure], omitted: &[(String, String)]) -> String {
    let mut text = format!("# Theory: {}\n", clean(&results.experiment));
    if !results.description.is_empty() {
        let _ = write!(text, "\n{}\n", results.description.trim());
    }
    let _ = write!(text, "\n{}\n", introduction(results));
    let all = [
        Some(tables::verdicts(results)),
        tables::base(results),
        tables::growth(results),
    ];
    for table in all.into_iter().flatten() {
        let _ = write!(text, "\n{}", table.markdown());
    }
    for figure in figures {
        let _ = write!(
            text,
            "\n## {}\n\n![{}](figures/{}.svg)\n\n{}\n",
            figure.title, figure.title, figure.id, figure.caption
        );
        if !figure.findings.is_empty() {
            let items: Vec<String> = figure.findings.iter().map(|f| format!("- {f}")).collect();
            let _ = write!(text, "\n{}\n", items.join("\n"));
        }
    }
    if !omitted.is_empty() {
        text.push_str("\n## Not drawn\n\n");
        for (title, reason) in omitted {
            let _ = writeln!(text, "- {title}: {reason}.");
        }
    }
    text
}

/// What was run, and what the letters mean.
pub fn introduction(results: &TheoryResults) -> String {
    format!(
        "{} cases in {:.0} s on {} threads. Errors and bounds are in units of 1/λ; D is DataInf's operator, E \
         the exact one, C₂ = (1/n) Σ ‖g_i‖² g_i g_iᵀ − F².",
        results.cases.len(),
        results.provenance.seconds,
        results.provenance.threads
    )
}
