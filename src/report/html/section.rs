//! Sections of a page and what the table of contents says of them.

use maud::{Markup, html};

use super::markup::how;
use super::table::body;
use crate::report::tables::Table;

/// A part of the page with an entry in its table of contents.
#[derive(Clone, Debug)]
pub struct Section {
    /// Id.
    pub id: String,
    /// Heading.
    pub title: String,
    /// What stands below the heading; a section without it is left out.
    pub body: Markup,
    /// Ids and headings within.
    parts: Vec<(String, String)>,
}

/// A part of a section with a heading of its own.
#[derive(Clone, Debug)]
pub struct Part {
    /// Id.
    pub id: String,
    /// Heading.
    pub title: String,
    /// What stands below it.
    pub body: Markup,
}

impl Part {
    /// A table below its note.
    pub fn of_table(id: impl Into<String>, table: &Table) -> Self {
        Self {
            id: id.into(),
            title: table.title.clone(),
            body: html! { (how(&table.note)) (body(table)) },
        }
    }

    /// With its heading.
    pub fn html(&self) -> Markup {
        html! { section id=(self.id) { h3 { (self.title) } (self.body) } }
    }
}

impl Section {
    /// Without parts.
    pub fn new(id: &str, title: &str, body: Markup) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            body,
            parts: Vec::new(),
        }
    }

    /// Of parts, below a paragraph on how to read them; empty without any.
    pub fn of_parts(
        id: &str,
        title: &str,
        about: &str,
        parts: impl IntoIterator<Item = Part>,
    ) -> Self {
        let mut section = Self::new(id, title, how(about));
        for part in parts {
            section.add(part);
        }
        if section.parts.is_empty() {
            section.body = html! {};
        }
        section
    }

    /// Adds a part.
    pub fn add(&mut self, part: Part) {
        let body = part.html();
        self.add_own(part.id, &part.title, body);
    }

    /// Adds a part whose markup has the id and the heading.
    pub fn add_own(&mut self, id: String, title: &str, body: Markup) {
        self.body.0.push_str(&body.0);
        self.parts.push((id, title.to_owned()));
    }

    /// Its entry in the table of contents.
    pub fn entry(&self) -> Markup {
        html! {
            li {
                a href={ "#" (self.id) } { (self.title) }
                @if !self.parts.is_empty() {
                    ul { @for (id, title) in &self.parts { li { a href={ "#" (id) } { (title) } } } }
                }
            }
        }
    }
}
