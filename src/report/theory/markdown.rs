//! `theory.md`: verdicts, the error beside its bounds, slopes, figures.

use std::fmt::Write as _;

use crate::report::figures::Figure;
use crate::report::number;
use crate::report::tables::clean;
use crate::results::theory::{CaseRecord, TheoryResults};

/// The page.
pub fn page(results: &TheoryResults, figures: &[Figure], omitted: &[(String, String)]) -> String {
    let mut text = format!("# Theory: {}\n", clean(&results.experiment));
    if !results.description.is_empty() {
        let _ = write!(text, "\n{}\n", results.description.trim());
    }
    let _ = write!(
        text,
        "\n{} cases in {:.0} s on {} threads. Errors and bounds are in units of 1/λ; D is DataInf's operator, E \
         the exact one, C₂ = (1/n) Σ ‖g_i‖² g_i g_iᵀ − F².\n",
        results.cases.len(),
        results.provenance.seconds,
        results.provenance.threads
    );
    verdicts(&mut text, results);
    errors(&mut text, results);
    growth(&mut text, results);
    for figure in figures {
        let _ = write!(
            text,
            "\n## {}\n\n![{}](figures/{}.svg)\n\n{}\n",
            figure.title, figure.title, figure.id, figure.caption
        );
    }
    if !omitted.is_empty() {
        text.push_str("\n## Not drawn\n\n");
        for (title, reason) in omitted {
            let _ = writeln!(text, "- {title}: {reason}.");
        }
    }
    text
}

fn verdicts(text: &mut String, results: &TheoryResults) {
    text.push_str(
        "\n## Verdicts\n\nThe margin is 1 − measured/bound, or bound − measured where the bound is 0; the worst case is \
         the one with the smallest.\n\n| claim | statement | verdict | holds on | worst margin | measured | bound | \
         where, or why not |\n|---|---|---|---:|---:|---:|---:|---|\n",
    );
    for claim in &results.claims {
        let tested = claim.held + claim.violated;
        let untested = if claim.untested > 0 {
            format!(", {} cannot tell", claim.untested)
        } else {
            String::new()
        };
        let number = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.3e}"));
        let worst = claim.worst.as_ref();
        let place = match (worst, &claim.witness, &claim.reason) {
            (Some(worst), Some(witness), _) => format!("{}; witness `{witness}`", worst.place),
            (Some(worst), None, _) => worst.place.clone(),
            (None, _, Some(reason)) => reason.clone(),
            (None, _, None) => String::new(),
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} of {tested}{untested} | {} | {} | {} | {} |",
            claim.name,
            clean(&claim.statement),
            claim.verdict.text(),
            claim.held,
            number(worst.map(|w| w.margin)),
            number(worst.map(|w| w.measured)),
            number(worst.map(|w| w.bound)),
            clean(&place),
        );
    }
}

/// The cases of the base: one line a block, the geometric mean over seeds.
fn errors(text: &mut String, results: &TheoryResults) {
    let base: Vec<&CaseRecord> = results
        .cases
        .iter()
        .filter(|case| case.axes == results.base_axes)
        .collect();
    if base.is_empty() {
        return;
    }
    text.push_str(
        "\n## Error and bounds in the base\n\n| block | n | d | λ‖D − E‖ | ceiling | through E | second order | \
         Theorem 1 | Theorem 1 over error | worst score error | tr(I − λD) |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut blocks: Vec<&str> = Vec::new();
    for case in &base {
        if !blocks.contains(&case.block.as_str()) {
            blocks.push(&case.block);
        }
    }
    for block in blocks {
        let here: Vec<&&CaseRecord> = base.iter().filter(|case| case.block == block).collect();
        let quantities: Vec<_> = here.iter().filter_map(|c| c.quantities.as_ref()).collect();
        let Some(first) = here.first() else { continue };
        if quantities.is_empty() {
            let reason = first.error.as_deref().unwrap_or("not measured");
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | | | | | | | |",
                clean(block),
                first.n,
                first.d,
                clean(reason)
            );
            continue;
        }
        let mean = |of: &dyn Fn(usize) -> f64| {
            let sum: f64 = (0..quantities.len()).map(|i| of(i).ln()).sum();
            number::significant((sum / quantities.len() as f64).exp(), 3)
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            clean(block),
            first.n,
            first.d,
            mean(&|i| quantities[i].error),
            mean(&|i| quantities[i].ceiling),
            mean(&|i| quantities[i].second_order_inner),
            mean(&|i| quantities[i].second_order),
            mean(&|i| quantities[i].theorem),
            mean(&|i| quantities[i].theorem / quantities[i].error),
            mean(&|i| quantities[i].score),
            mean(&|i| quantities[i].taken),
        );
    }
}

fn growth(text: &mut String, results: &TheoryResults) {
    if results.growth.is_empty() {
        return;
    }
    text.push_str(
        "\n## Table 1, measured\n\nSlope of the logarithm of time or memory on that of the size, with its 95 % interval.\n\n\
         | method | cost | size | slope | interval | Table 1 | verdict |\n|---|---|---|---:|---:|---:|---|\n",
    );
    for row in &results.growth {
        let two = |value: f64| number::fixed(value, 2);
        let interval = row.interval.map_or("–".to_owned(), |(low, high)| {
            format!("{} … {}", two(low), two(high))
        });
        let reason = row
            .reason
            .as_ref()
            .map_or(String::new(), |r| format!(": {r}"));
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {interval} | {} | {}{} |",
            row.method,
            row.cost,
            row.axis,
            row.slope.map_or("–".to_owned(), two),
            row.exponent,
            row.verdict.text(),
            clean(&reason)
        );
    }
}
