//! Table 1 and Theorem 1 from `theory.json`.

use serde_json::Value;

use super::items::Item;
use super::page::Page;
use crate::report::number::{self, MISSING};
use crate::report::tables::Table;

/// Claims that stand beside Theorem 1: its bound, its growth, and what is tighter.
const CLAIMS: [&str; 5] = [
    "theorem_1",
    "growth_in_d",
    "ceiling",
    "second_order",
    "second_order_inner",
];

/// Fills the page.
///
/// # Errors
/// A text that is not a `theory.json`, or one that lacks what the item is about; as a sentence.
pub fn fill(page: &mut Page, item: &Item, text: &str) -> Result<(), String> {
    let theory: Value =
        serde_json::from_str(text).map_err(|e| format!("this is no theory.json: {e}"))?;
    let list = |field: &str| theory[field].as_array().cloned().unwrap_or_default();
    let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let provenance = &theory["provenance"];
    page.facts.push(format!(
        "Experiment `{}`: {} cases, started {}, on {}, {} threads.",
        of(&theory["experiment"]),
        list("cases").len(),
        of(&provenance["started"]),
        of(&provenance["cpu"]),
        provenance["threads"],
    ));
    if item.name == "table-1" {
        growth(page, item, &list("growth"))
    } else {
        bounds(page, item, &list("claims"), &list("cases"))
    }
}

/// `1.04 [0.92, 1.17]`
fn slope(row: &Value) -> String {
    let two = |value: &Value| {
        value
            .as_f64()
            .map_or(MISSING.to_owned(), |x| number::fixed(x, 2))
    };
    let interval = &row["interval"];
    if interval.is_array() {
        format!(
            "{} [{}, {}]",
            two(&row["slope"]),
            two(&interval[0]),
            two(&interval[1])
        )
    } else {
        two(&row["slope"])
    }
}

