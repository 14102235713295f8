//! What the examples of a task are to a network.

/// What a network must be able to read to be given the examples of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Nothing: the task consists of gradients, and has no model.
    Nothing,
    /// One vector an example.
    Vector,
    /// A sequence of vectors an example; read one after the other they are one vector, too.
    Vectors,
    /// Tokens of the task's own vocabulary.
    Tokens,
    /// Texts, which become tokens by the tokenizer of a checkpoint.
    Texts,
    /// Images with captions, of which a diffusion pipeline makes latents and text states.
    Images,
    /// Texts that are continued: they become tokens as [`Self::Texts`], and the network is a causal language model.
    Prompts,
}

impl Reads {
    /// Whether examples become tokens by the tokenizer of a checkpoint.
    pub fn are_texts(self) -> bool {
        matches!(self, Self::Texts | Self::Prompts)
    }

    /// In words, after "has" or "reads".
    pub fn text(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Vector => "vectors",
            Self::Vectors => "sequences of vectors",
            Self::Tokens => "tokens of its own",
            Self::Texts => "texts to classify",
            Self::Images => "images with captions",
            Self::Prompts => "texts to continue",
        }
    }
}
