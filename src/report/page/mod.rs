//! The self-contained page: one shell for every report. No request leaves it.
//!
//! Light and dark by the reader's system or choice, a table of contents, sections, and the data that its
//! script shows on demand. Without a script everything is there but sorting and the numbers of single records.

mod environment;
mod figure;
mod headline;
mod markup;
mod records;
mod svg;
mod table;
mod theme;

pub use environment::Environments;
pub use figure::figure;
pub use headline::headline;
pub use markup::{bad, escape, how, inline, items};
pub use records::{Settings, count, data, entries, record_anchor};
pub use table::{Links, body, section};
pub use theme::Colours;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

const STYLE: &str = include_str!("page.css");
const SCRIPT: [&str; 4] = [
    include_str!("shell.js"),
    include_str!("tables.js"),
    include_str!("records.js"),
    include_str!("points.js"),
];

/// A part of the page with an entry in its table of contents.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// Id.
    pub id: String,
    /// Heading.
    pub title: String,
    /// Ids and headings within.
    pub parts: Vec<(String, String)>,
    /// What stands below the heading.
    pub html: String,
}

impl Section {
    /// Its entry in the table of contents.
    fn entry(&self) -> Markup {
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

/// A page before it is written.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Title and heading.
    pub title: String,
    /// What it is, for search engines and previews: plain text.
    pub about: String,
    /// What stands below the heading.
    pub head: String,
    /// The sections.
    pub sections: Vec<Section>,
    /// What the script shows of the records.
    pub data: Value,
    /// Colours of the figures.
    pub colours: Colours,
}

impl Page {
    /// The page as one HTML document.
    pub fn html(&self) -> String {
        // within a script, markup could end it
        let data = self.data.to_string().replace('<', "\\u003c");
        let script = format!("(() => {{\n\"use strict\";\n{}}})();", SCRIPT.concat());
        let version = env!("CARGO_PKG_VERSION");
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="description" content=(self.about);
                    meta name="generator" content={ "infbench " (version) };
                    title { (self.title) }
                    style { (PreEscaped(self.colours.style())) (PreEscaped(STYLE)) }
                }
                body {
                    a.skip href="#main" { "To the content" }
                    nav #toc aria-label="Contents" {
                        details open="open" {
                            summary { "Contents" }
                            ul { @for section in &self.sections { (section.entry()) } }
                        }
                    }
                    main #main {
                        header { h1 { (self.title) } (PreEscaped(&self.head)) }
                        @for section in &self.sections {
                            section id=(section.id) { h2 { (section.title) } (PreEscaped(&section.html)) }
                        }
                        footer {
                            p {
                                "Written by infbench " (version)
                                ". Everything is in this one file; it asks nothing of any other place."
                            }
                        }
                    }
                    script type="application/json" id="data" { (PreEscaped(data)) }
                    script { (PreEscaped(script)) }
                }
            }
        };
        page.into_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_end_its_script() {
        let page = Page {
            title: "a <b>".to_owned(),
            data: serde_json::json!({"x": "</script><script>alert(1)</script>"}),
            ..Page::default()
        };
        let html = page.html();
        assert_eq!(html.matches("</script>").count(), 2);
        assert!(html.contains("<title>a &lt;b&gt;</title>"));
    }

    #[test]
    fn style_and_script_are_plain_text_of_a_document() {
        assert!(!STYLE.contains('<') && !STYLE.contains("@import") && !STYLE.contains("url("));
        for script in SCRIPT {
            assert!(!script.contains("</") && !script.contains("fetch("));
        }
    }
}
