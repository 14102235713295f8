//! The tokenizer of a GGUF file, as the tokenizer.json and tokenizer_config.json that it was converted from.
//!
//! `tokenizer.ggml.model` is `gpt2` for byte-level BPE (tokens and merges, a rule by which texts are cut first) or
//! `llama` for SentencePiece BPE (tokens and their scores; merges follow from these as in transformers'
//! `convert_slow_tokenizer.py`).

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::error::GgufError;
use super::metadata::Metadata;
use super::pre_tokenizer;
use crate::checkpoints::begin_and_end;

/// Kinds of tokens (`tokenizer.ggml.token_type`).
mod kind {
    pub const NORMAL: u64 = 1;
    pub const UNKNOWN: u64 = 2;
    pub const CONTROL: u64 = 3;
    pub const USER_DEFINED: u64 = 4;
    pub const BYTE: u64 = 6;
}

/// What SentencePiece writes for a space.
const SPACE: &str = "\u{2581}";

/// What the files of a tokenizer would hold.
#[derive(Clone, Debug)]
pub struct TokenizerFiles {
    /// tokenizer.json.
    pub tokenizer: Value,
    /// tokenizer_config.json.
    pub settings: Map<String, Value>,
}

/// The tokens of a file.
struct Tokens<'a> {
    metadata: &'a Metadata,
    texts: Vec<&'a str>,
    kinds: Vec<u64>,
}

/// The files; nothing where the file has no tokenizer.
pub(super) fn files(metadata: &Metadata) -> Result<Option<TokenizerFiles>, GgufError> {
    const MODEL: &str = "tokenizer.ggml.model";
    let Some(model) = metadata.text(MODEL)? else {
        return Ok(None);
    };
    let tokens = Tokens::read(metadata)?;
    let (mut tokenizer, begins) = match model {
        "gpt2" => byte_level(&tokens)?,
        "llama" => (sentence_piece(&tokens)?, true),
        _ => return Err(metadata.unsupported(MODEL, "\"gpt2\", \"llama\"")),
    };
    let ends = [
        ("add_bos_token", "bos", begins),
        ("add_eos_token", "eos", false),
    ];
    let [begin, end] = ends.map(|(flag, token, default)| {
        match metadata.flag(&format!("tokenizer.ggml.{flag}"))? {
            Some(false) => Ok(None),
            // what is only the default needs a token to be so
            None if !default => Ok(None),
            None => tokens.special(token),
            Some(true) => tokens
                .special(token)?
                .map(Some)
                .ok_or_else(|| metadata.missing(&format!("tokenizer.ggml.{token}_token_id"))),
        }
    });
    let (begin, end) = (begin?, end?);
    tokenizer["post_processor"] = begin_and_end(begin, end);
    if let Some(text) = metadata.text("tokenizer.huggingface.json")? {
        tokenizer = serde_json::from_str(text).map_err(|error| {
            metadata.damaged(format!("`tokenizer.huggingface.json` is not JSON: {error}"))
        })?;
    }
    let mut settings = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": begin.is_some(), "add_eos_token": end.is_some(),
    });
    for (field, name) in [
        ("bos_token", "bos"),
        ("eos_token", "eos"),
        ("unk_token", "unknown"),
        ("pad_token", "padding"),
    ] {
        if let Some((token, _)) = tokens.special(name)? {
            settings[field] = token.into();
        }
    }
    if let Some(template) = chat_template(metadata)? {
        settings["chat_template"] = template;
    }
    match settings {
        Value::Object(settings) => Ok(Some(TokenizerFiles {
            tokenizer,
            settings,
        })),
        _ => unreachable!("the literal above is an object"),
    }
}

/// One template, or several with names as tokenizer_config.json lists them.
fn chat_template(metadata: &Metadata) -> Result<Option<Value>, GgufError> {
    const DEFAULT: &str = "tokenizer.chat_template";
    let default = metadata.text(DEFAULT)?;
    let names = metadata
        .texts("tokenizer.chat_templates")?
        .unwrap_or_default();
    let mut named = Vec::new();
    for name in names {
        if let Some(template) = metadata.text(&format!("{DEFAULT}.{name}"))? {
            named.push(json!({"name": name, "template": template}));
        }
    }
    Ok(match (default, named.is_empty()) {
        (default, true) => default.map(Value::from),
        (None, false) => Some(named.into()),
        (Some(default), false) => {
            named.insert(0, json!({"name": "default", "template": default}));
            Some(named.into())
        }
    })
}

impl<'a> Tokens<'a> {
    fn read(metadata: &'a Metadata) -> Result<Self, GgufError> {
        const TEXTS: &str = "tokenizer.ggml.tokens";
        const KINDS: &str = "tokenizer.ggml.token_type";
        let texts = metadata
            .texts(TEXTS)?
            .ok_or_else(|| metadata.missing(TEXTS))?;
        let kinds = metadata.sizes(KINDS)?;
        let kinds = kinds.unwrap_or_else(|| vec![kind::NORMAL; texts.len()]);
        if kinds.len() != texts.len() {
            return Err(
                metadata.unsupported(KINDS, format!("a type for each of {} tokens", texts.len()))
            );
        }
        Ok(Self {
            metadata,
            texts,
            kinds,
        })
    }

