//! A table and its cells, for Markdown, terminals, CSV and the page.

use comfy_table::{CellAlignment, Row, presets};

use crate::report::number::{self, MISSING};

/// A cell: what is shown, what it sorts by and where it leads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// What is shown.
    pub text: String,
    /// Number to sort by; the text when there is none.
    pub sort: Option<f64>,
    /// Id on the page that it leads to.
    pub link: Option<String>,
    /// Class on the page: `good` or `bad` news.
    pub class: Option<&'static str>,
}

impl Cell {
    /// Text, sorted as text.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// Text, sorted by a number.
    pub fn sorted(text: impl Into<String>, sort: impl Into<Option<f64>>) -> Self {
        Self {
            sort: sort.into(),
            ..Self::text(text)
        }
    }

    /// Text, sorted by the number that it begins with, if any.
    pub fn parsed(text: impl Into<String>) -> Self {
        let text = text.into();
        let sort = text.split(' ').next().and_then(|first| first.parse().ok());
        Self::sorted(text, sort)
    }

    /// A whole number.
    pub fn count(count: usize) -> Self {
        Self::maybe(Some(count as f64), number::plain)
    }

    /// A number that may be missing.
    pub fn maybe(value: Option<f64>, show: impl Fn(f64) -> String) -> Self {
        let value = value.filter(|x| x.is_finite());
        Self::sorted(value.map_or(MISSING.to_owned(), show), value)
    }

    /// `3 of 1,200`; `0` of none.
    pub fn share(part: usize, all: usize) -> Self {
        let [shown, of] = [part, all].map(|count| number::plain(count as f64));
        let of = if part > 0 {
            format!(" of {of}")
        } else {
            String::new()
        };
        Self::sorted(shown + &of, part as f64)
    }

    /// Leads to an id on the page.
    pub fn link(mut self, id: impl Into<Option<String>>) -> Self {
        self.link = id.into();
        self
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
    /// Ids of the rows on the page; may be empty.
    pub row_ids: Vec<String>,
}

impl Table {
    /// A table of texts, in which those that begin with a number count as numbers.
    pub fn of_texts<const N: usize>(
        title: &str,
        note: &str,
        headers: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> Self {
        let rows = rows.into_iter();
        Self {
            title: title.to_owned(),
            note: note.to_owned(),
            headers: headers.map(str::to_owned).to_vec(),
            rows: rows.map(|row| row.map(Cell::parsed).to_vec()).collect(),
            row_ids: Vec::new(),
        }
    }

    /// A list of sentences.
    pub fn list(title: &str, note: &str, items: impl IntoIterator<Item = String>) -> Self {
        Self {
            headers: Vec::new(),
            rows: items.into_iter().map(|i| vec![Cell::text(i)]).collect(),
            ..Self::of_texts(title, note, [], [])
        }
    }

    /// Whether any row has a number in the column.
    pub fn is_numeric(&self, column: usize) -> bool {
        let has = |row: &Vec<Cell>| row.get(column).is_some_and(|cell| cell.sort.is_some());
        self.rows.iter().any(has)
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
        let mut line = |cells: Vec<String>| text.push_str(&format!("| {} |\n", cells.join(" | ")));
        line(self.headers.iter().map(|h| clean(h)).collect());
        let rule = |column| {
            if self.is_numeric(column) {
                "---:"
            } else {
                "---"
            }
        };
        line(
            (0..self.headers.len())
                .map(|i| rule(i).to_owned())
                .collect(),
        );
        for row in &self.rows {
            line(row.iter().map(|cell| clean(&cell.text)).collect());
        }
        text
    }

    /// For a terminal, without its heading: columns of numbers are aligned at their right ends, lines begin with `indent`.
    pub fn text(&self, indent: &str) -> String {
        if self.headers.is_empty() {
            let items = self.rows.iter().flatten();
            let item = |item: &Cell| format!("{indent}- {}\n", item.text);
            return items.map(item).collect();
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
        let line = |line: String| format!("{indent}{}\n", line.trim_end());
        table.lines().map(line).collect()
    }

    /// As CSV: headers and the texts of the rows.
    pub fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let rows = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| &cell.text).collect());
        for row in std::iter::once(self.headers.iter().collect::<Vec<_>>()).chain(rows) {
            writer
                .write_record(row)
                .expect("memory takes every row, and rows are of one length");
        }
        let bytes = writer.into_inner().expect("memory takes every row");
        String::from_utf8(bytes).expect("every field is text")
    }
}

/// Text as Markdown, also in a table's cell: no markup of its own, one line.
pub fn clean(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('|', "\\|")
        .replace(['\n', '\r'], " ")
}

/// The first `most` characters, the last of them … where there are more.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_escapes_bars_and_newlines_and_csv_quotes_them() {
        let rows = [["x\n<y>", "1000 s"]].map(|row| row.map(str::to_owned));
        let table = Table::of_texts("T", "n", ["a|b", "c"], rows);
        assert_eq!(
            table.markdown(),
            "## T\n\nn\n\n| a\\|b | c |\n| --- | ---: |\n| x &lt;y> | 1000 s |\n"
        );
        assert_eq!(table.csv(), "a|b,c\n\"x\n<y>\",1000 s\n");
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
