//! What the controls of texts share: which part of a text they look at, and how that is shown.

use crate::data::Texts;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::registry::{Allowed, OptionInfo, Values};
use crate::look::{Dash, Drawn, Given};

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
