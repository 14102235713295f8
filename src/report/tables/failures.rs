//! Every cell and method that failed, and every exact influence that is no reference.

use super::columns::record_anchor;
use super::{Cell, Columns, Table};
use crate::report::data::{Group, ResultSet};
use crate::results::record::{Record, Status, TaskInfo};

/// What of a task's data is told, and its number.
type Told = (&'static str, fn(&TaskInfo) -> usize);

const DATA: [Told; 4] = [
    ("rows were passed over", |task| task.passed_over),
    ("texts were cut to the longest length", |t| t.truncated),
    ("prompts alone are longer than the longest length", |task| {
        task.long_prompts
    }),
    ("texts are the same as an earlier one", |t| t.duplicates),
];

/// What of a record failed, and why.
type Failure<'s, 'a> = (&'s Group<'a>, &'a Record, String, String);

/// What failed of a record, and why.
fn of_record(results: &ResultSet, record: &Record) -> Vec<(String, String)> {
    let why = |error: &Option<String>| error.clone().unwrap_or("no reason recorded".to_owned());
    let mut found = Vec::new();
    if record.status == Status::Failed {
        found.push(("the whole cell".to_owned(), why(&record.error)));
    }
    for (what, of) in DATA {
        match record.task.as_ref().map_or(0, of) {
            0 => {}
            count => found.push(("the data".to_owned(), format!("{count} {what}"))),
        }
    }
    let reasons = record.no_reference.iter();
    found.extend(reasons.map(|why| ("the reference".to_owned(), why.clone())));
    let methods = record.methods.iter();
    let failed = methods.filter(|method| method.status == Status::Failed);
    found.extend(failed.map(|m| (results.palette.name(&m.label), why(&m.error))));
    found
}

/// One row a failure; `None` without any.
pub fn table(results: &ResultSet) -> Option<Table> {
    let mut rows = Vec::new();
    for group in &results.groups {
        for record in &group.records {
            let found = of_record(results, record).into_iter();
            rows.extend(found.map(|(what, why)| (group, *record, what, why)));
        }
    }
    Columns::new()
        .add("Cell", |(_, record, ..): &Failure| {
            Cell::text(record.cell.id.clone()).link(record_anchor(record))
        })
        .of_setting(results, |row| Some(row.0))
        .add("Seed", |(_, record, ..)| {
            Cell::sorted(record.cell.seed.to_string(), record.cell.seed as f64)
        })
        .text("What", |row| row.2.clone())
        .text("Why", |row| row.3.clone())
        .table(
            "Failures",
            "Every cell and method that ended in an error; none is in any mean. Rows of data files that could not be read were passed over. Exact influence that failed or did not converge is no reference: the metrics against it are undefined, and counted as such.",
            rows,
        )
}
