//! Table 1 and Theorem 1 from what `infbench theory` found.

use super::items::Item;
use crate::report::number::{self, MISSING};
use crate::report::tables::{Cell, Columns, Table};
use crate::results::theory::{CaseRecord, ClaimRecord, GrowthRecord, TheoryResults, Verdict};

/// Claims that stand beside Theorem 1: its bound, its growth, and what is tighter.
const CLAIMS: [&str; 5] = [
    "theorem_1",
    "growth_in_d",
    "ceiling",
    "second_order",
    "second_order_inner",
];

/// Sentences, the table, and its numbers as CSV.
pub type Content = (Vec<String>, Table, Table);

/// What stands on the page of an item about theory.
///
/// # Errors
/// Findings that lack what the item is about; as a sentence.
pub fn content(item: &Item, theory: &TheoryResults) -> Result<Content, String> {
    let provenance = &theory.provenance;
    let run = format!(
        "Experiment `{}`: {} cases, started {}, on {}, {} threads.",
        theory.experiment,
        theory.cases.len(),
        provenance.started,
        provenance.cpu.as_deref().unwrap_or_default(),
        provenance.threads,
    );
    let (mut facts, table, csv) = match item.name.as_str() {
        "table-1" => growth(item, &theory.growth)?,
        _ => bounds(item, &theory.claims, &theory.cases)?,
    };
    facts.insert(0, run);
    Ok((facts, table, csv))
}

/// Every digit; nothing of what is missing.
fn digits(x: Option<f64>) -> String {
    x.map(|x| x.to_string()).unwrap_or_default()
}

fn growth(item: &Item, rows: &[GrowthRecord]) -> Result<Content, String> {
    if rows.is_empty() {
        return Err(
            "this theory.json has no measured growth: run the claim `complexity`".to_owned(),
        );
    }
    let two = |x| number::fixed(x, 2);
    let slope = |row: &&GrowthRecord| {
        let slope = row.slope.map_or(MISSING.to_owned(), two);
        Cell::parsed(slope + &number::ends(row.interval, two))
    };
    let missing = rows.iter().filter(|row| row.slope.is_none()).count();
    let facts = vec![
        "What differs here: exact influence goes through the n×n dual where n < d, so that its d³ is n²d; LiSSA never forms the d×d Fisher, two products with the gradients a step instead: O(iterations · n d) and O(d) memory. Both stay below the paper's exponents. Gradients are synthetic."
            .to_owned(),
        format!("Missing: {missing} of {} slopes.", rows.len()),
    ];
    let table = Columns::new()
        .text("Method", |row: &&GrowthRecord| &row.method)
        .text("Cost", |row| &row.cost)
        .text("Size", |row| &row.axis)
        .number("Paper", number::plain, |row| Some(row.exponent))
        .add("Here", slope)
        .text("Reading", |row| match (row.interval, row.verdict) {
            (None, _) => "no interval",
            (_, Verdict::Violated) => "above the paper's",
            (Some((_, high)), _) if high < row.exponent => "below the paper's",
            _ => "agrees",
        })
        .whole(
            "Exponents",
            "Exponent p of time or memory ∝ size^p: in the paper's table, and the least-squares slope of the logarithms here with its 95 % t-interval.",
            rows,
        );
    let csv = Columns::new()
        .text("item", |_: &&GrowthRecord| &item.name)
        .text("method", |row| &row.method)
        .text("cost", |row| &row.cost)
        .text("size", |row| &row.axis)
        .text("paper", |row| row.exponent.to_string())
        .text("here", |row| digits(row.slope))
        .text("low", |row| digits(row.interval.map(|ends| ends.0)))
        .text("high", |row| digits(row.interval.map(|ends| ends.1)))
        .text("verdict", |row| word(row.verdict))
        .whole("", "", rows);
    Ok((facts, table, csv))
}

/// A verdict as `theory.json` has it.
fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Violated => "violated",
        Verdict::NotTestable => "not_testable",
    }
}

fn bounds(item: &Item, claims: &[ClaimRecord], cases: &[CaseRecord]) -> Result<Content, String> {
    let mut claims: Vec<&ClaimRecord> = claims.iter().collect();
    claims.retain(|claim| CLAIMS.contains(&claim.name.as_str()));
    if claims.is_empty() {
        return Err("this theory.json has no claim about Theorem 1".to_owned());
    }
    // how loose, where both are known
    let ratio = |case: &CaseRecord| {
        let known = case.quantities.filter(|known| known.error > 0.0)?;
        Some(known.theorem / known.error).filter(|ratio| ratio.is_finite())
    };
    let mut ratios: Vec<f64> = cases.iter().filter_map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let mut facts = Vec::new();
    if let (Some(least), Some(most)) = (ratios.first(), ratios.last()) {
        facts.push(format!(
            "The theorem's bound is {} to {} times the measured error (median {}); at the paper's damping the error is held by the ceiling 1/λ, which does not grow with d.",
            number::significant(*least, 2),
            number::significant(*most, 2),
            number::significant(ratios[ratios.len() / 2], 2),
        ));
    }
    facts.push(
        "What differs here: the bound is taken with its constant, 2M²d²/λ³ with M = max ‖g‖²_∞, where the paper states the rate; the gradients are those of the experiment, and docs/theory.md has the proofs."
            .to_owned(),
    );
    facts.push(format!(
        "Missing: {} of {} cases have no measured error.",
        cases.len() - ratios.len(),
        cases.len()
    ));
    let margin = |claim: &ClaimRecord| Some(claim.worst.as_ref()?.margin);
    let table = Columns::new()
        .text("Statement", |claim: &&ClaimRecord| &claim.statement)
        .text("Verdict", |claim| word(claim.verdict))
        .add("Holds on", |claim| {
            Cell::parsed(format!("{} of {}", claim.held, claim.held + claim.violated))
        })
        .add("Cannot tell", |claim| Cell::parsed(claim.untested.to_string()))
        .number("Worst margin", |x| number::significant(x, 3), move |claim| margin(claim))
        .text("Source", |claim| &claim.source)
        .whole(
            "The bound",
            "Each statement on every block, setting and seed. The margin is 1 − measured/bound, or bound − measured where the bound is 0, at its worst case.",
            claims.clone(),
        );
    let csv = Columns::new()
        .text("item", |_: &&ClaimRecord| &item.name)
        .text("claim", |claim| &claim.name)
        .text("verdict", |claim| word(claim.verdict))
        .text("held", |claim| claim.held.to_string())
        .text("violated", |claim| claim.violated.to_string())
        .text("untested", |claim| claim.untested.to_string())
        .text("worst_margin", move |claim| {
            digits(margin(claim).filter(|m| m.is_finite()))
        })
        .whole("", "", claims);
    Ok((facts, table, csv))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::items;
    use super::*;
    use crate::results::theory::load;

    #[test]
    fn what_is_not_there_is_said() {
        let stored = load(Path::new("tests/fixtures/theory_synthetic")).expect("readable");
        let nothing = TheoryResults {
            claims: Vec::new(),
            growth: Vec::new(),
            ..stored.expect("a fixture")
        };
        for (item, says) in [("table-1", "`complexity`"), ("theorem-1", "no claim")] {
            let item = items::find(item).expect("listed");
            let message = content(item, &nothing).expect_err("nothing is there");
            assert!(message.contains(says), "{message}");
        }
    }
}
