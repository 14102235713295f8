//! What the loss of an example holds the network's output against.

/// Targets of all examples of a split. Which [objective](crate::objectives::of) a split has is decided by their kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// One class an example, after flips.
    Classes(Vec<usize>),
}

impl Targets {
    /// Number of examples.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(labels) => labels.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class of every example.
    pub fn classes(&self) -> &[usize] {
        match self {
            Self::Classes(labels) => labels,
        }
    }

    /// [`Self::classes`] for flips.
    pub fn classes_mut(&mut self) -> &mut [usize] {
        match self {
            Self::Classes(labels) => labels,
        }
    }
}
