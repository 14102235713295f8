//! From token ids back to text, for readers.

use std::path::Path;

use tokenizers::Tokenizer;

use super::{TokenizerError, tokenizer};
use crate::checkpoints::Fields;

/// A checkpoint's tokenizer, backwards.
#[derive(Debug)]
pub struct Decoder(Tokenizer);

impl Decoder {
    /// Opens the tokenizer of the checkpoint in `folder` (or GGUF file).
    ///
    /// # Errors
    /// Files that are missing or damaged, settings that transformers would honour and this crate cannot.
    pub fn open(folder: &Path) -> Result<Self, TokenizerError> {
        let model = Fields::of_model(folder)?;
        Ok(Self(tokenizer::open(folder, &model)?.tokenizer))
    }

    /// What one token reads, special ones included; a piece of a character reads �. `None` for an id that no token has.
    pub fn text(&self, id: u32) -> Option<String> {
        let text = self.0.decode(&[id], false).ok()?;
        // some decoders drop the space before the first word of a text
        let piece = self.0.id_to_token(id)?;
        let begins_a_word = piece.starts_with('▁') && !text.starts_with(' ');
        Some(if begins_a_word {
            format!(" {text}")
        } else {
            text
        })
    }

    /// What tokens read together, without special ones; `None` for ids that no token has.
    pub fn joined(&self, ids: &[u32]) -> Option<String> {
        self.0.decode(ids, true).ok()
    }
}
