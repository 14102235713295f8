//! Texts to token ids with a checkpoint's own tokenizer.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use tokenizers::{
    EncodeInput, Tokenizer, TruncationDirection, TruncationParams, TruncationStrategy,
};

use super::files::{Example, TextError};
use crate::config::huggingface::{CONFIG_FILE, HuggingFaceConfig, TOKENIZER_FILE};
use crate::tasks::{Inputs, Split};

/// A checkpoint's tokenizer: pairs with their separators, the longer text of a pair cut first.
#[derive(Debug)]
pub struct Encoder {
    path: PathBuf,
    tokenizer: Tokenizer,
    max_length: usize,
    /// Token types that the checkpoint has embeddings for.
    types: usize,
}

impl Encoder {
    /// Opens `tokenizer.json` of the checkpoint in `folder`; its own settings of truncation and padding
    /// are not used, but `max_length` (special tokens included) and none.
    ///
    /// # Errors
    /// When the tokenizer or the checkpoint's settings cannot be read.
    pub fn open(folder: &Path, max_length: usize) -> Result<Self, TextError> {
        let path = folder.join(TOKENIZER_FILE);
        let wrong = |reason: String| TextError::Tokenizer {
            path: path.clone(),
            reason,
        };
        let config = HuggingFaceConfig::read(folder).map_err(|e| TextError::Tokenizer {
            path: folder.join(CONFIG_FILE),
            reason: e.to_string(),
        })?;
        let mut tokenizer = Tokenizer::from_file(&path).map_err(|e| wrong(e.to_string()))?;
        tokenizer
            .with_padding(None)
            .with_truncation(Some(TruncationParams {
                direction: TruncationDirection::Right,
                max_length,
                strategy: TruncationStrategy::LongestFirst,
                stride: 0,
            }))
            .map_err(|e| wrong(e.to_string()))?;
        Ok(Self {
            path,
            tokenizer,
            max_length,
            types: config.types,
        })
    }

    /// Ids, types and labels of the examples, in order.
    ///
    /// # Errors
    /// When a text cannot be encoded, or has a token type that the checkpoint lacks.
    pub fn split(&self, examples: &[Example]) -> Result<Split, TextError> {
        let wrong = |reason: String| TextError::Tokenizer {
            path: self.path.clone(),
            reason,
        };
        let encoded: Vec<(Vec<u32>, Vec<u32>)> = examples
            .par_iter()
            .map(|example| {
                let first = example.first.as_str();
                let input: EncodeInput = match &example.second {
                    None => first.into(),
                    Some(second) => (first, second.as_str()).into(),
                };
                let encoding = self
                    .tokenizer
                    .encode(input, true)
                    .map_err(|e| wrong(format!("cannot encode \"{first}\": {e}")))?;
                if encoding.is_empty() {
                    return Err(wrong(format!("\"{first}\" has no tokens")));
                }
                let types = encoding.get_type_ids();
                match types.iter().max() {
                    Some(&largest) if largest as usize >= self.types => Err(wrong(format!(
                        "gives token type {largest}; the checkpoint's `type_vocab_size` is {}",
                        self.types
                    ))),
                    _ => Ok((encoding.get_ids().to_vec(), types.to_vec())),
                }
            })
            .collect::<Result<_, _>>()?;
        let (ids, mut types): (Vec<_>, Vec<_>) = encoded.into_iter().unzip();
        if types.iter().flatten().all(|&kind| kind == 0) {
            types = Vec::new();
        }
        Ok(Split {
            inputs: Inputs::Tokens {
                ids,
                types,
                vocabulary: self.tokenizer.get_vocab_size(true),
                max_length: self.max_length,
            },
            labels: examples.iter().map(|example| example.label).collect(),
        })
    }
}
