//! Texts to token ids for a causal language model, with the place in the text where each token ends.
//!
//! Reference: `AutoTokenizer` of transformers 4.57 called on one text. There are no token types, and nothing is cut
//! here: what a task keeps of a long text depends on where its answer is.

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;

use super::{TokenizerError, beyond_table, tokenizer};
use crate::checkpoints::Fields;
use crate::input::{quote, shorten};

/// A causal language model's tokenizer.
#[derive(Debug)]
pub struct CausalTokenizer {
    path: PathBuf,
    tokenizer: Tokenizer,
    eos: (String, u32),
    /// Rows of the model's embedding table.
    vocabulary: usize,
}

/// A text in tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Ids. The token that begins a text is among them where the tokenizer puts one there, the one that ends a text
    /// never is.
    pub ids: Vec<u32>,
    /// For every token, the byte of the text before which it ends; 0 for one that is not of the text.
    pub ends: Vec<usize>,
    /// How many tokens at the front are not of the text.
    pub front: usize,
}

impl CausalTokenizer {
    /// Opens the tokenizer of the checkpoint in `folder` (or GGUF file).
    ///
    /// # Errors
    /// Files that are missing or damaged, settings that transformers would honour and this crate cannot, no token
    /// that ends a text.
    pub fn open(folder: &Path) -> Result<Self, TokenizerError> {
        let model = Fields::of_model(folder)?;
        let opened = tokenizer::open(folder, &model)?;
        let wrong = |reason: String| TokenizerError::File {
            path: opened.path.clone(),
            reason,
        };
        let eos = opened.eos.ok_or_else(|| {
            wrong(
                "no token ends a text: `eos_token` of tokenizer_config.json is missing".to_owned(),
            )
        })?;
        let id = opened.tokenizer.token_to_id(&eos).ok_or_else(|| {
            wrong(format!(
                "has no token `{}`, the tokenizer's `eos_token`",
                quote(&eos)
            ))
        })?;
        let vocabulary = model.size("vocab_size", 1, None)?;
        if id as usize >= vocabulary {
            return Err(beyond_table(&opened.path, &eos, id, vocabulary));
        }
        Ok(Self {
            path: opened.path,
            tokenizer: opened.tokenizer,
            eos: (eos, id),
            vocabulary,
        })
    }

    /// Text and id of the token that ends a text.
    pub fn eos(&self) -> (&str, u32) {
        (&self.eos.0, self.eos.1)
    }

    /// Number of ids that the model knows.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The text of ids, special tokens left out.
    ///
    /// # Errors
    /// Ids that cannot be decoded.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        self.tokenizer
            .decode(ids, true)
            .map_err(|e| TokenizerError::File {
                path: self.path.clone(),
                reason: format!("cannot decode: {}", shorten(&e.to_string(), 100)),
            })
    }

    /// A text in tokens; `begin` is whether the token that begins a text is put before it where the tokenizer's
    /// settings say so (a chat template writes it itself).
    ///
    /// # Errors
    /// A text that cannot be encoded, an id that the model lacks.
    pub fn encode(&self, text: &str, begin: bool) -> Result<Tokens, TokenizerError> {
        let encoding = self.tokenizer.encode(text, begin).map_err(|e| {
            let reason = shorten(&e.to_string(), 100);
            TokenizerError::File {
                path: self.path.clone(),
                reason: format!("cannot encode \"{}\": {reason}", quote(text)),
            }
        })?;
        let (ids, offsets) = (encoding.get_ids(), encoding.get_offsets());
        if let Some(at) = ids.iter().position(|&id| id as usize >= self.vocabulary) {
            let token = &encoding.get_tokens()[at];
            return Err(beyond_table(&self.path, token, ids[at], self.vocabulary));
        }
        // the post-processor's tokens belong to no sequence
        let of_text = |at: &usize| encoding.token_to_sequence(*at).is_some();
        let front = (0..ids.len()).find(of_text).unwrap_or(ids.len());
        let end = (0..ids.len()).rfind(of_text).map_or(front, |last| last + 1);
        let end_of = |at: usize| if at < front { 0 } else { offsets[at].1 };
        Ok(Tokens {
            ids: ids[..end].to_vec(),
            ends: (0..end).map(end_of).collect(),
            front,
        })
    }
}
