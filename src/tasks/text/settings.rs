//! Tokens that are never split: the special ones and those added to the vocabulary.
//!
//! They come from `tokenizer_config.json`, and when it has no `added_tokens_decoder` from the older
//! `special_tokens_map.json` and `added_tokens.json`, too (transformers 4.57, `_from_pretrained` and
//! `PreTrainedTokenizerFast.__init__`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::{AddedToken, Tokenizer};

use super::class::Class;
use crate::checkpoints::layout::{ADDED_TOKENS_FILE, SPECIAL_TOKENS_FILE};
use crate::checkpoints::{Fields, HuggingFaceError};

/// The fields that name a special token, in the order in which they are added.
const SPECIAL: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];
const ADDITIONAL: &str = "additional_special_tokens";
const EXTRA: &str = "extra_special_tokens";
const DECODER: &str = "added_tokens_decoder";

/// A special token as the settings give it.
#[derive(Clone, Debug, PartialEq)]
enum Given {
    /// Its text alone.
    Text(String),
    /// With the rules of its matching.
    Token(AddedToken),
}

impl Given {
    fn content(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Token(token) => &token.content,
        }
    }
}

/// Tokens added to a vocabulary, by id.
pub(super) type Added = BTreeMap<u32, AddedToken>;

/// Special tokens by field, and the tokens added to the vocabulary by id.
pub(super) struct SpecialTokens {
    named: Vec<(&'static str, Given)>,
    /// `additional_special_tokens` and `extra_special_tokens`.
    others: Vec<Given>,
    added: Added,
}

impl SpecialTokens {
    /// The text of the token that a field names.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        let found = self.named.iter().find(|(name, _)| *name == field);
        found.map(|(_, token)| token.content())
    }

    /// The texts of all tokens that have a field.
    pub(super) fn named(&self) -> BTreeMap<&'static str, String> {
        let named = self.named.iter();
        named
            .map(|(field, token)| (*field, token.content().to_owned()))
            .collect()
    }
}

/// Reads the special tokens of the checkpoint in `folder`, whose tokenizer.json has the added tokens `present`.
pub(super) fn special_tokens(
    settings: &Fields,
    folder: &Path,
    class: Class,
    present: &Added,
) -> Result<SpecialTokens, HuggingFaceError> {
    let reader = Reader { settings };
    let mut map = settings.map().clone();
    let mut added = Added::new();
    // a special token that is one of these takes its rules; those of added_tokens.json are overlooked, as in
    // transformers
    let known = match settings.get(DECODER) {
        Some(Value::Object(tokens)) => {
            for (id, token) in tokens {
                let id = id.parse().map_err(|_| {
                    settings.unsupported(DECODER, &Value::from(id.as_str()), "ids as keys")
                })?;
                added.insert(id, reader.token(DECODER, token)?);
            }
            &added
        }
        Some(other) => return Err(settings.unsupported(DECODER, other, "tokens by id")),
        None => {
            older(folder, &mut map, &mut added)?;
            added.extend(present.iter().map(|(id, token)| (*id, token.clone())));
            present
        }
    };
    let known: BTreeMap<&str, &AddedToken> = known
        .values()
        .map(|token| (token.content.as_str(), token))
        .collect();
    let mut named = Vec::new();
    let defaults = class.special_tokens();
    for field in SPECIAL {
        let Some(value) = map.get(field).or_else(|| defaults.get(field)) else {
            continue;
        };
        let Some(given) = reader.given(field, value)? else {
            continue;
        };
        let explicit = map.contains_key(field);
        let given = match known.get(given.content()) {
            Some(&token) if explicit => Given::Token(token.clone()),
            _ => given,
        };
        named.push((field, with_rules(field, given, class)));
    }
    let mut others = Vec::new();
    match map.get(ADDITIONAL) {
        None | Some(Value::Null) => {}
        Some(Value::Array(tokens)) => {
            for token in tokens {
                others.extend(reader.given(ADDITIONAL, token)?);
            }
        }
        Some(other) => return Err(settings.unsupported(ADDITIONAL, other, "a list of tokens")),
    }
    match map.get(EXTRA) {
        None | Some(Value::Null) => {}
        Some(Value::Object(tokens)) => {
            for token in tokens.values() {
                others.extend(reader.given(EXTRA, token)?);
            }
        }
        Some(other) => return Err(settings.unsupported(EXTRA, other, "tokens by name")),
    }
    Ok(SpecialTokens {
        named,
        others,
        added,
    })
}

/// The mask of RoBERTa takes the space before it along; the special tokens of Qwen2 have no rules.
fn with_rules(field: &str, given: Given, class: Class) -> Given {
    match (given, class) {
        (Given::Text(text), Class::Roberta) if field == "mask_token" => {
            Given::Token(AddedToken::from(text, true).lstrip(true))
        }
        (Given::Text(text), Class::XlmRoberta) if field == "mask_token" => {
            Given::Token(AddedToken::from(text, false).lstrip(true))
        }
        (Given::Text(text), Class::Qwen2)
            if ["bos_token", "eos_token", "unk_token", "pad_token"].contains(&field) =>
        {
            Given::Token(AddedToken::from(text, true))
        }
        (given, _) => given,
    }
}

