//! A figure, or why there is none.

use crate::report::scene::Scene;

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
    /// The drawing.
    pub scene: Scene,
}

/// A figure, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Drawn.
    Drawn(Box<Figure>),
    /// Not drawn.
    Omitted {
        /// Heading that it would have had.
        title: String,
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Drawn, with nothing yet said of what is to be seen.
    pub fn drawn(
        id: impl Into<String>,
        title: impl Into<String>,
        caption: String,
        scene: Scene,
    ) -> Self {
        Self::Drawn(Box::new(Figure {
            id: id.into(),
            title: title.into(),
            findings: Vec::new(),
            caption,
            scene,
        }))
    }

    /// With what is to be seen in it.
    pub fn finding(mut self, sentences: Vec<String>) -> Self {
        if let Self::Drawn(figure) = &mut self {
            figure.findings = sentences;
        }
        self
    }

    /// Not drawn.
    pub fn omitted(title: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Omitted {
            title: title.into(),
            reason: reason.into(),
        }
    }
}