fn growth(page: &mut Page, item: &Item, rows: &[Value]) -> Result<(), String> {
    if rows.is_empty() {
        return Err(
            "this theory.json has no measured growth: run the claim `complexity`".to_owned(),
        );
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut csv = String::from("item,method,cost,size,paper,here,low,high,verdict\n");
    let mut table = Vec::new();
    for row in rows {
        let number = |value: &Value| value.as_f64().map(|x| x.to_string()).unwrap_or_default();
        let exponent = row["exponent"].as_f64().unwrap_or(f64::NAN);
        let verdict = text(&row["verdict"]);
        let reading = row["interval"][1].as_f64().map_or("no interval", |high| {
            if verdict == "violated" {
                "above the paper's"
            } else if high < exponent {
                "below the paper's"
            } else {
                "agrees"
            }
        });
        table.push([
            text(&row["method"]),
            text(&row["cost"]),
            text(&row["axis"]),
            number::plain(exponent),
            slope(row),
            reading.to_owned(),
        ]);
        csv.push_str(&format!(
            "{},{},{},{},{},{},{},{},{verdict}\n",
            item.name,
            text(&row["method"]),
            text(&row["cost"]),
            text(&row["axis"]),
            exponent,
            number(&row["slope"]),
            number(&row["interval"][0]),
            number(&row["interval"][1]),
        ));
    }
    page.facts.push(
        "What differs here: exact influence goes through the n×n dual where n < d, so that its d³ is n²d; LiSSA never forms the d×d Fisher, two products with the gradients a step instead: O(iterations · n d) and O(d) memory. Both stay below the paper's exponents. Gradients are synthetic."
            .to_owned(),
    );
    let missing = rows.iter().filter(|row| row["slope"].is_null()).count();
    page.facts
        .push(format!("Missing: {missing} of {} slopes.", rows.len()));
    page.sections.push(Table::of_texts("Exponents", "Exponent p of time or memory ∝ size^p: in the paper's table, and the least-squares slope of the logarithms here with its 95 % t-interval.", ["Method", "Cost", "Size", "Paper", "Here", "Reading"], table));
    page.csv = csv;
    Ok(())
}

fn bounds(page: &mut Page, item: &Item, claims: &[Value], cases: &[Value]) -> Result<(), String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut csv = String::from("item,claim,verdict,held,violated,untested,worst_margin\n");
    let mut table = Vec::new();
    for claim in claims {
        let name = text(&claim["name"]);
        if !CLAIMS.contains(&name.as_str()) {
            continue;
        }
        let margin = claim["worst"]["margin"].as_f64();
        let count = |field: &str| claim[field].as_u64().unwrap_or(0);
        table.push([
            text(&claim["statement"]),
            text(&claim["verdict"]),
            format!("{} of {}", count("held"), count("held") + count("violated")),
            count("untested").to_string(),
            margin.map_or(MISSING.to_owned(), |x| number::significant(x, 3)),
            text(&claim["source"]),
        ]);
        csv.push_str(&format!(
            "{},{name},{},{},{},{},{}\n",
            item.name,
            text(&claim["verdict"]),
            count("held"),
            count("violated"),
            count("untested"),
            margin.map(|x| x.to_string()).unwrap_or_default(),
        ));
    }
    if table.is_empty() {
        return Err("this theory.json has no claim about Theorem 1".to_owned());
    }
    // how loose, where both are known
    let ratio = |case: &Value| {
        let known = case.get("quantities").filter(|q| q.is_object())?;
        let (bound, error) = (known["theorem"].as_f64()?, known["error"].as_f64()?);
        (error > 0.0).then(|| bound / error)
    };
    let mut ratios: Vec<f64> = cases
        .iter()
        .filter_map(ratio)
        .filter(|r| r.is_finite())
        .collect();
    ratios.sort_by(f64::total_cmp);
    if let (Some(least), Some(most)) = (ratios.first(), ratios.last()) {
        page.facts.push(format!(
            "The theorem's bound is {} to {} times the measured error (median {}); at the paper's damping the error is held by the ceiling 1/λ, which does not grow with d.",
            number::significant(*least, 2),
            number::significant(*most, 2),
            number::significant(ratios[ratios.len() / 2], 2),
        ));
    }
    page.facts.push(
        "What differs here: the bound is taken with its constant, 2M²d²/λ³ with M = max ‖g‖²_∞, where the paper states the rate; the gradients are those of the experiment, and docs/theory.md has the proofs."
            .to_owned(),
    );
    page.facts.push(format!(
        "Missing: {} of {} cases have no measured error.",
        cases.len() - ratios.len(),
        cases.len()
    ));
    page.sections.push(Table::of_texts("The bound", "Each statement on every block, setting and seed. The margin is 1 − measured/bound, or bound − measured where the bound is 0, at its worst case.", ["Statement", "Verdict", "Holds on", "Cannot tell", "Worst margin", "Source"], table));
    page.csv = csv;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::items;
    use super::*;

    fn filled(name: &str, text: &str) -> Result<Page, String> {
        let item = items::find(name).expect("listed");
        let mut page = Page::new(item, name);
        fill(&mut page, item, text).map(|()| page)
    }

    const THEORY: &str = r#"{"experiment": "t", "provenance": {"started": "2026", "cpu": "c", "threads": 2},
        "claims": [{"name": "theorem_1", "statement": "a | b", "verdict": "holds", "held": 3, "violated": 0, "untested": 1,
                    "worst": {"margin": 0.5}, "source": "s"}, {"name": "jensen"}],
        "cases": [{"quantities": {"error": 0.5, "theorem": 10.0}}, {"quantities": null}],
        "growth": [{"method": "exact", "axis": "d", "cost": "time", "slope": 1.7, "interval": [1.4, 2.0], "exponent": 3.0,
                    "verdict": "holds"},
                   {"method": "datainf", "axis": "n", "cost": "time", "slope": null, "interval": null, "exponent": 1.0,
                    "verdict": "not_testable"}]}"#;

    #[test]
    fn exponents_and_bounds_stand_beside_the_paper_s() {
        let table = filled("table-1", THEORY).expect("there is growth");
        let rows = &table.sections[0].rows;
        let texts = |row: usize| -> Vec<&str> {
            let cells = rows[row][3..].iter();
            cells.map(|cell| cell.text.as_str()).collect()
        };
        assert_eq!(texts(0), ["3", "1.70 [1.40, 2.00]", "below the paper's"]);
        assert_eq!(texts(1), ["1", MISSING, "no interval"]);
        assert!(
            table
                .csv
                .contains("\ntable-1,exact,time,d,3,1.7,1.4,2,holds\n")
        );
        assert!(
            table
                .facts
                .iter()
                .any(|fact| fact == "Missing: 1 of 2 slopes.")
        );
        let theorem = filled("theorem-1", THEORY).expect("there is a claim");
        assert_eq!(theorem.sections[0].rows.len(), 1);
        assert!(
            theorem
                .facts
                .iter()
                .any(|fact| fact.contains("20 to 20 times"))
        );
        assert!(
            theorem
                .markdown()
                .contains("| a \\| b | holds | 3 of 3 | 1 | 0.500 | s |")
        );
    }

    #[test]
    fn what_is_no_such_file_is_said() {
        assert!(filled("table-1", "[").is_err_and(|e| e.contains("no theory.json")));
        assert!(filled("table-1", "{}").is_err_and(|e| e.contains("`complexity`")));
        assert!(filled("theorem-1", "{}").is_err_and(|e| e.contains("no claim")));
    }
}