/// What `special_tokens_map.json` and `added_tokens.json` say.
fn older(
    folder: &Path,
    map: &mut Map<String, Value>,
    added: &mut Added,
) -> Result<(), HuggingFaceError> {
    let file = Fields::read_if_there(&folder.join(SPECIAL_TOKENS_FILE))?;
    for (field, value) in file.map() {
        let value = match value {
            Value::Array(tokens) if field == ADDITIONAL => {
                let mut all = match map.remove(ADDITIONAL) {
                    Some(Value::Array(all)) => all,
                    _ => Vec::new(),
                };
                for token in tokens {
                    let token = special(token.clone());
                    if !all.contains(&token) {
                        all.push(token);
                    }
                }
                Value::Array(all)
            }
            other => special(other.clone()),
        };
        map.insert(field.clone(), value);
    }
    let file = Fields::read_if_there(&folder.join(ADDED_TOKENS_FILE))?;
    let content = |value: &Value| match value {
        Value::Object(token) => token
            .get("content")
            .and_then(Value::as_str)
            .map(str::to_owned),
        value => value.as_str().map(str::to_owned),
    };
    let mut named: BTreeSet<String> = SPECIAL
        .iter()
        .filter_map(|field| content(map.get(*field)?))
        .collect();
    if let Some(Value::Array(tokens)) = map.get(ADDITIONAL) {
        named.extend(tokens.iter().filter_map(content));
    }
    for (text, id) in file.map() {
        let id = id
            .as_u64()
            .and_then(|id| u32::try_from(id).ok())
            .ok_or_else(|| file.unsupported("id", id, "a whole number"))?;
        let token = AddedToken::from(text.as_str(), named.contains(text));
        added.insert(id, token);
    }
    Ok(())
}

/// A token with rules of `special_tokens_map.json`, which are all special and do not say what they are.
fn special(mut value: Value) -> Value {
    if let Value::Object(token) = &mut value {
        token.insert("special".into(), true.into());
        token.insert("__type".into(), "AddedToken".into());
    }
    value
}

/// Reads tokens from JSON.
struct Reader<'a> {
    settings: &'a Fields,
}

impl Reader<'_> {
    /// A text, or a token with rules that says that it is one; nothing for null and the empty text.
    fn given(&self, field: &'static str, value: &Value) -> Result<Option<Given>, HuggingFaceError> {
        match value {
            Value::Null => Ok(None),
            Value::String(text) if text.is_empty() => Ok(None),
            Value::String(text) => Ok(Some(Given::Text(text.clone()))),
            Value::Object(token) if token.get("__type") == Some(&"AddedToken".into()) => self
                .token(field, value)
                .map(|token| Some(Given::Token(token))),
            other => Err(self.settings.unsupported(
                field,
                other,
                "a text, or an object with \"__type\": \"AddedToken\"",
            )),
        }
    }

    /// `{"content": …, "lstrip": …, …}`; rules that are missing are false, but `normalized`, which is
    /// true for tokens that are not special.
    fn token(&self, field: &'static str, value: &Value) -> Result<AddedToken, HuggingFaceError> {
        let wrong = || {
            self.settings.unsupported(
                field,
                value,
                "an object with `content` and, true or false, `single_word`, `lstrip`, `rstrip`, `normalized`, `special`",
            )
        };
        let content = value.get("content").and_then(Value::as_str);
        let rule = |name: &str| match value.get(name) {
            None => Ok(None),
            Some(Value::Bool(rule)) => Ok(Some(*rule)),
            Some(_) => Err(wrong()),
        };
        let mut token = AddedToken::from(
            content.ok_or_else(wrong)?,
            rule("special")?.unwrap_or(false),
        );
        token.single_word = rule("single_word")?.unwrap_or(false);
        token.lstrip = rule("lstrip")?.unwrap_or(false);
        token.rstrip = rule("rstrip")?.unwrap_or(false);
        token.normalized = rule("normalized")?.unwrap_or(!token.special);
        Ok(token)
    }
}

/// The tokens of a tokenizer that are not of its model.
pub(super) fn present(tokenizer: &Tokenizer) -> Added {
    tokenizer.get_added_tokens_decoder().into_iter().collect()
}

/// The tokens that a tokenizer with `present` lacks, or has with other rules, in the order in which they are
/// added.
pub(super) fn lacking(special: &SpecialTokens, present: &Added) -> Vec<AddedToken> {
    let mut tokens: Vec<Given> = special
        .added
        .values()
        .filter(|token| !present.values().any(|known| known == *token))
        .map(|token| Given::Token(token.clone()))
        .collect();
    let texts: BTreeSet<String> = present
        .values()
        .map(|token| token.content.clone())
        .chain(tokens.iter().map(|token| token.content().to_owned()))
        .collect();
    let named = special.named.iter().map(|(_, token)| token);
    let mut all_special = BTreeSet::new();
    for token in named.chain(&special.others) {
        if !all_special.insert(token.content()) {
            continue;
        }
        let known = matches!(token, Given::Text(text) if texts.contains(text));
        if !known && !tokens.contains(token) {
            tokens.push(token.clone());
        }
    }
    tokens
        .into_iter()
        .map(|token| match token {
            Given::Text(text) => AddedToken::from(text, true),
            Given::Token(mut token) => {
                token.special |= all_special.contains(token.content.as_str());
                token
            }
        })
        .collect()
}
