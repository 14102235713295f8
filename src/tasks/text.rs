//! Texts to token ids, as transformers makes them with a checkpoint's own tokenizer.
//!
//! In: one or two texts an example. Out: ids and token types with the special tokens of the checkpoint, cut to
//! a length. Reference: `AutoTokenizer` of transformers 4.57 called with `truncation=True, max_length=N`.
//!
//! A pair that is too long is cut as `longest_first` cuts it: the longer text first, then both; the odd token
//! stays with the longer one. The cut is made here, because the truncation of the crate tokenizers 0.23.2
//! stops before it has seen how long a text is.

mod captions;
mod causal;
mod chat;
mod class;
mod decoder;
mod ends;
mod error;
mod settings;
mod tokenizer;
pub mod train;
mod vocabulary;

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::{Encoding, PostProcessor, Tokenizer, TruncationDirection};

pub use self::captions::CaptionEncoder;
pub use self::causal::{CausalTokenizer, Tokens};
pub use self::chat::{ChatTemplate, Message};
pub use self::decoder::Decoder;
pub use self::ends::ends_of_texts;
pub use self::error::TokenizerError;
use crate::checkpoints::Fields;
use crate::data::Inputs;
use crate::input::{quote, shorten};

/// One or two texts of an example.
pub type Texts<'a> = (&'a str, Option<&'a str>);

/// A checkpoint's tokenizer with a length to cut to.
#[derive(Debug)]
pub struct Encoder {
    path: PathBuf,
    /// Without post-processor and truncation, which run after the cut.
    tokenizer: Tokenizer,
    post_processor: Option<PostProcessorWrapper>,
    direction: TruncationDirection,
    /// Whether the model is given token types; without them all are 0.
    gives_types: bool,
    max_length: usize,
    vocabulary: usize,
    types: usize,
}

impl Encoder {
    /// Opens the tokenizer of the checkpoint in `folder`. Sequences are cut to `max_length` tokens, special
    /// tokens included; what `tokenizer.json` says of lengths and padding is not used.
    ///
    /// # Errors
    /// Files that are missing or damaged, settings that transformers would honour and this crate cannot.
    pub fn open(folder: &Path, max_length: usize) -> Result<Self, TokenizerError> {
        let model = Fields::of_model(folder)?;
        Self::new(tokenizer::open(folder, &model)?, &model, max_length)
    }

    /// An opened tokenizer with the sizes that the model's settings tell.
    fn new(
        mut opened: tokenizer::Opened,
        model: &Fields,
        max_length: usize,
    ) -> Result<Self, TokenizerError> {
        let post_processor = opened.tokenizer.get_post_processor().cloned();
        opened
            .tokenizer
            .with_post_processor(None::<PostProcessorWrapper>);
        Ok(Self {
            path: opened.path,
            tokenizer: opened.tokenizer,
            post_processor,
            direction: opened.direction,
            gives_types: opened.gives_types,
            max_length,
            vocabulary: model.size("vocab_size", 1, None)?,
            types: model.size("type_vocab_size", 1, Some(2))?,
        })
    }

