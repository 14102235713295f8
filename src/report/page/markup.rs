//! Text as markup. Templates escape what they show; [`escape`] is for the drawings, which are written without templates.

use maud::{Markup, html};

/// Text as HTML and XML text or attribute.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // not allowed in XML, and of no use in HTML
            c if c.is_control() && !matches!(c, '\n' | '\t') => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Text with `code` between backticks.
pub fn inline(text: &str) -> Markup {
    let pieces: Vec<&str> = text.split('`').collect();
    if pieces.len().is_multiple_of(2) {
        return html! { (text) };
    }
    html! {
        @for (i, piece) in pieces.iter().enumerate() {
            @if i % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}

/// Sentences as the items of a list.
pub fn items<'t>(texts: impl IntoIterator<Item = &'t String>) -> Markup {
    html! { @for text in texts { li { (inline(text)) } } }
}

/// A paragraph of how to read what follows; none of an empty text.
pub fn how(text: &str) -> Markup {
    html! { @if !text.is_empty() { p.how { (inline(text)) } } }
}

/// Bad news.
pub fn bad(text: &str) -> Markup {
    html! { strong.bad { (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_markup() {
        assert_eq!(inline("a `b<` c").0, "a <code>b&lt;</code> c");
        assert_eq!(inline("a ` b").0, "a ` b");
        assert_eq!(
            escape("<a href=\"x\">&'\u{1}"),
            "&lt;a href=&quot;x&quot;&gt;&amp;&#39; "
        );
    }
}
