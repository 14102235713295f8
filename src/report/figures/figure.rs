//! A figure, or why there is none.

use crate::report::chart::Chart;

/// A drawn figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// File name without ending.
    pub id: String,
    /// Heading.
    pub title: String,
    /// What is to be seen: sentences from the very numbers that are drawn.
    pub findings: Vec<String>,
    /// What is drawn, how intervals were made, what is held and what is missing.
    pub caption: String,
    /// What is drawn.
    pub chart: Chart,
}

/// A figure, or the heading that it would have had and why it is not drawn.
pub type Outcome = Result<Figure, (String, String)>;

/// A figure that is not drawn.
pub fn omitted(title: impl Into<String>, reason: impl Into<String>) -> Outcome {
    Err((title.into(), reason.into()))
}
