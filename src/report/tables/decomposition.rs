//! The gaps to retraining in parts, the size of every switch, and the damping of the upper rungs.

use super::cells::value_cell;
use super::{Cell, Columns, Table, damping_text};
use crate::config::influence::DEFAULT_DAMPING;
use crate::report::data::{Group, ResultSet, aggregate_cell, ascending, distinct, metric_title};
use crate::report::gap_decomposition::{
    GapComponent, GapDecomposition, MethodGap, ladder, of_group, remarks,
};
use crate::report::number::{self, MISSING};
use crate::results::record::Record;

/// How the entries are to be read.
const READING: &str = "Mean over seeds ± half of the 95 % t-interval; with one seed, the value and its paired bootstrap interval over examples or subsets and queries in brackets.";

/// A setting with its gaps by one metric.
type Row<'s, 'a> = (&'s Group<'a>, GapDecomposition);

/// The three tables: what the agreement loses on each rung, how far the scores move there, and the agreement at every
/// candidate for the upper rungs' c; none where no gap was split.
pub fn tables(results: &ResultSet) -> Vec<Table> {
    let groups = results.groups.iter();
    let rows: Vec<Row> = groups
        .flat_map(|group| of_group(group).into_iter().map(move |gaps| (group, gaps)))
        .collect();
    let notes = remarks(rows.iter().map(|(_, gaps)| gaps)).join(" ");
    let losses = format!(
        "{} What the agreement with retraining loses on each rung of the ladder from the truth to the method; the parts add up to the gap, negative ones are gains. {READING} {notes}",
        damping_text(results)
    );
    let sizes = format!(
        "1 − Pearson's r between the scores above and below the switch, over training examples, mean over queries: its size, whether it leads nearer to retraining or away. {READING}"
    );
    let of_parts = |title, note: &str, losses| of_parts(results, &rows, title, note, losses);
    let tables = [
        of_parts("The gap to retraining in parts", losses.trim_end(), true),
        of_parts("How far each switch moves the scores", &sizes, false),
        candidates(results, &rows),
    ];
    tables.into_iter().flatten().collect()
}

fn dampings(gaps: &GapDecomposition) -> Cell {
    let texts = number::list(gaps.dampings.iter().copied().map(number::plain));
    Cell::sorted(texts, gaps.dampings.first().copied())
}

/// A row a setting, metric and method, a column a part.
fn of_parts(
    results: &ResultSet,
    all: &[Row],
    title: &str,
    note: &str,
    losses: bool,
) -> Option<Table> {
    let rows = all.iter().flat_map(|row| {
        let methods = row.1.methods.iter();
        methods.map(move |method| (row, method))
    });
    // retraining has no scores: what is switched at the top has no size
    let shown = |part: &&GapComponent| losses || part.size.applies();
    let parts = rows.clone().flat_map(|(_, method)| &method.parts);
    let parts = parts.filter(shown);
    let mut kinds = distinct(parts.map(|part| (part.switches.clone(), part.title.clone())));
    kinds.sort();
    Columns::new()
        .of_setting(results, |(row, _): &(&Row, &MethodGap)| Some(row.0))
        .text("Metric", |(row, _)| metric_title(&row.1.metric).to_owned())
        .add("Upper rungs' c", |(row, _)| dampings(&row.1))
        .text("Method", |(_, method)| results.palette.name(&method.label))
        .and_if(losses, |columns| {
            columns.add("Gap", |(_, method)| value_cell(&method.gap))
        })
        .each(kinds, |columns, (switches, title)| {
            columns.add(title, move |(_, method)| {
                let part = method.parts.iter().find(|part| part.switches == switches);
                part.map_or(Cell::text(MISSING), |part| {
                    value_cell(if losses { &part.loss } else { &part.size })
                })
            })
        })
        .count("Seeds", |(_, method)| method.gap.seeds)
        .add("Undefined", |(_, method)| {
            Cell::share(method.gap.undefined, method.gap.cases)
        })
        .count("Failed", |(_, method)| method.gap.failed)
        .table(title, note, rows)
}

/// Agreement of the ladder's upper end at every candidate for its c.
fn candidates(results: &ResultSet, rows: &[Row]) -> Option<Table> {
    let agreements = |record: &'_ Record, metric: &str| -> Vec<(f64, Option<f64>)> {
        let candidates = ladder(record, metric).map_or(&[][..], |ladder| &ladder.candidates);
        candidates
            .iter()
            .map(|c| (c.damping, c.agreement))
            .collect()
    };
    let all = rows.iter().flat_map(|(group, gaps)| {
        let records = group.records.iter();
        records.flat_map(|record| agreements(record, &gaps.metric))
    });
    let columns = ascending(all.map(|(c, _)| c));
    Columns::new()
        .of_setting(results, |row: &&Row| Some(row.0))
        .text("Metric", |row| metric_title(&row.1.metric).to_owned())
        .each(columns, |columns, c| {
            let default = if c == DEFAULT_DAMPING { " (default)" } else { "" };
            let header = format!("c = {}{default}", number::plain(c));
            columns.add(header, move |(group, gaps)| {
                value_cell(&aggregate_cell(group, |record| {
                    let own = agreements(record, &gaps.metric);
                    own.into_iter().find(|(other, _)| *other == c)?.1
                }))
            })
        })
        .add("Chosen", |row| dampings(&row.1))
        .table(
            "Damping of the ladder's upper rungs",
            "Agreement with retraining of the ladder's upper end – influence by the Hessian of all parameters, or by the Fisher where there is no Hessian – at every candidate for c and at the cell's own. The best of the candidates is taken, on the same retrainings, for each metric and cell by itself. Mean over seeds ± half of the 95 % t-interval.",
            rows,
        )
}