    /// Ids and token types of the examples, in order.
    ///
    /// # Errors
    /// A text that cannot be encoded or has no tokens, an id or a token type that the checkpoint lacks.
    pub fn encode(&self, examples: &[Texts<'_>]) -> Result<Inputs, TokenizerError> {
        let encoded: Vec<(Vec<u32>, Vec<u32>)> = examples
            .par_iter()
            .map(|&texts| self.encode_one(texts))
            .collect::<Result<_, _>>()?;
        let (ids, mut types): (Vec<_>, Vec<_>) = encoded.into_iter().unzip();
        if types.iter().flatten().all(|&kind| kind == 0) {
            types = Vec::new();
        }
        Ok(Inputs::Tokens {
            ids,
            types,
            attended: None,
            vocabulary: self.vocabulary,
            max_length: self.max_length,
        })
    }

    /// Ids and token types of one example.
    fn encode_one(
        &self,
        (first, second): Texts<'_>,
    ) -> Result<(Vec<u32>, Vec<u32>), TokenizerError> {
        let wrong = |reason: String| TokenizerError::File {
            path: self.path.clone(),
            reason,
        };
        let encoding = self.process(first, second);
        let encoding = encoding.map_err(|e| self.cannot_encode(first, &e.to_string()))?;
        if encoding.is_empty() {
            return Err(wrong(format!("\"{}\" has no tokens", quote(first))));
        }
        let ids = encoding.get_ids();
        if let Some(at) = ids.iter().position(|&id| id as usize >= self.vocabulary) {
            // one of the post-processor's is known by the name that it has there
            let token = self.tokenizer.id_to_token(ids[at]);
            let token = token.unwrap_or_else(|| encoding.get_tokens()[at].clone());
            return Err(beyond_table(&self.path, &token, ids[at], self.vocabulary));
        }
        let types = match encoding.get_type_ids() {
            types if self.gives_types => types.to_vec(),
            types => vec![0; types.len()],
        };
        match types.iter().max() {
            Some(&found) if found as usize >= self.types => Err(TokenizerError::Type {
                path: self.path.clone(),
                found,
                rows: self.types,
            }),
            _ => Ok((ids.to_vec(), types)),
        }
    }

    /// Ids of a text alone, without special tokens and not cut.
    fn words(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoding = self.tokenizer.encode_fast(text, false);
        let encoding = encoding.map_err(|e| self.cannot_encode(text, &e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Special tokens around a text.
    fn special_tokens(&self) -> usize {
        let processor = self.post_processor.as_ref();
        processor.map_or(0, |processor| processor.added_tokens(false))
    }

    fn cannot_encode(&self, text: &str, reason: &str) -> TokenizerError {
        TokenizerError::File {
            path: self.path.clone(),
            reason: format!(
                "cannot encode \"{}\": {}",
                quote(text),
                shorten(reason, 100)
            ),
        }
    }

    /// Both texts encoded, cut, and joined by special tokens.
    fn process(&self, first: &str, second: Option<&str>) -> tokenizers::Result<Encoding> {
        let mut first = self.tokenizer.encode_fast(first, false)?;
        let mut second = second
            .map(|text| self.tokenizer.encode_fast(text, false))
            .transpose()?;
        let special = self
            .post_processor
            .as_ref()
            .map_or(0, |processor| processor.added_tokens(second.is_some()));
        let room = self.max_length.saturating_sub(special);
        let lengths = cut(first.len(), second.as_ref().map_or(0, Encoding::len), room);
        first.truncate(lengths.0, 0, self.direction);
        if let Some(second) = &mut second {
            second.truncate(lengths.1, 0, self.direction);
        }
        for encoding in [Some(&mut first), second.as_mut()].into_iter().flatten() {
            // what was cut off is not processed further
            encoding.set_overflowing(Vec::new());
        }
        match &self.post_processor {
            Some(processor) => processor.process(first, second, true),
            None => {
                if let Some(mut second) = second {
                    second.set_type_ids(vec![1; second.len()]);
                    first.merge_with(second, false);
                }
                Ok(first)
            }
        }
    }
}

/// The tokenizer in `path` has a token that is not among the model's `rows`.
fn beyond_table(path: &Path, token: &str, id: u32, rows: usize) -> TokenizerError {
    TokenizerError::BeyondTable {
        path: path.to_owned(),
        token: quote(token),
        id,
        rows,
    }
}

/// How many tokens of two texts stay in `room`: all of them, or the longer one is cut until both are equally
/// long, then both are; of an odd number the longer one keeps one more, the second of two equals.
fn cut(first: usize, second: usize, room: usize) -> (usize, usize) {
    if first + second <= room {
        return (first, second);
    }
    let half = room / 2;
    if first > second {
        let second = second.min(half);
        (room - second, second)
    } else {
        let first = first.min(half);
        (first, room - first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule token by token: each is taken from the longer text, the second of two equals.
    fn one_by_one(mut first: usize, mut second: usize, room: usize) -> (usize, usize) {
        while first + second > room {
            if first > second {
                first -= 1;
            } else {
                second -= 1;
            }
        }
        (first, second)
    }

    #[test]
    fn pairs_are_cut_from_the_longer_text() {
        for room in 0..14 {
            for first in 0..30 {
                for second in 0..30 {
                    let found = cut(first, second, room);
                    let slow = one_by_one(first, second, room);
                    assert_eq!(found.0 + found.1, slow.0 + slow.1);
                    // of an odd room the rule gives the odd token to either, tokenizers to the longer text
                    assert!(found.0.abs_diff(slow.0) <= 1, "{first} {second} {room}");
                    assert!(found.0 <= first && found.1 <= second);
                }
            }
        }
        // as tokenizers 0.22.2: the longer text keeps the odd token, the second of two equals
        assert_eq!(cut(20, 30, 13), (6, 7));
        assert_eq!(cut(30, 20, 13), (7, 6));
        assert_eq!(cut(20, 20, 13), (6, 7));
        assert_eq!(cut(3, 20, 13), (3, 10));
        assert_eq!(cut(20, 3, 13), (10, 3));
        assert_eq!(cut(20, 0, 13), (13, 0));
    }
}
