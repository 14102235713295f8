//! One error for bad settings: file, line, column, what was found, what is allowed.

use miette::{Diagnostic, NamedSource, SourceSpan};
use thiserror::Error;

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
    source_code: NamedSource<String>,
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
            source_code: NamedSource::new(file, text.to_owned()),
            span: (offset, length.min(text.len() - offset)).into(),
        })
    }
}

fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// What is wrong with a value, before its place in a file is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What was found and what is allowed.
    pub message: String,
    /// A suggestion.
    pub help: Option<String>,
}

impl Problem {
    /// A problem without a suggestion.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    /// The same with a suggestion.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// `found` is not one of `allowed`: names them all and the nearest.
    pub fn unknown<'a>(
        kind: &str,
        found: &str,
        allowed: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let allowed: Vec<&str> = allowed.into_iter().collect();
        let problem = Self::new(format!(
            "unknown {kind} `{found}`; allowed: {}",
            allowed.join(", ")
        ));
        match nearest(found, &allowed) {
            Some(name) => problem.with_help(format!("did you mean `{name}`?")),
            None => problem,
        }
    }
}

/// The name of `allowed` nearest to `found`, when it is near enough to be meant.
pub fn nearest<'a>(found: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let score = |name: &str| strsim::damerau_levenshtein(&found.to_lowercase(), name);
    let best = allowed.iter().copied().min_by_key(|name| score(name))?;
    let close = score(best) <= (found.len().max(best.len()) / 3).max(1);
    (close || (found.len() >= 3 && best.starts_with(found))).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_needs_to_be_near() {
        assert_eq!(nearest("datinf", &["exact", "datainf"]), Some("datainf"));
        assert_eq!(nearest("zebra", &["exact", "datainf"]), None);
    }
}
