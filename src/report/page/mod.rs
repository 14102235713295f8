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
pub use markup::{escape, inline};
pub use records::{Settings, count, data, entries, record_anchor};
pub use table::{Links, body, section};
pub use theme::Colours;

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
        let mut contents = String::new();
        let mut body = String::new();
        for section in &self.sections {
            let link = |(id, title): &(String, String)| {
                format!("<li><a href=\"#{}\">{}</a></li>", escape(id), escape(title))
            };
            let parts: String = section.parts.iter().map(link).collect();
            let parts = if parts.is_empty() {
                parts
            } else {
                format!("<ul>{parts}</ul>")
            };
            contents.push_str(&format!(
                "<li><a href=\"#{}\">{}</a>{parts}</li>\n",
                escape(&section.id),
                escape(&section.title)
            ));
            body.push_str(&format!(
                "<section id=\"{}\"><h2>{}</h2>\n{}</section>\n",
                escape(&section.id),
                escape(&section.title),
                section.html
            ));
        }
        // within a script, markup could end it
        let data = self.data.to_string().replace('<', "\\u003c");
        let title = escape(&self.title);
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
             <meta name=\"color-scheme\" content=\"light dark\"/>\n\
             <meta name=\"description\" content=\"{about}\"/>\n\
             <meta name=\"generator\" content=\"infbench {version}\"/>\n\
             <title>{title}</title>\n<style>\n{colours}{STYLE}</style>\n</head>\n<body>\n\
             <a class=\"skip\" href=\"#main\">To the content</a>\n\
             <nav id=\"toc\" aria-label=\"Contents\"><details open=\"open\"><summary>Contents</summary>\n<ul>\n{contents}</ul></details></nav>\n\
             <main id=\"main\">\n<header><h1>{title}</h1>\n{head}</header>\n{body}\
             <footer><p>Written by infbench {version}. Everything is in this one file; it asks nothing of any other place.</p></footer>\n</main>\n\
             <script type=\"application/json\" id=\"data\">{data}</script>\n<script>\n(() => {{\n\"use strict\";\n{script}}})();\n</script>\n</body>\n</html>\n",
            about = escape(&self.about),
            version = env!("CARGO_PKG_VERSION"),
            colours = self.colours.style(),
            head = self.head,
            script = SCRIPT.concat(),
        )
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
