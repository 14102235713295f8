//! Which methods are best, and by how much: every pair compared, with all pairs in view.

use super::cells::difference;
use super::{Cell, Columns, Table};
use crate::metrics::Metric;
use crate::metrics::contrast::Contrast;
use crate::report::data::{Comparison, Group, ResultSet, Units, compare, compared_metrics};
use crate::report::number::{self, MISSING};
use crate::results::methods::is_control;

/// Heading of the methods that may be as good as the best.
pub const NOT_TOLD_APART: &str = "Not told apart from the best";

/// Methods compared by a metric, at one setting or over all.
struct Compared<'s, 'a> {
    metric: &'static Metric,
    group: Option<&'s Group<'a>>,
    found: Comparison<'s>,
}

/// By every metric: over all settings together, where there are several, then at each of these.
fn comparisons<'s, 'a>(
    results: &'s ResultSet<'a>,
    groups: &[&'s Group<'a>],
) -> Vec<Compared<'s, 'a>> {
    let every: Vec<&Group> = results.groups.iter().collect();
    let all = (every.len() > 1).then_some(None).into_iter();
    let settings: Vec<Option<&Group>> = all.chain(groups.iter().copied().map(Some)).collect();
    let mut rows = Vec::new();
    for metric in compared_metrics(results) {
        for &group in &settings {
            let groups = group.as_ref().map_or(&every[..], std::slice::from_ref);
            let found = compare(results, groups, metric);
            rows.extend(found.map(|found| Compared {
                metric,
                group,
                found,
            }));
        }
    }
    rows
}

/// One row a metric and setting: the best, and those that cannot be told apart from it.
pub fn best(results: &ResultSet) -> Option<Table> {
    let groups: Vec<&Group> = results.groups.iter().collect();
    let name = |found: &Comparison, i: usize| results.palette.name(found.labels[i]);
    let names = |row: &Compared, methods: Vec<usize>| {
        let names = methods.into_iter().map(|i| name(&row.found, i));
        names.collect::<Vec<_>>().join("; ")
    };
    let list = move |row: &Compared, methods: Vec<usize>| match names(row, methods) {
        _ if !row.found.ranking.can_tell() => MISSING.to_owned(),
        none if none.is_empty() => "none".to_owned(),
        names => names,
    };
    let mut note = "Every pair of methods by its paired difference, the p-values of all pairs adjusted together (Holm): the best and those not told \
                apart from it hold all truly best methods with 95 % probability. With two seeds or more the pairs are compared over \
                seeds (t), with one over what its record kept of queries, examples or subsets. In the rows of all settings a seed counts \
                with the mean over its settings and a task with the mean over its seeds; the tasks are held fixed, so that the rows hold for \
                these tasks, and the last column says how many pairs would be told apart were the tasks a sample of tasks. \"Undefined\" counts cases of all methods that have no value, \"failed\" cells and methods; a \
                method without a value has no rank."
        .to_owned();
    if results.methods.iter().any(|label| is_control(label)) {
        note.push_str(
            " By agreement with exact influence and by cost a control is listed, but never the best: the question is which method is.",
        );
    }
    Columns::new()
        .text("Metric", |row: &Compared| row.metric.title)
        .of_setting(results, |row| row.group)
        .text("Best", |row| {
            number::or_missing(row.found.best().map(|i| name(&row.found, i)))
        })
        .number("Its value", three, |row| {
            row.found.values[row.found.best()?]
        })
        .text(NOT_TOLD_APART, |row| list(row, row.found.alike()))
        .text("Told apart as worse than another", |row| {
            list(row, row.found.worse())
        })
        .add("Undefined", |row| {
            Cell::share(row.found.undefined.0, row.found.undefined.1)
        })
        .count("Failed", |row| row.found.failed)
        .text("What the data support", |row| {
            row.found.support()
                + &row
                    .found
                    .better_controls(|label| results.palette.name(label))
        })
        .table(
            "Which methods are best",
            note,
            comparisons(results, &groups),
        )
}

/// A method of a comparison.
type Row<'r, 's, 'a> = (&'r Compared<'s, 'a>, usize);

