//! What each setting consists of: examples, model, gradients, damping.

use super::cells::value_cell;
use super::{Cell, Columns, Table};
use crate::report::data::{Group, ResultSet, aggregate_cell, ascending};
use crate::report::number;
use crate::results::record::{CompanionInfo, Record};

/// What was collected beside the gradients, and what it took, seconds.
type Beside = (&'static str, fn(&CompanionInfo) -> Option<f64>);

const BESIDE: [Beside; 4] = [
    ("Kronecker factors", |c| Some(c.factors.as_ref()?.seconds)),
    ("Sampled labels", |c| Some(c.sampled.as_ref()?.seconds)),
    ("Hessian", |c| Some(c.hessian.as_ref()?.seconds)),
    ("Checkpoints", |c| Some(c.checkpoints.as_ref()?.seconds)),
];

/// A number of a record that is the same for every seed.
type Fact = (&'static str, fn(&Record) -> Option<usize>);

const FACTS: [Fact; 8] = [
    ("n", |r| Some(r.task.as_ref()?.train)),
    ("m", |r| Some(r.task.as_ref()?.query)),
    ("Flipped", |r| r.task.as_ref()?.flipped),
    ("Parameters", |r| Some(r.model.as_ref()?.parameters)),
    ("Trained", |r| Some(r.model.as_ref()?.trainable)),
    ("Adapted layers", |r| Some(r.model.as_ref()?.adapted_layers)),
    ("Blocks", |r| Some(r.gradients.as_ref()?.blocks.len())),
    ("Σ d", |r| {
        let blocks = r.gradients.as_ref()?.blocks.iter();
        Some(blocks.map(|block| block.dim).sum())
    }),
];

/// One row a setting.
pub fn table(results: &ResultSet) -> Option<Table> {
    let any = |of: &dyn Fn(&Record) -> Option<f64>| results.records.iter().any(|r| of(r).is_some());
    let padding = |record: &Record| Some(100.0 * record.gradients.as_ref()?.padding?);
    let collected = |seconds: fn(&CompanionInfo) -> Option<f64>| {
        move |record: &Record| seconds(&record.gradients.as_ref()?.companions)
    };
    // columns for what some methods need besides, where they were asked for
    let mut beside = BESIDE.to_vec();
    beside.retain(|(_, seconds)| any(&collected(*seconds)));
    let padded = any(&padding);
    // where it was swept it stands among the settings already
    let swept = results.axes.iter().any(|a| a.key == "influence.damping");
    let mean = |of: &dyn Fn(&Record) -> Option<f64>, group: &Group| aggregate_cell(group, of).value;
    let accuracy = format!("Final {}", results.accuracy_title().to_lowercase());
    let mut note = "n training examples, m queries; fine-tune and gradients are shared by all methods of a cell (times are means over seeds).".to_owned();
    if !beside.is_empty() {
        note.push_str(" What some methods need besides has a column of its own: the time that collecting it took, which is not in that of the gradients.");
    }
    if padded {
        note.push_str(
            " Padding is the share of the positions computed for the gradients that held no token.",
        );
    }
    Columns::new()
        .of_setting(results, |group: &&Group| Some(*group))
        .and_if(!swept, |columns| {
            columns.number("Damping c", number::plain, |group| mean(&factor, group))
        })
        .each(FACTS, |columns, (header, of)| {
            columns.number(header, number::plain, move |group: &&Group| {
                let first = group.records.iter().find_map(|record| of(record));
                first.map(|x| x as f64)
            })
        })
        .add(accuracy, |group| {
            value_cell(&aggregate_cell(group, |record| {
                record.training.as_ref()?.epochs.last()?.query_accuracy
            }))
        })
        .number("Fine-tune", number::seconds, |group| {
            mean(&|r| Some(r.training.as_ref()?.seconds), group)
        })
        .number("Gradients", number::seconds, |group| {
            mean(&|r| Some(r.gradients.as_ref()?.seconds), group)
        })
        .each(beside, |columns, (header, seconds)| {
            columns.number(header, number::seconds, move |group| {
                mean(&collected(seconds), group)
            })
        })
        .and_if(padded, |columns| {
            let percent = |x| format!("{} %", number::fixed(x, 1));
            columns.number("Padding", percent, |group| mean(&padding, group))
        })
        .number("Gradient size", number::bytes, |group| {
            mean(&|r| Some(r.gradients.as_ref()?.bytes as f64), group)
        })
        .add("Seeds", |group| {
            let seeds = group.records.len();
            let failed = Some(group.failed()).filter(|failed| *failed > 0);
            let failed = failed.map_or(String::new(), |failed| format!(" ({failed} failed)"));
            Cell::sorted(format!("{seeds}{failed}"), seeds as f64)
        })
        .table("Settings, model and gradients", note, &results.groups)
}

/// Damping of all cells in words: the default is always told apart from a tuned one.
pub fn damping_text(results: &ResultSet) -> String {
    let records = results.records.iter();
    let factors = ascending(records.filter_map(|record| factor(record)));
    match factors[..] {
        [] => "Damping: not recorded.".to_owned(),
        [0.1] => "Damping: λ = 0.1 · mean eigenvalue of each block's Fisher, the paper's default."
            .to_owned(),
        _ => {
            let text = |c: &f64| match c {
                0.1 => "0.1 (the paper's default)".to_owned(),
                c => number::plain(*c),
            };
            let list = number::list(factors.iter().map(text));
            format!("Damping: λ = c · mean eigenvalue of each block's Fisher, c = {list}.")
        }
    }
}

/// c of a cell.
pub fn factor(record: &Record) -> Option<f64> {
    record.config.get("influence")?.get("damping")?.as_f64()
}
