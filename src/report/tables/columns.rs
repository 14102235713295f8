//! Tables by their columns: a header, and the cell of whatever a row is about.

use super::table::{Cell, Table};
use crate::report::data::{Group, ResultSet, anchor, axis_title, value_text};
use crate::report::number::MISSING;
use crate::results::record::Record;

/// The columns of a table in which a row is about an `R`.
pub struct Columns<'c, R>(Vec<Column<'c, R>>);

/// A header and what stands below it.
type Column<'c, R> = (String, Box<dyn Fn(&R) -> Cell + 'c>);

impl<'c, R: 'c> Columns<'c, R> {
    /// None yet.
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// The setting that a row belongs to, the first column leading to its records; a row without a group is about all
    /// settings.
    pub fn of_setting<'a: 'c>(
        self,
        results: &'c ResultSet<'a>,
        group: impl Fn(&R) -> Option<&'c Group<'a>> + Copy + 'c,
    ) -> Self {
        let task = move |row: &R| match group(row) {
            Some(group) => Cell::text(group.task.clone()).link(anchor(group.index)),
            None => Cell::text("all settings"),
        };
        let axes = results.axes.iter().map(|axis| axis.key.as_str());
        let axes = axes.filter(|key| *key != "task.name");
        axes.fold(self.add("Task", task), |columns, key| {
            columns.add(axis_title(key), move |row| {
                let shown = |group: &Group| {
                    Some(Cell::sorted(
                        value_text(group.axis(key)?),
                        group.number(key),
                    ))
                };
                group(row).and_then(shown).unwrap_or(Cell::text(MISSING))
            })
        })
    }

    /// One more.
    pub fn add(mut self, header: impl Into<String>, cell: impl Fn(&R) -> Cell + 'c) -> Self {
        self.0.push((header.into(), Box::new(cell)));
        self
    }

    /// One more, of texts.
    pub fn text<T>(self, header: impl Into<String>, text: impl Fn(&R) -> T + 'c) -> Self
    where
        T: Into<String>,
    {
        self.add(header, move |row| Cell::text(text(row)))
    }

    /// One more, of whole numbers.
    pub fn count(self, header: impl Into<String>, count: impl Fn(&R) -> usize + 'c) -> Self {
        self.add(header, move |row| Cell::count(count(row)))
    }

    /// One more, of numbers that may be missing.
    pub fn number(
        self,
        header: impl Into<String>,
        show: impl Fn(f64) -> String + 'c,
        value: impl Fn(&R) -> Option<f64> + 'c,
    ) -> Self {
        self.add(header, move |row| Cell::maybe(value(row), &show))
    }

    /// These and what `more` adds, where `wanted`.
    pub fn and_if(self, wanted: bool, more: impl FnOnce(Self) -> Self) -> Self {
        if wanted { more(self) } else { self }
    }

    /// These and one for each of `all`.
    pub fn each<T>(
        self,
        all: impl IntoIterator<Item = T>,
        more: impl FnMut(Self, T) -> Self,
    ) -> Self {
        all.into_iter().fold(self, more)
    }

    /// The table, also without rows.
    pub fn whole(
        &self,
        title: impl Into<String>,
        note: impl Into<String>,
        rows: impl IntoIterator<Item = R>,
    ) -> Table {
        let cells = |row: R| self.0.iter().map(|(_, cell)| cell(&row)).collect();
        Table {
            title: title.into(),
            note: note.into(),
            headers: self.0.iter().map(|(header, _)| header.clone()).collect(),
            rows: rows.into_iter().map(cells).collect(),
            row_ids: Vec::new(),
        }
    }

    /// The table; `None` without rows.
    pub fn table(
        &self,
        title: impl Into<String>,
        note: impl Into<String>,
        rows: impl IntoIterator<Item = R>,
    ) -> Option<Table> {
        let table = self.whole(title, note, rows);
        (!table.rows.is_empty()).then_some(table)
    }
}

/// Id of a record on the page.
pub fn record_anchor(record: &Record) -> String {
    format!("r-{}", record.cell.id)
}
