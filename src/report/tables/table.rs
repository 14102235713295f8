//! A table and its cells.

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

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Heading.
    pub title: String,
    /// What the columns say.
    pub note: String,
    /// Column headers.
    pub headers: Vec<String>,
    /// Rows, each as long as `headers`.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Whether any row has a number in the column.
    pub fn is_numeric(&self, column: usize) -> bool {
        self.rows
            .iter()
            .any(|row| row.get(column).is_some_and(|cell| cell.sort.is_some()))
    }

    /// As Markdown, heading included.
    pub fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("## {}\n\n{}\n\n", clean(&self.title), clean(&self.note));
        text.push_str(&line(
            self.headers.iter().map(|header| clean(header)).collect(),
        ));
        let rule = |column: usize| {
            if self.is_numeric(column) {
                "---:".to_owned()
            } else {
                "---".to_owned()
            }
        };
        text.push_str(&line((0..self.headers.len()).map(rule).collect()));
        for row in &self.rows {
            text.push_str(&line(row.iter().map(|cell| clean(&cell.text)).collect()));
        }
        text
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
}
