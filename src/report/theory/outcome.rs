//! Figures of theory, drawn or not.

use crate::report::figures::{Figure, Outcome};
use crate::report::scene::Scene;

/// A drawn figure.
pub fn drawn(id: &str, title: &str, caption: String, scene: Scene) -> Outcome {
    Outcome::Drawn(Box::new(Figure {
        id: id.to_owned(),
        title: title.to_owned(),
        findings: Vec::new(),
        caption,
        scene,
    }))
}

/// Why there is no figure.
pub fn omitted(title: &str, reason: &str) -> Outcome {
    Outcome::Omitted {
        title: title.to_owned(),
        reason: reason.to_owned(),
    }
}
