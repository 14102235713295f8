//! The tables of a theory report, for Markdown and for the page.

use super::along::short;
use crate::metrics::interval::mean;
use crate::report::data::distinct;
use crate::report::number::{self, MISSING};
use crate::report::tables::{Cell, Columns, Table};
use crate::results::theory::{CaseRecord, ClaimRecord, GrowthRecord, Quantities};
use crate::results::theory::{TheoryResults, Verdict, Worst};

/// Header of a column of the cases, and what stands in it.
type Quantity = (&'static str, fn(&Quantities) -> f64);

/// Header of the mean factor between the theorem's bound and the error, which single cases do without.
const LOOSENESS: &str = "Theorem 1 over error";

const QUANTITIES: [Quantity; 10] = [
    ("λ‖D − E‖", |q| q.error),
    ("From below", |q| q.second_order_lower),
    ("Ceiling", |q| q.ceiling),
    ("Through E", |q| q.second_order_inner),
    ("Second order", |q| q.second_order),
    ("Theorem 1", |q| q.theorem),
    (LOOSENESS, |q| q.theorem / q.error),
    ("Worst score error", |q| q.score),
    ("tr(I − λD)", |q| q.taken),
    ("‖F‖/λ", |q| q.condition),
];

/// `1.246e-3`; nothing is a plain 0, whatever its sign.
fn scientific(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value => format!("{value:.3e}"),
    }
}

fn three(value: f64) -> String {
    number::significant(value, 3)
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

/// Id on the page of the case that a place names.
pub fn case_anchor(results: &TheoryResults, place: &str) -> Option<String> {
    let mut cases = results.cases.iter();
    let case = cases.position(|case| case.place() == place)?;
    Some(format!("k{case}"))
}

/// Good or bad news.
pub fn verdict_class(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Holds => Some("good"),
        Verdict::Violated => Some("bad"),
        Verdict::NotTestable => None,
    }
}

/// One verdict per claim.
pub fn verdicts(results: &TheoryResults) -> Option<Table> {
    type Of = fn(&Worst) -> f64;
    let worst: [(&str, Of); 3] = [
        ("Worst margin", |worst| worst.margin),
        ("Measured", |worst| worst.measured),
        ("Bound", |worst| worst.bound),
    ];
    let code = |text: &String| format!("`{text}`");
    Columns::new()
        .add("Claim", |claim: &&ClaimRecord| {
            Cell::text(code(&claim.name)).link(format!("claim-{}", claim.name))
        })
        .add("Verdict", |claim| Cell {
            class: verdict_class(claim.verdict),
            ..Cell::text(claim.verdict.text())
        })
        .text("Statement", |claim| &claim.statement)
        .add("Holds on", |claim| {
            let tested = claim.held + claim.violated;
            let untested = match claim.untested {
                0 => String::new(),
                untested => format!(", {untested} cannot tell"),
            };
            let text = format!("{} of {tested}{untested}", claim.held);
            Cell::sorted(text, claim.held as f64)
        })
        .each(worst, |columns, (header, of)| {
            columns.number(header, scientific, move |claim| {
                claim.worst.as_ref().map(of)
            })
        })
        .add("Where, or why not", |claim| match &claim.worst {
            Some(worst) => Cell::text(&worst.place).link(case_anchor(results, &worst.place)),
            None => Cell::text(claim.reason.clone().unwrap_or_default()),
        })
        .text("Witness", |claim| {
            let witness = claim.witness.as_ref();
            witness.map_or(MISSING.to_owned(), code)
        })
        .table(
            "Verdicts",
            "The margin is 1 − measured/bound, or bound − measured where the bound is 0; the worst case is the one with the smallest.",
            &results.claims,
        )
}