/// The difference of a method to another one, the best or the reference, and its p-value.
fn against<'c, 'r: 'c, 's: 'c, 'a: 'c>(
    columns: Columns<'c, Row<'r, 's, 'a>>,
    header: &str,
    other: fn(&Comparison) -> Option<usize>,
) -> Columns<'c, Row<'r, 's, 'a>> {
    let other = move |(row, i): &Row| other(&row.found).filter(|other| other != i);
    let less = move |row: &Row| less(row.0.found.ranking.contrast(row.1, other(row)?));
    let p = move |row: &Row| row.0.found.ranking.adjusted(row.1, other(row)?);
    columns
        .add(header, move |row| less(row).unwrap_or(Cell::text(MISSING)))
        .number("p (Holm)", p_text, p)
}

fn less(contrast: Option<Contrast>) -> Option<Cell> {
    contrast.as_ref().map(difference)
}

/// One row a metric, reference setting and method: its distance to the best and to the reference, and its ranks.
pub fn differences(results: &ResultSet) -> Option<Table> {
    let slices = results.slices(None).into_iter();
    let groups: Vec<&Group> = slices.flat_map(|slice| slice.groups).collect();
    let mut tasks = results.groups.iter().map(|group| &group.task);
    let several = tasks.any(|task| *task != results.groups[0].task);
    let all = comparisons(results, &groups);
    let rows = all.iter().flat_map(|row| {
        let methods = 0..row.found.labels.len();
        let ranked = methods.filter(|&i| row.found.ranking.has(i));
        ranked.map(move |i| (row, i))
    });
    let name = |row: &Compared, i: usize| results.palette.name(row.found.labels[i]);
    let columns = Columns::new()
        .text("Metric", |(row, _): &Row| row.metric.title)
        .of_setting(results, |(row, _)| row.group)
        .text("Method", |(row, i)| name(row, *i))
        .number("Value", three, |(row, i)| row.found.values[*i]);
    let columns = against(columns, "Less the best", |found| found.best());
    let columns = columns.text("Reference", |(row, _)| {
        number::or_missing(row.found.reference().map(|i| name(row, i)))
    });
    let columns = against(columns, "Less the reference", |found| found.reference())
        .add("Rank", |(row, i)| match row.found.ranking.ranks(*i) {
            Some((low, high)) if low == high => Cell::sorted(low.to_string(), low as f64),
            Some((low, high)) => {
                Cell::sorted(format!("{low} to {high}"), (low + high) as f64 / 2.0)
            }
            None => Cell::text(MISSING),
        })
        .text("Over", |(row, _)| match &row.found.units {
            Units::Seeds(count) => format!("{count} seeds"),
            Units::Tasks(tasks, pairs) => {
                format!("{tasks} fixed tasks, {pairs} pairs of task and seed")
            }
            Units::Cell(over) => over.clone(),
            Units::One => "one seed".to_owned(),
        })
        .and_if(several, |columns| {
            columns.add("Less the best, tasks as a sample", |(row, i)| {
                let best = row.found.best().filter(|best| best != i);
                let sampled = row.found.sampled.as_ref().zip(best);
                let found = sampled.and_then(|(sampled, best)| sampled.contrast(*i, best));
                less(found).unwrap_or(Cell::text(MISSING))
            })
        });
    let note = "Differences are paired: both methods on the same seeds, queries, examples and subsets. ± is half of the 95 % interval of that \
                difference alone; p is adjusted for all pairs of the setting (1 where values are the same). The interval of the rank holds for all \
                methods jointly with 95 %. Over several tasks these are held fixed; the last column has the interval with the tasks as a sample of \
                tasks. All settings together, and the reference setting of each task; the other settings are in \
                \"Which methods are best\".";
    columns.table("Paired differences between methods", note, rows)
}

fn three(x: f64) -> String {
    number::fixed(x, 3)
}

fn p_text(p: f64) -> String {
    match p < 0.001 {
        true => "< 0.001".to_owned(),
        false => three(p),
    }
}