    /// The token that a field such as `bos` gives the id of.
    fn special(&self, name: &str) -> Result<Option<(&'a str, u64)>, GgufError> {
        let key = format!("tokenizer.ggml.{name}_token_id");
        let Some(id) = self.metadata.size(&key)? else {
            return Ok(None);
        };
        let token = self.texts.get(id as usize).copied();
        // 2^32 − 1 stands for no token in older files
        match token {
            Some(token) => Ok(Some((token, id))),
            None if id == u64::from(u32::MAX) => Ok(None),
            None => Err(self.metadata.unsupported(
                &key,
                format!("the id of one of {} tokens", self.texts.len()),
            )),
        }
    }

    /// Tokens that texts are cut at before anything else.
    fn added(&self) -> Vec<Value> {
        let rows = self.texts.iter().zip(&self.kinds).enumerate();
        rows.filter(|(_, (_, kind))| [kind::CONTROL, kind::USER_DEFINED].contains(kind))
            .map(|(id, (text, kind))| {
                json!({
                    "id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": *kind == kind::CONTROL,
                })
            })
            .collect()
    }

    fn vocabulary(&self) -> Map<String, Value> {
        let rows = self.texts.iter().enumerate();
        rows.map(|(id, text)| ((*text).to_owned(), id.into()))
            .collect()
    }

    /// `tokenizer.ggml.merges`, pairs of tokens with a space between.
    fn merges(&self) -> Result<Option<Vec<Value>>, GgufError> {
        const KEY: &str = "tokenizer.ggml.merges";
        let Some(merges) = self.metadata.texts(KEY)? else {
            return Ok(None);
        };
        let pair = |merge: &str| {
            // a token may begin with a space
            let first = merge.chars().next()?.len_utf8();
            let at = first + merge[first..].find(' ')?;
            Some(json!([&merge[..at], &merge[at + 1..]]))
        };
        let merges: Option<Vec<Value>> = merges.into_iter().map(pair).collect();
        merges.map(Some).ok_or_else(|| {
            self.metadata
                .unsupported(KEY, "pairs of tokens with a space between")
        })
    }
}

/// Byte-level BPE, and whether its texts begin with BOS where the file does not say.
fn byte_level(tokens: &Tokens<'_>) -> Result<(Value, bool), GgufError> {
    const MERGES: &str = "tokenizer.ggml.merges";
    let rule = pre_tokenizer::rule(tokens.metadata)?;
    let merges = tokens
        .merges()?
        .ok_or_else(|| tokens.metadata.missing(MERGES))?;
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": tokens.added(),
        "normalizer": rule.normalizer(),
        "pre_tokenizer": rule.pre_tokenizer(),
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": rule.ignore_merges,
            "vocab": tokens.vocabulary(), "merges": merges,
        },
    });
    Ok((tokenizer, rule.begins))
}

/// SentencePiece BPE.
fn sentence_piece(tokens: &Tokens<'_>) -> Result<Value, GgufError> {
    let prefix = tokens
        .metadata
        .flag("tokenizer.ggml.add_space_prefix")?
        .unwrap_or(true);
    let merges = match tokens.merges()? {
        Some(merges) => merges,
        None => scored_merges(tokens)?,
    };
    let unknown = tokens
        .special("unknown")?
        .map(|(token, _)| token)
        .or_else(|| {
            let at = tokens
                .kinds
                .iter()
                .position(|&kind| kind == kind::UNKNOWN)?;
            Some(tokens.texts[at])
        });
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    let mut normalizers = vec![replace];
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if prefix {
        normalizers.insert(0, json!({"type": "Prepend", "prepend": SPACE}));
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    let mut added = tokens.added();
    if let Some(unknown) = unknown {
        let id = tokens.texts.iter().position(|token| *token == unknown);
        added.push(json!({
            "id": id, "content": unknown, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        }));
        added.sort_by_key(|token| token["id"].as_u64());
        added.dedup_by_key(|token| token["id"].as_u64());
    }
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": null, "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true,
            "byte_fallback": tokens.kinds.contains(&kind::BYTE), "ignore_merges": false,
            "vocab": tokens.vocabulary(), "merges": merges,
        },
    }))
}

/// Every way in which two tokens make a third, the highest score of the third first. SentencePiece merges whatever
/// makes the token of the highest score.
fn scored_merges(tokens: &Tokens<'_>) -> Result<Vec<Value>, GgufError> {
    const KEY: &str = "tokenizer.ggml.scores";
    let scores = tokens
        .metadata
        .numbers(KEY)?
        .ok_or_else(|| tokens.metadata.missing(KEY))?;
    if scores.len() != tokens.texts.len() {
        let allowed = format!("a score for each of {} tokens", tokens.texts.len());
        return Err(tokens.metadata.unsupported(KEY, allowed));
    }
    let made = |id: usize| [kind::NORMAL, kind::USER_DEFINED].contains(&tokens.kinds[id]);
    let ids: HashMap<&str, usize> = tokens
        .texts
        .iter()
        .enumerate()
        .filter(|(id, _)| made(*id))
        .map(|(id, text)| (*text, id))
        .collect();
    let mut merges = Vec::new();
    for (id, text) in tokens.texts.iter().enumerate().filter(|(id, _)| made(*id)) {
        for (at, _) in text.char_indices().skip(1) {
            let (left, right) = text.split_at(at);
            if let (Some(&l), Some(&r)) = (ids.get(left), ids.get(right)) {
                merges.push((scores[id], id, (l, r), left, right));
            }
        }
    }
    merges.sort_by(|a, b| {
        b.0.total_cmp(&a.0)
            .then_with(|| (a.1, a.2).cmp(&(b.1, b.2)))
    });
    let pairs = merges
        .into_iter()
        .map(|(.., left, right)| json!([left, right]));
    Ok(pairs.collect())
}