/// The cases of the base: a line per block, the geometric mean over seeds. `None` without any.
pub fn base(results: &TheoryResults) -> Option<Table> {
    let mut base: Vec<&CaseRecord> = results.cases.iter().collect();
    base.retain(|case| case.axes == results.base_axes);
    let blocks = distinct(base.iter().map(|case| case.block.as_str())).into_iter();
    let rows = blocks.map(|block| {
        let own = base.iter().copied().filter(|case| case.block == block);
        own.collect::<Vec<&CaseRecord>>()
    });
    let of_base = QUANTITIES.iter();
    let of_base = of_base.filter(|(header, _)| !["From below", "‖F‖/λ"].contains(header));
    let columns = Columns::new()
        .text("Block", |cases: &Vec<&CaseRecord>| &cases[0].block)
        .count("n", |cases| cases[0].n)
        .count("d", |cases| cases[0].d);
    columns
        .each(of_base.enumerate(), |columns, (i, (header, of))| {
            columns.add(*header, move |cases| {
                let known = cases.iter().filter_map(|case| case.quantities.as_ref());
                let logarithms: Vec<f64> = known.map(|q| of(q).ln()).collect();
                match logarithms.is_empty() && i == 0 {
                    true => Cell::text(cases[0].error.as_deref().unwrap_or("not measured")),
                    false => Cell::maybe(mean(&logarithms).map(f64::exp), three),
                }
            })
        })
        .table(
            "Error and bounds in the base",
            "In units of 1/λ; geometric mean over seeds.",
            rows,
        )
}

/// Measured growth beside Table 1; `None` when nothing was clocked.
pub fn growth(results: &TheoryResults) -> Option<Table> {
    let two = |value| number::fixed(value, 2);
    let table = Columns::new()
        .text("Method", |row: &&GrowthRecord| format!("`{}`", row.method))
        .text("Cost", |row| &row.cost)
        .text("Size", |row| &row.axis)
        .number("Slope", two, |row| row.slope)
        .text("Interval", |row| match row.interval {
            Some((low, high)) => format!("{} … {}", two(low), two(high)),
            None => MISSING.to_owned(),
        })
        .number("Table 1", number::plain, |row| Some(row.exponent))
        .text("Verdict", |row| row.verdict.text())
        .text("Why it cannot tell", |row| {
            row.reason.clone().unwrap_or_default()
        })
        .table(
            "Table 1, measured",
            "Slope of the logarithm of time or memory on that of the size, with its 95 % interval.",
            &results.growth,
        )?;
    Some(with_ids(table, "g"))
}

/// Every case, a row each in the order of the file; `None` without any.
pub fn cases(results: &TheoryResults) -> Option<Table> {
    let mut axes: Vec<&String> = results.cases.iter().flat_map(|c| c.axes.keys()).collect();
    axes.sort();
    axes.dedup();
    axes.retain(|axis| !matches!(axis.as_str(), "train" | "dim"));
    let of_cases = QUANTITIES.iter().filter(|known| known.0 != LOOSENESS);
    let table = Columns::new()
        .text("Block", |case: &&CaseRecord| &case.block)
        .number("Seed", number::plain, |case| Some(case.seed? as f64))
        .count("n", |case| case.n)
        .count("d", |case| case.d)
        .number("λ", three, |case| Some(case.lambda))
        .each(axes, |columns, axis| {
            columns.number(short(axis), number::plain, |case| case.axes.get(axis).copied())
        })
        .each(of_cases, |columns, (header, of)| {
            columns.number(*header, three, move |case| case.quantities.as_ref().map(of))
        })
        .add("Status", |case| Cell {
            class: case.error.as_ref().map(|_| "bad"),
            ..Cell::text(case.error.as_deref().unwrap_or("ok"))
        })
        .table(
            "Cases",
            "Every block of every setting and seed, in units of 1/λ. What each claim found on each is in `theory.json`.",
            &results.cases,
        )?;
    Some(with_ids(table, "k"))
}

/// The rows with ids on the page: their positions behind a letter.
fn with_ids(table: Table, letter: &str) -> Table {
    let ids = (0..table.rows.len()).map(|row| format!("{letter}{row}"));
    Table {
        row_ids: ids.collect(),
        ..table
    }
}
