//! Text as markup. Templates escape what they show; [`escape`] is for the drawings, which are written without templates.

use maud::{Markup, html};

/// Text without control characters, which XML does not allow and HTML has no use for.
pub fn clean(text: &str) -> String {
    let blank = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    text.replace(blank, " ")
}

/// Text as HTML and XML text or attribute.
pub fn escape(text: &str) -> String {
    let escaped = html! { (clean(text)) }.into_string();
    escaped.replace('\'', "&#39;")
}

/// Text with `code` between backticks.
pub fn inline(text: &str) -> Markup {
    let text = clean(text);
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
