//! A table on the page: plain without a script, sortable with one.

use maud::{Markup, html};

use super::markup::{inline, items};
use crate::report::number::MISSING;
use crate::report::tables::{Cell, Table};

/// Characters from which on a text is broken into lines.
const LONG: usize = 40;

/// The table alone, in its scrolling frame; a list where it has no headers.
pub fn body(table: &Table) -> Markup {
    of_class(table, "data")
}

/// [`body`], of a class of the style sheet: `data` has the script's tools, `lead` is short enough to need none.
pub fn of_class(table: &Table, class: &str) -> Markup {
    if table.headers.is_empty() {
        let texts = table.rows.iter().flatten().map(|cell| &cell.text);
        return html! { ul { (items(texts)) } };
    }
    let number = |column| table.is_numeric(column).then_some("n");
    let headers = table.headers.iter().enumerate();
    html! {
        div.scroll tabindex="0" role="region" aria-label=(table.title) {
            table class=(class) {
                thead {
                    tr { @for (i, header) in headers { th scope="col" class=[number(i)] { (header) } } }
                }
                tbody {
                    @for (i, row) in table.rows.iter().enumerate() {
                        tr id=[table.row_ids.get(i)] { @for cell in row { (show(cell)) } }
                    }
                }
            }
        }
    }
}

fn show(cell: &Cell) -> Markup {
    let mut text = inline(&cell.text);
    if let Some(target) = &cell.link {
        text = html! { a href={ "#" (target) } { (text) } };
    }
    if let Some(class) = cell.class {
        text = html! { strong class=(class) { (text) } };
    }
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
    fn numbers_sort_by_their_value_and_cells_lead_to_their_records() {
        let mut table = Table::of_texts("T", "", ["Task", "Time", "Cell"], []);
        table.row_ids = vec!["g0".to_owned()];
        table.rows.push(vec![
            Cell::text("a < b").link("e1".to_owned()),
            Cell::sorted("1.23 ms", 0.0012345678),
            Cell::text("abc"),
        ]);
        let text = body(&table).0;
        assert!(text.contains(
            "<tr id=\"g0\"><td><a href=\"#e1\">a &lt; b</a></td><td data-v=\"0.00123457\">1.23 ms</td><td>abc</td></tr>"
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
