//! A table and its cells, for Markdown, terminals and the page.

use comfy_table::{CellAlignment, Row, presets};

use crate::report::number::{self, MISSING};

/// A cell: what is shown and what it sorts by.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// What is shown.
    pub text: String,
    /// Number to sort by; the text when there is none.
    pub sort: Option<f64>,
}

impl Cell {
    /// Text, sorted as text.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            sort: None,
        }
    }

    /// Text, sorted by the number that it begins with, if any.
    pub fn parsed(text: impl Into<String>) -> Self {
        let text = text.into();
        let sort = text.split(' ').next().and_then(|first| first.parse().ok());
        Self { text, sort }
    }

    /// A whole number.
    pub fn count(count: usize) -> Self {
        Self {
            text: number::plain(count as f64),
            sort: Some(count as f64),
        }
    }

    /// A number that may be missing.
    pub fn maybe(value: Option<f64>, show: impl Fn(f64) -> String) -> Self {
        let value = value.filter(|x| x.is_finite());
        Self {
            text: value.map_or(MISSING.to_owned(), show),
            sort: value,
        }
    }
}

/// A table; one without headers is a list of its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Heading.
    pub title: String,
    /// What the columns say; may be empty.
    pub note: String,
    /// Column headers.
    pub headers: Vec<String>,
    /// Rows, each as long as `headers`.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table of texts, in which those that begin with a number count as numbers.
    pub fn of_texts<const N: usize>(
        title: &str,
        note: &str,
        headers: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> Self {
        Self {
            title: title.to_owned(),
            note: note.to_owned(),
            headers: headers.map(str::to_owned).to_vec(),
            rows: rows
                .into_iter()
                .map(|row| row.map(Cell::parsed).to_vec())
                .collect(),
        }
    }

    /// A list of sentences.
    pub fn list(title: &str, note: &str, items: impl IntoIterator<Item = String>) -> Self {
        Self {
            title: title.to_owned(),
            note: note.to_owned(),
            headers: Vec::new(),
            rows: items
                .into_iter()
                .map(|item| vec![Cell::text(item)])
                .collect(),
        }
    }

    /// Whether any row has a number in the column.
    pub fn is_numeric(&self, column: usize) -> bool {
        self.rows
            .iter()
            .any(|row| row.get(column).is_some_and(|cell| cell.sort.is_some()))
    }

    /// As Markdown, heading included.
    pub fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n", clean(&self.title));
        if !self.note.is_empty() {
            text.push_str(&format!("{}\n\n", clean(&self.note)));
        }
        if self.headers.is_empty() {
            let items = self.rows.iter().flatten();
            text.extend(items.map(|item| format!("- {}\n", clean(&item.text))));
            return text;
        }
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        text.push_str(&line(
            self.headers.iter().map(|header| clean(header)).collect(),
        ));
        let rule = |column: usize| match self.is_numeric(column) {
            true => "---:".to_owned(),
            false => "---".to_owned(),
        };
        text.push_str(&line((0..self.headers.len()).map(rule).collect()));
        for row in &self.rows {
            text.push_str(&line(row.iter().map(|cell| clean(&cell.text)).collect()));
        }
        text
    }

    /// For a terminal, without its heading: columns of numbers are aligned at their right ends, lines begin with `indent`.
    pub fn text(&self, indent: &str) -> String {
        if self.headers.is_empty() {
            let items = self.rows.iter().flatten();
            return items
                .map(|item| format!("{indent}- {}\n", item.text))
                .collect();
        }
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(&self.headers);
        for row in &self.rows {
            table.add_row(Row::from(row.iter().map(|cell| &cell.text)));
        }
        for (i, column) in table.column_iter_mut().enumerate() {
            column.set_padding((if i == 0 { 0 } else { 2 }, 0));
            if self.is_numeric(i) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let lines = table.lines();
        lines
            .map(|line| format!("{indent}{}\n", line.trim_end()))
            .collect()
    }
}

/// Text as Markdown, also in a table's cell: no markup of its own, one line.
pub fn clean(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('|', "\\|")
        .replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_escapes_bars_and_newlines() {
        let table = Table {
            title: "T".into(),
            note: "n".into(),
            headers: vec!["a|b".into(), "c".into()],
            rows: vec![vec![Cell::text("x\n<y>"), Cell::count(1000)]],
        };
        assert_eq!(
            table.markdown(),
            "## T\n\nn\n\n| a\\|b | c |\n| --- | ---: |\n| x &lt;y> | 1,000 |\n"
        );
    }

    #[test]
    fn columns_of_a_terminal_line_up_and_lists_have_items() {
        let rows = [["a", "ρ"], ["long", "0.123 ± 0.1"]].map(|row| row.map(str::to_owned));
        let table = Table::of_texts("", "", ["what", "r"], rows);
        assert_eq!(
            table.text("  "),
            "  what            r\n  a               ρ\n  long  0.123 ± 0.1\n"
        );
        let list = Table::list("T", "", ["one".to_owned(), "a < b".to_owned()]);
        assert_eq!(list.markdown(), "## T\n\n- one\n- a &lt; b\n");
        assert_eq!(list.text(""), "- one\n- a < b\n");
    }
}
