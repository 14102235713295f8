//! What a network sees of every example.

use super::latents::Latents;

/// Inputs of a split, example by example.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// Token ids, one list an example, of any lengths ≤ `max_length`; ids are below `vocabulary`.
    /// Id 0 is the padding.
    Tokens {
        /// One list of ids an example.
        ids: Vec<Vec<u32>>,
        /// One list of token types (segments) an example, or no list at all when every type is 0.
        types: Vec<Vec<u32>>,
        /// How many leading tokens of every example attention may look at; `None`: all of them. Those behind are
        /// computed, and may predict, but are seen by none: padding as it counts in the published loss.
        attended: Option<Vec<usize>>,
        /// Number of ids.
        vocabulary: usize,
        /// Longest list allowed.
        max_length: usize,
    },
    /// Real features, `tokens × features` an example (`tokens` = 1 for a flat point).
    Features {
        /// Row-major `[examples, tokens, features]`.
        values: Vec<f32>,
        /// Tokens (patches) an example.
        tokens: usize,
        /// Features a token.
        features: usize,
    },
    /// Images and captions of a diffusion model.
    Latents(Latents),
    /// What the frozen lower layers of a model made of the examples, computed once.
    Activations {
        /// Row-major `[tokens, width]`, one an example.
        rows: Vec<Vec<f32>>,
        /// As for tokens.
        attended: Option<Vec<usize>>,
        /// Width of the model.
        width: usize,
        /// The layer that takes them, from 0.
        layer: usize,
    },
}

impl Inputs {
    /// How many leading tokens of every example attention may look at; `None`: all.
    pub fn attended(&self) -> Option<&Vec<usize>> {
        match self {
            Self::Tokens { attended, .. } | Self::Activations { attended, .. } => attended.as_ref(),
            Self::Features { .. } | Self::Latents(_) => None,
        }
    }
}
