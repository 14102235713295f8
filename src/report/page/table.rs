//! A table on the page: plain without a script, sortable with one.

use maud::{Markup, html};

use super::markup::{how, inline, items};
use crate::report::number::MISSING;
use crate::report::tables::{Cell, Table};

/// Where rows and cells of a table lead.
pub struct Links<'l> {
    /// Anchor of the records behind a row.
    pub row: &'l dyn Fn(&[Cell]) -> Option<String>,
    /// Anchor of the record that a text is the name of.
    pub text: &'l dyn Fn(&str) -> Option<String>,
    /// Id of a row, by its position.
    pub id: &'l dyn Fn(usize) -> Option<String>,
    /// Class of a text that is good or bad news.
    pub class: &'l dyn Fn(&str) -> Option<&'static str>,
}

impl Links<'_> {
    /// None at all.
    pub const NONE: Self = Self {
        row: &|_| None,
        text: &|_| None,
        id: &|_| None,
        class: &|_| None,
    };
}

/// A section with the table in it; `id` is the section's.
pub fn section(table: &Table, id: &str, links: &Links) -> Markup {
    html! {
        section id=(id) { h3 { (table.title) } (how(&table.note)) (body(table, links)) }
    }
}

/// Characters from which on a text is broken into lines.
const LONG: usize = 40;

/// The table alone, in its scrolling frame; a list where it has no headers.
pub fn body(table: &Table, links: &Links) -> Markup {
    of_class(table, links, "data")
}

/// [`body`] of a table that is short enough to need no tools.
pub fn short(table: &Table, links: &Links) -> Markup {
    of_class(table, links, "lead")
}

fn of_class(table: &Table, links: &Links, class: &str) -> Markup {
    if table.headers.is_empty() {
        let texts = table.rows.iter().flatten().map(|cell| &cell.text);
        return html! { ul { (items(texts)) } };
    }
    let number = |column| table.is_numeric(column).then_some("n");
    html! {
        div.scroll tabindex="0" role="region" aria-label=(table.title) {
            table class=(class) {
                thead {
                    tr {
                        @for (column, header) in table.headers.iter().enumerate() {
                            th scope="col" class=[number(column)] { (header) }
                        }
                    }
                }
                tbody {
                    @for (i, row) in table.rows.iter().enumerate() {
                        tr id=[(links.id)(i)] {
                            @let target = (links.row)(row);
                            @for (column, cell) in row.iter().enumerate() {
                                @let own = target.clone().filter(|_| column == 0);
                                (show(cell, (links.text)(&cell.text).or(own), links))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A cell, which may lead to a `target`.
fn show(cell: &Cell, target: Option<String>, links: &Links) -> Markup {
    let text = inline(&cell.text);
    let text = match target {
        Some(target) => html! { a href={ "#" (target) } { (text) } },
        None => text,
    };
    let text = match (links.class)(&cell.text) {
        Some(class) => html! { strong class=(class) { (text) } },
        None => text,
    };
    let class = match cell.sort {
        None if cell.text == MISSING => Some("x"),
        None if cell.text.chars().count() > LONG => Some("wrap"),
        _ => None,
    };
    html! { td class=[class] data-v=[cell.sort.map(|value| brief(value, 6))] { (text) } }
}

/// The shortest text of a number rounded to so many significant digits.
pub fn brief(value: f64, digits: usize) -> String {
    let rounded: f64 = format!("{value:.*e}", digits - 1).parse().unwrap_or(value);
    let (plain, scientific) = (format!("{rounded}"), format!("{rounded:e}"));
    if plain.len() <= scientific.len() {
        plain
    } else {
        scientific
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_by_their_value_and_rows_lead_to_their_records() {
        let table = Table {
            title: "T".to_owned(),
            note: "a < b".to_owned(),
            headers: vec!["Task".to_owned(), "Time".to_owned(), "Cell".to_owned()],
            rows: vec![vec![
                Cell {
                    text: "digits".to_owned(),
                    sort: None,
                },
                Cell {
                    text: "1.23 ms".to_owned(),
                    sort: Some(0.0012345678),
                },
                Cell {
                    text: "abc".to_owned(),
                    sort: None,
                },
            ]],
        };
        let links = Links {
            row: &|_| Some("e1".to_owned()),
            text: &|text| (text == "abc").then(|| "r-abc".to_owned()),
            id: &|i| Some(format!("g{i}")),
            ..Links::NONE
        };
        let text = section(&table, "t", &links).0;
        assert!(text.contains("<p class=\"how\">a &lt; b</p>"));
        assert!(text.contains(
            "<tr id=\"g0\"><td><a href=\"#e1\">digits</a></td><td data-v=\"0.00123457\">1.23 ms</td><td><a href=\"#r-abc\">abc</a></td></tr>"
        ), "{text}");
        assert!(text.contains("<th scope=\"col\" class=\"n\">Time</th>"));
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.123456789, "0.123457"),
            (1e-9, "1e-9"),
            (25276510208.0, "2.52765e10"),
            (4.0, "4"),
            (-0.5, "-0.5"),
        ] {
            assert_eq!(brief(value, 6), text);
        }
    }
}
