//! The tables of a theory report, for Markdown and for the page.

use crate::report::number::{self, MISSING};
use crate::report::tables::{Cell, Table};
use crate::results::theory::{CaseRecord, Quantities, TheoryResults};

/// A column of the cases: its header and what stands in it.
type Column = (&'static str, fn(&Quantities) -> f64);

fn text(text: impl Into<String>) -> Cell {
    Cell {
        text: text.into(),
        sort: None,
    }
}

fn maybe(value: Option<f64>, show: impl Fn(f64) -> String) -> Cell {
    let value = value.filter(|x| x.is_finite());
    Cell {
        text: value.map_or(MISSING.to_owned(), show),
        sort: value,
    }
}

/// `1.246e-3`; nothing is a plain 0, whatever its sign.
fn scientific(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else {
        format!("{value:.3e}")
    }
}

fn three(value: f64) -> String {
    number::significant(value, 3)
}

/// A verdict a claim.
pub fn verdicts(results: &TheoryResults) -> Table {
    let rows = results.claims.iter().map(|claim| {
        let tested = claim.held + claim.violated;
        let untested = if claim.untested > 0 {
            format!(", {} cannot tell", claim.untested)
        } else {
            String::new()
        };
        let worst = claim.worst.as_ref();
        let place = worst.map(|worst| worst.place.clone());
        vec![
            text(format!("`{}`", claim.name)),
            text(claim.verdict.text()),
            text(claim.statement.clone()),
            Cell {
                text: format!("{} of {tested}{untested}", claim.held),
                sort: Some(claim.held as f64),
            },
            maybe(worst.map(|w| w.margin), scientific),
            maybe(worst.map(|w| w.measured), scientific),
            maybe(worst.map(|w| w.bound), scientific),
            text(place.or(claim.reason.clone()).unwrap_or_default()),
            text(
                claim
                    .witness
                    .as_ref()
                    .map_or(MISSING.to_owned(), |w| format!("`{w}`")),
            ),
        ]
    });
    Table {
        title: "Verdicts".to_owned(),
        note: "The margin is 1 − measured/bound, or bound − measured where the bound is 0; the worst case is the one with the smallest.".to_owned(),
        headers: ["Claim", "Verdict", "Statement", "Holds on", "Worst margin", "Measured", "Bound", "Where, or why not", "Witness"]
            .map(str::to_owned)
            .to_vec(),
        rows: rows.collect(),
    }
}

/// The cases of the base: a line a block, the geometric mean over seeds. `None` without any.
pub fn base(results: &TheoryResults) -> Option<Table> {
    let base: Vec<&CaseRecord> = results
        .cases
        .iter()
        .filter(|case| case.axes == results.base_axes)
        .collect();
    let mut blocks: Vec<&str> = Vec::new();
    for case in &base {
        if !blocks.contains(&case.block.as_str()) {
            blocks.push(&case.block);
        }
    }
    let columns: [Column; 8] = [
        ("λ‖D − E‖", |q| q.error),
        ("Ceiling", |q| q.ceiling),
        ("Through E", |q| q.second_order_inner),
        ("Second order", |q| q.second_order),
        ("Theorem 1", |q| q.theorem),
        ("Theorem 1 over error", |q| q.theorem / q.error),
        ("Worst score error", |q| q.score),
        ("tr(I − λD)", |q| q.taken),
    ];
    let rows: Vec<Vec<Cell>> = blocks
        .into_iter()
        .filter_map(|block| {
            let here: Vec<&&CaseRecord> = base.iter().filter(|case| case.block == block).collect();
            let quantities: Vec<_> = here.iter().filter_map(|c| c.quantities.as_ref()).collect();
            let first = here.first()?;
            let mut row = vec![text(block), whole(first.n), whole(first.d)];
            if quantities.is_empty() {
                let reason = first.error.as_deref().unwrap_or("not measured");
                row.push(text(reason));
                row.extend((1..columns.len()).map(|_| text(MISSING)));
                return Some(row);
            }
            row.extend(columns.iter().map(|(_, of)| {
                let sum: f64 = quantities.iter().map(|q| of(q).ln()).sum();
                maybe(Some((sum / quantities.len() as f64).exp()), three)
            }));
            Some(row)
        })
        .collect();
    let headers = ["Block", "n", "d"].into_iter().chain(columns.map(|c| c.0));
    (!rows.is_empty()).then(|| Table {
        title: "Error and bounds in the base".to_owned(),
        note: "In units of 1/λ; geometric mean over seeds.".to_owned(),
        headers: headers.map(str::to_owned).collect(),
        rows,
    })
}

fn whole(x: usize) -> Cell {
    Cell {
        text: number::plain(x as f64),
        sort: Some(x as f64),
    }
}

/// Measured growth beside Table 1; `None` when nothing was clocked.
pub fn growth(results: &TheoryResults) -> Option<Table> {
    let rows: Vec<Vec<Cell>> = results
        .growth
        .iter()
        .map(|row| {
            let two = |value: f64| number::fixed(value, 2);
            let interval = row.interval.map_or(MISSING.to_owned(), |(low, high)| {
                format!("{} … {}", two(low), two(high))
            });
            vec![
                text(format!("`{}`", row.method)),
                text(row.cost.clone()),
                text(row.axis.clone()),
                maybe(row.slope, two),
                text(interval),
                maybe(Some(row.exponent), number::plain),
                text(row.verdict.text()),
                text(row.reason.clone().unwrap_or_default()),
            ]
        })
        .collect();
    (!rows.is_empty()).then(|| Table {
        title: "Table 1, measured".to_owned(),
        note:
            "Slope of the logarithm of time or memory on that of the size, with its 95 % interval."
                .to_owned(),
        headers: [
            "Method",
            "Cost",
            "Size",
            "Slope",
            "Interval",
            "Table 1",
            "Verdict",
            "Why it cannot tell",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows,
    })
}

/// Every case, a row each in the order of the file.
pub fn cases(results: &TheoryResults) -> Table {
    let mut axes: Vec<&String> = results.cases.iter().flat_map(|c| c.axes.keys()).collect();
    axes.sort();
    axes.dedup();
    axes.retain(|axis| !matches!(axis.as_str(), "train" | "dim"));
    let columns: [Column; 9] = [
        ("λ‖D − E‖", |q| q.error),
        ("From below", |q| q.second_order_lower),
        ("Ceiling", |q| q.ceiling),
        ("Through E", |q| q.second_order_inner),
        ("Second order", |q| q.second_order),
        ("Theorem 1", |q| q.theorem),
        ("Worst score error", |q| q.score),
        ("tr(I − λD)", |q| q.taken),
        ("‖F‖/λ", |q| q.condition),
    ];
    let rows = results.cases.iter().map(|case| {
        let mut row = vec![
            text(case.block.clone()),
            maybe(case.seed.map(|seed| seed as f64), number::plain),
            whole(case.n),
            whole(case.d),
            maybe(Some(case.lambda), three),
        ];
        row.extend(
            axes.iter()
                .map(|axis| maybe(case.axes.get(*axis).copied(), number::plain)),
        );
        row.extend(
            columns
                .iter()
                .map(|(_, of)| maybe(case.quantities.as_ref().map(of), three)),
        );
        row.push(text(case.error.clone().unwrap_or_else(|| "ok".to_owned())));
        row
    });
    let headers = ["Block", "Seed", "n", "d", "λ"]
        .map(str::to_owned)
        .into_iter();
    let headers = headers
        .chain(axes.iter().map(|axis| match axis.as_str() {
            "damping" => "c".to_owned(),
            other => super::along::short(other).to_owned(),
        }))
        .chain(columns.map(|column| column.0.to_owned()))
        .chain(["Status".to_owned()]);
    Table {
        title: "Cases".to_owned(),
        note: "Every block of every setting and seed, in units of 1/λ. What each claim found on each is in `theory.json`.".to_owned(),
        headers: headers.collect(),
        rows: rows.collect(),
    }
}
