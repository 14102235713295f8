//! Text as markup. The page is HTML that is also well-formed XML, so that a strict parser can check it.

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

/// [`escape`]d text with `code` between backticks.
pub fn inline(text: &str) -> String {
    let pieces: Vec<String> = text.split('`').map(escape).collect();
    if pieces.len().is_multiple_of(2) {
        return escape(text);
    }
    let piece = |(i, piece): (usize, &String)| {
        if i % 2 == 1 {
            format!("<code>{piece}</code>")
        } else {
            piece.clone()
        }
    };
    pieces.iter().enumerate().map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_markup() {
        assert_eq!(inline("a `b<` c"), "a <code>b&lt;</code> c");
        assert_eq!(inline("a ` b"), "a ` b");
        assert_eq!(
            escape("<a href=\"x\">&'\u{1}"),
            "&lt;a href=&quot;x&quot;&gt;&amp;&#39; "
        );
    }
}
