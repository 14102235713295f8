//! The item's numbers with a column per method: the paper's methods with its numbers beside ours, then those that it lacks.

use super::items::Item;
use super::page::{number_text, shown};
use super::rows::Row;
use crate::report::number::MISSING;
use crate::report::palette::Palette;
use crate::report::tables::{Cell, Table};

/// A row per task, setting and measure.
pub fn section(item: &Item, rows: &[Row], palette: &Palette) -> Table {
    let mut methods: Vec<&str> = Vec::new();
    let mut lines: Vec<(&str, &str, &str)> = Vec::new();
    for row in rows {
        if !methods.contains(&row.method.as_str()) {
            methods.push(&row.method);
        }
        let line = (row.task.as_str(), row.setting.as_str(), row.metric.as_str());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    // the paper's own methods first
    methods.sort_by_key(|method| !item.methods.contains(method));
    let in_paper = |method: &str| item.methods.contains(&method);
    let mut headers = ["Task", "Setting", "Measure"].map(str::to_owned).to_vec();
    for method in &methods {
        let name = palette.style(method).name;
        if in_paper(method) {
            headers.push(format!("{name}, paper"));
            headers.push(format!("{name}, here"));
        } else {
            headers.push(name);
        }
    }
    let of_line = |&(task, setting, metric): &(&str, &str, &str)| {
        let find = |method: &str| {
            rows.iter().find(|row| {
                (row.task.as_str(), row.setting.as_str(), row.metric.as_str())
                    == (task, setting, metric)
                    && row.method == method
            })
        };
        let title = rows.iter().find(|row| row.metric == metric);
        let mut cells = vec![
            task.to_owned(),
            match setting.is_empty() {
                true => MISSING.to_owned(),
                false => setting.to_owned(),
            },
            title.map_or_else(String::new, Row::title),
        ];
        for method in &methods {
            let row = find(method);
            if in_paper(method) {
                let paper = row.and_then(|row| row.paper);
                cells.push(paper.map_or(MISSING.to_owned(), |number| {
                    number_text(number.value, metric)
                }));
            }
            let ours = row.and_then(|row| row.ours.as_ref());
            cells.push(ours.map_or(MISSING.to_owned(), |ours| shown(metric, ours)));
        }
        cells.into_iter().map(Cell::parsed).collect()
    };
    Table {
        title: "The table".to_owned(),
        note: "Mean over seeds ± half of the 95 % t-interval; with one seed the interval within the cell in brackets. Exact influence, which the paper does not have, and controls that look at no gradient stand beside its methods."
            .to_owned(),
        rows: lines.iter().map(of_line).collect(),
        headers,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{items, rows};
    use super::*;
    use crate::report::study::Study;
    use crate::report::synthetic;

    #[test]
    fn every_method_has_a_column_and_the_papers_two() {
        let records = synthetic::retraining(2);
        let study = Study::new(&records);
        let item = items::find("table-2").expect("listed");
        let rows = rows::rows(item, &study);
        let table = section(item, &rows, &study.palette);
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
