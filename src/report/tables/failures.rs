//! Every cell and method that failed, and every exact influence that is no reference.

use super::{Cell, Table, setting_cells, setting_headers};
use crate::report::study::Study;
use crate::results::record::{Status, TaskFacts};

/// One row a failure; `None` without any.
pub fn table(study: &Study) -> Option<Table> {
    let mut headers = vec!["Cell".to_owned()];
    headers.extend(setting_headers(study));
    headers.extend(["Seed", "What", "Why"].map(str::to_owned));
    let mut rows = Vec::new();
    for group in &study.groups {
        for record in &group.records {
            let mut push = |what: String, why: Option<&str>| {
                let mut row = vec![Cell::text(record.cell.id.clone())];
                row.extend(setting_cells(study, group));
                row.push(Cell {
                    text: record.cell.seed.to_string(),
                    sort: Some(record.cell.seed as f64),
                });
                row.push(Cell::text(what));
                row.push(Cell::text(why.unwrap_or("no reason recorded")));
                rows.push(row);
            };
            if record.status == Status::Failed {
                push("the whole cell".to_owned(), record.error.as_deref());
            }
            let of_task = |count: fn(&TaskFacts) -> usize| record.task.as_ref().map_or(0, count);
            let counts = [
                (of_task(|task| task.passed_over), "rows were passed over"),
                (
                    of_task(|task| task.truncated),
                    "texts were cut to the longest length",
                ),
                (
                    of_task(|task| task.long_prompts),
                    "prompts alone are longer than the longest length",
                ),
                (
                    of_task(|task| task.duplicates),
                    "texts are the same as an earlier one",
                ),
            ];
            for (count, what) in counts.iter().filter(|(count, _)| *count > 0) {
                push("the data".to_owned(), Some(&format!("{count} {what}")));
            }
            for why in &record.no_reference {
                push("the reference".to_owned(), Some(why));
            }
            for method in record
                .methods
                .iter()
                .filter(|method| method.status == Status::Failed)
            {
                push(
                    study.palette.style(&method.label).name,
                    method.error.as_deref(),
                );
            }
        }
    }
    (!rows.is_empty()).then(|| Table {
        title: "Failures".to_owned(),
        note: "Every cell and method that ended in an error; none is in any mean. Rows of data files that could not be read were passed over. Exact influence that failed or did not converge is no reference: the metrics against it are undefined, and counted as such.".to_owned(),
        headers,
        rows,
    })
}
