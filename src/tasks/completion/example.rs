//! Prompts with answers, as text.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use crate::tasks::error::TaskError;
use crate::tasks::glue::TextError;

/// A prompt and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What is given.
    pub prompt: String,
    /// Prompt and answer; begins with the prompt and has no token that ends a text.
    pub text: String,
    /// The class that retrieval looks for; none where there are no classes.
    pub class: Option<String>,
    /// File and line that it was read from.
    pub(super) place: Option<(Arc<Path>, usize)>,
}

impl Completion {
    /// One that was not read from a file.
    pub fn generated(prompt: String, text: String, class: &str) -> Self {
        Self {
            prompt,
            text,
            class: Some(class.to_owned()),
            place: None,
        }
    }

    /// An error about it.
    pub fn problem(&self, problem: String) -> TaskError {
        match &self.place {
            Some((path, line)) => TaskError::Text(TextError::Line {
                path: path.to_path_buf(),
                line: *line,
                problem,
            }),
            None => TaskError::Completion { problem },
        }
    }
}

/// The examples of a task as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examples {
    /// Training examples.
    pub train: Vec<Completion>,
    /// Query examples.
    pub query: Vec<Completion>,
}

impl Examples {
    /// Training examples, then queries.
    pub fn all(&self) -> impl Iterator<Item = &Completion> {
        self.train.iter().chain(&self.query)
    }

    /// [`Self::all`], to be changed.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Completion> {
        self.train.iter_mut().chain(&mut self.query)
    }

    /// Examples whose text is that of an earlier one.
    pub(super) fn duplicates(&self) -> usize {
        let texts: HashSet<&str> = self.all().map(|example| example.text.as_str()).collect();
        self.all().count() - texts.len()
    }
}
