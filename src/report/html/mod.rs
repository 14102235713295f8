//! The self-contained page: one shell for every report. No request leaves it.
//!
//! Light and dark by the reader's system or choice, a table of contents, sections, and the data that its
//! script shows on demand. Without a script everything is there but sorting and the numbers of single records.

mod answers;
mod by_token;
mod environment;
mod figure;
mod headline;
mod markup;
mod pictures;
mod records;
mod section;
mod svg;
mod table;
mod theme;

pub use environment::Environments;
pub use figure::figure;
pub use headline::headline;
pub use markup::{bad, how, items};
pub use records::sections as record_sections;
pub use section::{Part, Section};
pub use theme::Colours;

use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use super::data::ResultSet;

const STYLE: &str = include_str!("page.css");
const SCRIPT: [&str; 4] = [
    include_str!("shell.js"),
    include_str!("tables.js"),
    include_str!("records.js"),
    include_str!("points.js"),
];

/// What the cells produced beside numbers: pictures (in `folder`), answers, influence by token.
pub fn outputs(results: &ResultSet, folder: Option<&Path>) -> [Section; 3] {
    [
        pictures::section(results, folder),
        answers::section(results),
        by_token::section(results),
    ]
}

/// A page before it is written.
#[derive(Clone, Copy, Debug)]
pub struct Page<'p> {
    /// Title and heading.
    pub title: &'p str,
    /// What it is, for search engines and previews: plain text.
    pub about: &'p str,
    /// What stands below the heading.
    pub head: &'p Markup,
    /// The sections.
    pub sections: &'p [Section],
    /// What the script shows of the records.
    pub data: &'p Value,
    /// Colours of the figures.
    pub colours: &'p Colours,
}

impl Page<'_> {
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
                            ul { @for section in self.sections { (section.entry()) } }
                        }
                    }
                    main #main {
                        header { h1 { (self.title) } (self.head) }
                        @for section in self.sections {
                            section id=(section.id) { h2 { (section.title) } (section.body) }
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
            title: "a <b>",
            about: "",
            head: &html! {},
            sections: &[],
            data: &serde_json::json!({"x": "</script><script>alert(1)</script>"}),
            colours: &Colours::default(),
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
