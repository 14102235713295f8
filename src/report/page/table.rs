//! A table on the page: plain without a script, sortable with one.

use std::fmt::Write as _;

use super::markup::{escape, inline};
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
pub fn section(table: &Table, id: &str, links: &Links) -> String {
    format!(
        "<section id=\"{id}\"><h3>{}</h3><p class=\"how\">{}</p>\n{}</section>\n",
        escape(&table.title),
        inline(&table.note),
        body(table, links)
    )
}

/// Characters from which on a text is broken into lines.
const LONG: usize = 40;

/// The table alone, in its scrolling frame.
pub fn body(table: &Table, links: &Links) -> String {
    if table.headers.is_empty() {
        let items = table.rows.iter().flatten();
        let items: String = items
            .map(|item| format!("<li>{}</li>\n", inline(&item.text)))
            .collect();
        return format!("<ul>\n{items}</ul>\n");
    }
    let mut text = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table class=\"data\"><thead><tr>",
        escape(&table.title)
    );
    for (column, header) in table.headers.iter().enumerate() {
        let class = if table.is_numeric(column) {
            " class=\"n\""
        } else {
            ""
        };
        let _ = write!(text, "<th scope=\"col\"{class}>{}</th>", escape(header));
    }
    text.push_str("</tr></thead><tbody>\n");
    for (i, row) in table.rows.iter().enumerate() {
        let id = (links.id)(i).map_or(String::new(), |id| format!(" id=\"{}\"", escape(&id)));
        let _ = write!(text, "<tr{id}>");
        let target = (links.row)(row);
        for (column, cell) in row.iter().enumerate() {
            let target = (links.text)(&cell.text).or(target.clone().filter(|_| column == 0));
            let shown = match target {
                Some(target) => format!(
                    "<a href=\"#{}\">{}</a>",
                    escape(&target),
                    inline(&cell.text)
                ),
                None => inline(&cell.text),
            };
            let shown = match (links.class)(&cell.text) {
                Some(class) => format!("<strong class=\"{class}\">{shown}</strong>"),
                None => shown,
            };
            match cell.sort {
                Some(value) => {
                    let _ = write!(text, "<td data-v=\"{}\">{shown}</td>", brief(value, 6));
                }
                None if cell.text == MISSING => text.push_str("<td class=\"x\">–</td>"),
                None if cell.text.chars().count() > LONG => {
                    let _ = write!(text, "<td class=\"wrap\">{shown}</td>");
                }
                None => {
                    let _ = write!(text, "<td>{shown}</td>");
                }
            }
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody></table></div>");
    text
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
        let text = section(&table, "t", &links);
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
