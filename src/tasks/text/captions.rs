//! Captions of images to token ids, as diffusion pipelines make them for CLIP's text encoder.

use std::path::Path;

use super::tokenizer;
use super::{Encoder, TokenizerError};
use crate::checkpoints::Fields;
use crate::checkpoints::layout::{CONFIG_FILE, TEXT_ENCODER, TOKENIZER, TOKENIZER_CONFIG_FILE};
use crate::input::quote;

/// What transformers writes as `model_max_length` where there is no limit is far above this.
const NO_LIMIT: f64 = 1e15;

/// The tokenizer of a pipeline in diffusers' layout: every caption becomes the same number of ids.
///
/// As `tokenizer(captions, max_length=tokenizer.model_max_length, padding="max_length", truncation=True)`: start token,
/// caption, end token, then the padding token, which in Stable Diffusion 1.x is the end token. The text encoder takes
/// them without a mask, so the padding is part of the input.
#[derive(Debug)]
pub struct CaptionEncoder {
    encoder: Encoder,
    length: usize,
    padding: u32,
}

impl CaptionEncoder {
    /// Opens `tokenizer/` of the pipeline in `folder`, for the text encoder in `text_encoder/`.
    ///
    /// # Errors
    /// Files that are missing or damaged; captions longer than the text encoder has positions for; no padding token.
    pub fn open(folder: &Path) -> Result<Self, TokenizerError> {
        let model = Fields::read(&folder.join(TEXT_ENCODER).join(CONFIG_FILE))?;
        let folder = folder.join(TOKENIZER);
        let positions = model.size("max_position_embeddings", 2, Some(77))?;
        let settings = Fields::read_if_there(&folder.join(TOKENIZER_CONFIG_FILE))?;
        let limited = settings.get("model_max_length");
        let limited = limited.filter(|value| value.as_f64().is_none_or(|value| value < NO_LIMIT));
        let length = match limited {
            None => positions,
            Some(value) => {
                let length = value
                    .as_u64()
                    .and_then(|length| usize::try_from(length).ok());
                let length = length.filter(|length| (2..=positions).contains(length));
                length.ok_or_else(|| {
                    let allowed = format!(
                        "a whole number from 2 to {positions}, the text encoder's `max_position_embeddings`"
                    );
                    settings.unsupported("model_max_length", value, allowed)
                })?
            }
        };
        let opened = tokenizer::open(&folder, &model)?;
        let wrong = |reason: String| TokenizerError::File {
            path: opened.path.clone(),
            reason,
        };
        let padding = opened.padding.as_deref();
        let padding = padding.ok_or_else(|| {
            wrong(
                "the tokenizer's settings name no `pad_token`, which fills captions up".to_owned(),
            )
        })?;
        let id = opened.tokenizer.token_to_id(padding).ok_or_else(|| {
            wrong(format!(
                "has no token `{}`, the tokenizer's `pad_token`",
                quote(padding)
            ))
        })?;
        let token = quote(padding);
        let encoder = Encoder::new(opened, &model, length)?;
        if id as usize >= encoder.vocabulary {
            return Err(TokenizerError::BeyondTable {
                path: encoder.path,
                token,
                id,
                rows: encoder.vocabulary,
            });
        }
        Ok(Self {
            encoder,
            length,
            padding: id,
        })
    }

    /// Ids of a caption: `model_max_length` of the tokenizer.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Ids that there are: `vocab_size` of the text encoder.
    pub fn vocabulary(&self) -> usize {
        self.encoder.vocabulary
    }

    /// Captions in tokens. An empty caption is legal: start and end token, and padding.
    ///
    /// # Errors
    /// A text that cannot be encoded, an id that the text encoder has no embedding for.
    pub fn encode<S: AsRef<str>>(&self, captions: &[S]) -> Result<Captions, TokenizerError> {
        let mut encoded = Captions::default();
        for caption in captions {
            let caption = caption.as_ref();
            let (mut ids, _) = self.encoder.encode_one((caption, None))?;
            let words = self.encoder.words(caption)?;
            let special = self.encoder.special_tokens();
            encoded.truncated += usize::from(words.len() + special > self.length);
            ids.resize(self.length, self.padding);
            encoded.ids.push(ids);
            encoded.words.push(words);
        }
        Ok(encoded)
    }
}

/// Captions in tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captions {
    /// What the text encoder takes of each: [`CaptionEncoder::length`] ids.
    pub ids: Vec<Vec<u32>>,
    /// The tokens of each, without those that begin, end and pad it, and not cut.
    pub words: Vec<Vec<u32>>,
    /// Captions that were cut to the longest length.
    pub truncated: usize,
}
