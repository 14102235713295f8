//! What the controls that compare two texts share: the part of a text that they look at, what they need, what they cost.

use ndarray::Array2;

use crate::data::Texts;
use crate::influence::companions::{Companions, Need};
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::method::{Control, InfluenceMethod};
use crate::influence::registry::{Allowed, OptionInfo, Values};
use crate::look::{Dash, Drawn, Given};

/// A control that compares the tokens of every query with those of every training example.
pub(super) trait CompareTexts: std::fmt::Debug + Send + Sync {
    /// The part of the texts that is compared.
    fn of(&self) -> Part;

    /// Scores `[m, n]` of n training texts for m queries, in tokens.
    fn compare(&self, train: &[Vec<u32>], query: &[Vec<u32>]) -> Array2<f64>;
}

impl<T: CompareTexts> InfluenceMethod for T {
    fn control(&self) -> Option<&dyn Control> {
        Some(self)
    }

    fn need(&self) -> Need {
        Need::Texts
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        pairs(size)
    }
}

impl<T: CompareTexts> Control for T {
    fn scores(&self, beside: &Companions<'_>, [m, n]: [usize; 2], _: u64) -> Array2<f64> {
        match beside.texts {
            Some([train, query]) => self.compare(self.of().of(train), self.of().of(query)),
            None => Array2::from_elem((m, n), f64::NAN),
        }
    }
}

/// The part of a text that is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// What is given.
    #[default]
    Prompt,
    /// Prompt and answer.
    Text,
}

/// The option that chooses it.
pub(super) const OF: OptionInfo = OptionInfo {
    key: "of",
    default: "prompt",
    allowed: Allowed::Word(&["prompt", "text"]),
    help: "what is compared: the prompts, or the whole texts with their answers",
};

impl Part {
    pub(super) fn from_values(values: &Values) -> Self {
        match values.word(OF.key) {
            Some("text") => Self::Text,
            _ => Self::Prompt,
        }
    }

    /// The tokens of every example.
    pub(super) fn of(self, texts: &Texts) -> &[Vec<u32>] {
        match self {
            Self::Prompt => &texts.prompts,
            Self::Text => &texts.whole,
        }
    }
}

/// The part after the title, and another dash for the whole text.
pub(super) fn shown(given: &Given<'_>, drawn: &mut Drawn) {
    let text = given.get(OF.key) == Some("text");
    drawn.title += if text { " (text)" } else { " (prompt)" };
    if let Some(look) = drawn.look.as_mut().filter(|_| text) {
        look.dash = Dash::Dashed;
    }
    drawn.shown.push(OF.key);
}

/// What a comparison of every query with every training example costs; no block has a part in it.
pub(super) fn pairs(size: &BlockSize) -> Cost {
    Cost {
        fixed: size.queries * size.examples,
        step: 0.0,
        steps: 0.0,
        bytes: 8.0 * size.queries * size.examples,
    }
}
