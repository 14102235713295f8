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
        let interval = row
            .interval
            .map(|(low, high)| format!(" [{}, {}]", two(low), two(high)));
        Cell::parsed(slope + &interval.unwrap_or_default())
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
    use serde_json::{Value, json};

    use super::super::items;
    use super::*;
    use crate::results::environment::provenance;

    fn filled(name: &str, changes: Value) -> Result<Content, String> {
        let mut theory = json!({"schema": 1, "experiment": "t", "description": "", "base": null, "base_axes": {}, "varied": [],
            "claims": [], "cases": [], "growth": [], "provenance": provenance("none", 2)});
        for (key, value) in changes.as_object().expect("fields") {
            theory[key] = value.clone();
        }
        let theory = serde_json::from_value(theory).expect("findings");
        content(items::find(name).expect("listed"), &theory)
    }

    fn changes() -> Value {
        let claim = |name: &str| {
            json!({"name": name, "title": "", "statement": "a | b", "measures": "", "source": "s",
            "verdict": "holds", "held": 3, "violated": 0, "untested": 1, "reason": null, "witness": null,
            "worst": {"place": "", "measured": 0.5, "bound": 1.0, "margin": 0.5, "tolerance": 0.0}})
        };
        let case = |quantities| {
            json!({"block": "b", "seed": 0, "axes": {}, "n": 2, "d": 2, "lambda": 1.0, "error": null,
            "quantities": quantities, "groups": [], "findings": []})
        };
        let quantities = json!({"error": 0.5, "ceiling": 1.0, "second_order": 1.0, "second_order_inner": 1.0,
            "second_order_lower": 0.0, "theorem": 10.0, "score": 0.0, "taken": 1.0, "condition": 1.0});
        json!({"claims": [claim("theorem_1"), claim("jensen")], "cases": [case(quantities), case(Value::Null)],
            "growth": [{"method": "exact", "axis": "d", "cost": "time", "points": [], "slope": 1.7, "interval": [1.4, 2.0],
                        "exponent": 3.0, "verdict": "holds", "reason": null},
                       {"method": "datainf", "axis": "n", "cost": "time", "points": [], "slope": null, "interval": null,
                        "exponent": 1.0, "verdict": "not_testable", "reason": null}]})
    }

    #[test]
    fn exponents_and_bounds_stand_beside_the_paper_s() {
        let (facts, table, csv) = filled("table-1", changes()).expect("there is growth");
        let text = table.markdown();
        for part in [
            "| exact | time | d | 3 | 1.70 [1.40, 2.00] | below the paper's |",
            "| datainf | time | n | 1 | – | no interval |",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(facts[2], "Missing: 1 of 2 slopes.");
        assert!(
            csv.csv()
                .contains("\ntable-1,exact,time,d,3,1.7,1.4,2,holds\n")
        );
        let (facts, table, _) = filled("theorem-1", changes()).expect("there is a claim");
        assert!(facts[1].contains("20 to 20 times"), "{facts:?}");
        let row = "| a \\| b | holds | 3 of 3 | 1 | 0.500 | s |";
        assert!(table.rows.len() == 1 && table.markdown().contains(row));
    }

    #[test]
    fn what_is_not_there_is_said() {
        let message = |name: &str| filled(name, json!({})).expect_err("nothing is there");
        assert!(message("table-1").contains("`complexity`"));
        assert!(message("theorem-1").contains("no claim"));
    }
}
