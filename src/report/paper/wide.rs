//! The item's numbers with a column per method: the paper's methods with its numbers beside ours, then those that it lacks.

use super::items::Item;
use super::page::{number_text, shown};
use super::rows::Row;
use crate::report::data::distinct;
use crate::report::number::MISSING;
use crate::report::palette::Palette;
use crate::report::tables::{Cell, Columns, Table};

/// A row per task, setting and measure.
pub fn section(item: &Item, rows: &[Row], palette: &Palette) -> Option<Table> {
    let place = |row: &Row| [row.task.clone(), row.setting.clone(), row.metric.clone()];
    let mut methods = distinct(rows.iter().map(|row| &row.method));
    // the paper's own methods first
    methods.sort_by_key(|method| !item.methods.contains(method));
    let find = move |line: &&Row, method: &String| {
        let mut rows = rows.iter();
        rows.find(|row| place(row) == place(line) && row.method == *method)
    };
    let mut lines: Vec<&Row> = Vec::new();
    for row in rows {
        if lines.iter().all(|line| place(line) != place(row)) {
            lines.push(row);
        }
    }
    Columns::new()
        .text("Task", |line: &&Row| &line.task)
        .add("Setting", |line| Cell::parsed(line.setting_text()))
        .text("Measure", |line| line.title())
        .each(methods, |columns, method| {
            let name = palette.style(method).name;
            let ours = move |line: &&Row| {
                let row = find(line, method);
                let ours = row.and_then(|row| row.ours.as_ref());
                Cell::parsed(ours.map_or(MISSING.to_owned(), |ours| shown(&line.metric, ours)))
            };
            if !item.methods.contains(method) {
                return columns.add(name, ours);
            }
            let paper = move |line: &&Row| {
                let paper = find(line, method).and_then(|row| row.paper);
                Cell::parsed(paper.map_or(MISSING.to_owned(), |number| {
                    number_text(number.value, &line.metric)
                }))
            };
            columns
                .add(format!("{name}, paper"), paper)
                .add(format!("{name}, here"), ours)
        })
        .table(
            "The table",
            "Mean over seeds ± half of the 95 % t-interval; with one seed the interval within the cell in brackets. Exact influence, which the paper does not have, and controls that look at no gradient stand beside its methods.",
            lines,
        )
}

#[cfg(test)]
mod tests {
    use super::super::{items, rows};
    use super::*;
    use crate::report::data::ResultSet;
    use crate::report::synthetic;

    #[test]
    fn every_method_has_a_column_and_the_papers_two() {
        let records = synthetic::retraining(2);
        let results = ResultSet::new(&records);
        let item = items::find("table-2").expect("listed");
        let rows = rows::rows(item, &results);
        let table = section(item, &rows, &results.palette).expect("rows");
        let column = |name: &str| table.headers.iter().position(|header| header == name);
        let paper = column("DataInf, paper").expect("a column");
        assert_eq!(column("DataInf, here"), Some(paper + 1));
        let styles: Vec<&Vec<Cell>> = table
            .rows
            .iter()
            .filter(|row| row[0].text == "style generation")
            .collect();
        assert_eq!(styles.len(), 2);
        assert_eq!(styles[0][paper].text, "0.820");
        assert_eq!(styles[0][paper + 1].text, MISSING);
        assert!(
            table
                .rows
                .iter()
                .all(|row| row.len() == table.headers.len())
        );
    }
}
