//! One error for bad settings: file, line, column, what was found, what is allowed.

use miette::{
    Diagnostic, MietteError, MietteSpanContents, NamedSource, SourceCode, SourceSpan, SpanContents,
};
use thiserror::Error;

use crate::input::{Problem, shorten};

/// Most characters of the lines that an error shows.
const SHOWN: usize = 140;

/// Settings that cannot run.
#[derive(Debug, Error, Diagnostic)]
#[error("{file}:{line}:{column}: {field}{message}")]
pub struct ConfigError {
    /// The file as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// The field as a dotted path with `: ` behind it, or empty.
    pub field: String,
    /// What was found and what is allowed.
    pub message: String,
    #[help]
    help: Option<String>,
    #[source_code]
    source_code: NamedSource<Excerpt>,
    #[label("here")]
    span: SourceSpan,
}

impl ConfigError {
    /// An error at `offset` (bytes) of `text`, marking `length` bytes.
    pub(super) fn at(
        file: &str,
        text: &str,
        (offset, length): (usize, usize),
        field: &str,
        problem: Problem,
    ) -> Box<Self> {
        let offset = floor_char_boundary(text, offset);
        let (shown, at) = excerpt(text, offset);
        let length = length.min(shown.len() - at);
        let before = &text[..offset];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Box::new(Self {
            file: file.to_owned(),
            line,
            column,
            field: if field.is_empty() {
                String::new()
            } else {
                format!("{field}: ")
            },
            message: problem.message,
            help: problem.help,
            source_code: NamedSource::new(
                file,
                Excerpt {
                    text: shown,
                    column: column - 1,
                },
            ),
            span: (at, length).into(),
        })
    }
}

/// The lines that an error shows; the column of its place is that of the whole text.
#[derive(Debug)]
struct Excerpt {
    text: String,
    /// From 0.
    column: usize,
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let found = self.text.read_span(span, before, after)?;
        let column = if before == 0 {
            self.column
        } else {
            found.column()
        };
        let (data, span) = (found.data(), *found.span());
        let (line, lines) = (found.line(), found.line_count());
        Ok(Box::new(MietteSpanContents::new(
            data, span, line, column, lines,
        )))
    }
}

/// The line of a text that an offset is in and its neighbours, with empty lines for those before and cut where they are
/// long, and the offset therein.
fn excerpt(text: &str, offset: usize) -> (String, usize) {
    let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let previous = text[..start]
        .trim_end_matches('\n')
        .rsplit('\n')
        .next()
        .unwrap_or("");
    let previous = if text[..start].ends_with("\n\n") {
        ""
    } else {
        previous
    };
    let mut rest = text[offset..]
        .split('\n')
        .map(|line| line.trim_end_matches('\r'));
    let (behind, next) = (rest.next().unwrap_or(""), rest.next().unwrap_or(""));
    let before = &text[start..offset];
    let parts = [previous, before, behind, next];
    let whole: usize = parts.iter().map(|part| part.chars().count()).sum();
    let fits = whole <= SHOWN
        && !parts
            .iter()
            .any(|part| part.contains(|c: char| c.is_control()));
    let tail = |text: &str, most: usize| {
        let skipped = text.chars().count().saturating_sub(most);
        let mark = if skipped > 0 { "…" } else { "" };
        let kept: String = text.chars().skip(skipped).collect();
        mark.to_owned() + &shorten(&kept, usize::MAX)
    };
    let [previous, before, behind, next] = if fits {
        parts.map(str::to_owned)
    } else {
        [
            shorten(previous, SHOWN / 4),
            tail(before, SHOWN / 7),
            shorten(behind, SHOWN / 4),
            shorten(next, SHOWN / 4),
        ]
    };
    let mut shown = "\n".repeat(text[..start].matches('\n').count().saturating_sub(1));
    if start > 0 {
        shown += &previous;
        shown.push('\n');
    }
    shown += &before;
    let at = shown.len();
    (shown + &behind + "\n" + &next, at)
}

fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_file_is_short_and_in_its_place() {
        for (text, offset, shown, behind) in [
            (
                "a: 1\nb: 2\nc: 3\nd: 4\n",
                8,
                "\na: 1\nb: 2\nc: 3".trim_start_matches('\n'),
                "2\nc: 3",
            ),
            ("a: 1\n\nc: 3\n", 6, "\n\nc: 3\n", "c: 3\n"),
            ("a: 1", 3, "a: 1\n", "1\n"),
            ("a: 1\n", 5, "a: 1\n\n", "\n"),
        ] {
            let (found, at) = excerpt(text, offset);
            assert_eq!((found.as_str(), &found[at..]), (shown, behind), "{text:?}");
        }
        let long = format!("a: 1\nb: {}é{}\nc: \0", "x".repeat(5000), "y".repeat(5000));
        let (found, at) = excerpt(&long, 8 + 5000);
        assert!(
            found.starts_with("a: 1\n…xxx") && found.ends_with("y…\nc: \\u{0}"),
            "{found}"
        );
        assert!(found[at..].starts_with("éyyy"));
        assert!(found.chars().count() <= SHOWN);
        let error = ConfigError::at("f", &long, (5008, 60), "", Problem::new("bad"));
        assert_eq!((error.line, error.column), (2, 5004));
        let report = format!("{:?}", miette::Report::new(*error));
        assert!(report.len() < 600, "{report}");
    }
}
