//! The numbers of an item beside ours: as tables for readers, and as CSV.

use super::items::Item;
use super::rows::{Gap, Row};
use super::setup::Setting;
use crate::metrics::find;
use crate::report::data::{Aggregate, distinct};
use crate::report::number::{self, MISSING};
use crate::report::palette::Palette;
use crate::report::tables::{Cell, Columns, Table, metric_cell};

/// A number of the paper.
fn number_text(x: f64, metric: &str) -> String {
    match find(metric).map(|metric| metric.unit) {
        Some("s") => number::seconds(x),
        _ if metric == "time_ratio" => number::significant(x, 3),
        _ => number::fixed(x, 3),
    }
}

/// A number of ours with its interval.
fn shown(metric: &str, ours: &Aggregate) -> String {
    // accuracies and ratios are no metrics of records: shown as the one that they are like
    let like = match metric {
        "selection_accuracy" => "detection_auc",
        "time_ratio" => "relative_error",
        other => other,
    };
    find(like).map_or(MISSING.to_owned(), |metric| metric_cell(metric, ours).text)
}

/// Text that may be missing, sorted by the number that it begins with.
fn cell(text: Option<String>) -> Cell {
    Cell::parsed(number::or_missing(text))
}

/// The paper's numbers beside ours.
pub fn numbers(rows: &[Row], palette: &Palette) -> Table {
    Columns::new()
        .text("Task", |row: &&Row| &row.task)
        .text("Setting", |row| row.setting_text())
        .text("Method", |row| match row.method.as_str() {
            "full" => "all examples".to_owned(),
            "random" => "random choice".to_owned(),
            label => palette.name(label),
        })
        .text("Measure", |row| row.title())
        .add("Paper", |row| {
            cell(row.paper.map(|paper| {
                let deviation = paper.deviation.map(|d| format!(" (deviation {})", number::fixed(d, 3)));
                number_text(paper.value, &row.metric) + &deviation.unwrap_or_default()
            }))
        })
        .add("Here", |row| {
            cell(row.ours.map(|ours| shown(&row.metric, &ours)))
        })
        .add("Paper's less ours", |row| cell(row.gap().map(gap)))
        .add("Seeds", |row| cell(row.ours.map(|o| o.seeds.to_string())))
        .add("Undefined / failed", |row| {
            cell(row.ours.map(|o| format!("{} / {}", o.undefined, o.failed)))
        })
        .text("Source", |row| row.paper.map_or(MISSING, |number| &number.source))
        .whole(
            "Numbers",
            "Here: mean over seeds ± half of the 95 % t-interval (×÷: geometric mean and the factor of the interval of the logarithms); with one seed the value and its interval within the cell in brackets. A dash in the paper's column: it gives no number. Paper's less ours: the difference (of times × the ratio, paper's over ours) with our 95 % interval in brackets; the paper's number is taken as it stands, so that what its own runs vary by is not in it.",
            rows,
        )
}

/// `−0.284 [−0.452, −0.116]`, or of times `× 0.80 [0.71, 0.90]`.
fn gap(gap: Gap) -> String {
    let show = |x: f64| match gap.ratio {
        true => number::significant(x, 3),
        false => number::fixed(x, 3),
    };
    let sign = if gap.ratio { "× " } else { "" };
    format!(
        "{sign}{}{}",
        show(gap.value),
        number::ends(gap.interval, show)
    )
}

/// The numbers with a column per method: the paper's methods with its numbers beside ours, then those that it lacks. A row per
/// task, setting and measure.
pub fn wide(item: &Item, rows: &[Row], palette: &Palette) -> Option<Table> {
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
            let name = palette.name(method);
            let ours = move |line: &&Row| {
                let ours = find(line, method).and_then(|row| row.ours);
                cell(ours.map(|ours| shown(&line.metric, &ours)))
            };
            if !item.methods.contains(method) {
                return columns.add(name, ours);
            }
            let paper = move |line: &&Row| {
                let paper = find(line, method).and_then(|row| row.paper);
                cell(paper.map(|number| number_text(number.value, &line.metric)))
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

/// The paper's settings beside ours; `None` of an item without a fine-tune.
pub fn settings(settings: &[Setting]) -> Option<Table> {
    Columns::new()
        .text("What", |setting: &&Setting| setting.what)
        .text("Fields", |setting| setting.fields.join(", "))
        .add("In the paper", |setting| cell(setting.paper.clone()))
        .add("Here", |setting| Cell::parsed(&setting.here))
        .text("The same", |setting| match setting.same() {
            Some(true) => "yes",
            Some(false) => "no",
            None => MISSING,
        })
        .table(
            "Settings",
            "Everything that decides a fine-tune. A dash in the paper's column: neither its text nor its code says it. Not recorded: these records are from before there was such a setting.",
            settings,
        )
}

/// The rows for CSV, with every digit; missing numbers are empty.
pub fn csv(item: &Item, rows: &[Row]) -> Table {
    fn text(x: Option<impl ToString>) -> String {
        x.map(|x| x.to_string()).unwrap_or_default()
    }
    let here = |row: &Row| row.ours.and_then(|ours| ours.interval);
    let ends = |row: &Row| row.gap().and_then(|gap| gap.interval);
    Columns::new()
        .text("item", |_: &&Row| &item.name)
        .text("task", |row| &row.task)
        .text("setting", |row| &row.setting)
        .text("method", |row| &row.method)
        .text("metric", |row| &row.metric)
        .text("paper", |row| text(row.paper.map(|paper| paper.value)))
        .text("paper_deviation", |row| {
            text(row.paper.and_then(|p| p.deviation))
        })
        .text("paper_source", |row| text(row.paper.map(|p| &p.source)))
        .text("here", |row| text(row.ours.and_then(|ours| ours.value)))
        .text("low", move |row| text(here(row).map(|ends| ends.0)))
        .text("high", move |row| text(here(row).map(|ends| ends.1)))
        .text("seeds", |row| text(row.ours.map(|ours| ours.seeds)))
        .text("cases", |row| text(row.ours.map(|ours| ours.cases)))
        .text("undefined", |row| text(row.ours.map(|ours| ours.undefined)))
        .text("failed", |row| text(row.ours.map(|ours| ours.failed)))
        .text("gap", |row| text(row.gap().map(|gap| gap.value)))
        .text("gap_low", move |row| text(ends(row).map(|ends| ends.0)))
        .text("gap_high", move |row| text(ends(row).map(|ends| ends.1)))
        .text("gap_kind", |row| match row.gap() {
            Some(gap) if gap.ratio => "ratio",
            Some(_) => "difference",
            None => "",
        })
        .whole("", "", rows)
}
