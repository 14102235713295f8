//! A checkpoint's tokenizer, put together as transformers' `AutoTokenizer` does.
//!
//! `tokenizer.json`, or the older files that it replaces, is the beginning; `tokenizer_config.json` names the
//! class, whose settings override it, and the tokens that are never split. Settings without an effect on ids
//! and types of single examples (`model_max_length`, `trim_offsets`, `padding_side`, decoding) are not looked at.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, Tokenizer, TruncationDirection};

use super::class::Class;
use super::error::TokenizerError;
use super::settings::{Added, SpecialTokens, lacking, present, special_tokens};
use super::vocabulary;
use crate::checkpoints::gguf::{self, Gguf};
use crate::checkpoints::layout::TOKENIZER_FILE;
use crate::checkpoints::{Fields, HuggingFaceError, begin_and_end};
use crate::input::{self, quote, shorten};

/// A tokenizer and how it is to be used.
pub(super) struct Opened {
    /// The file that it came from.
    pub path: PathBuf,
    pub tokenizer: Tokenizer,
    /// The side that is cut off.
    pub direction: TruncationDirection,
    /// Whether the model is given token types.
    pub gives_types: bool,
    /// Text of the token that ends a text, where the settings name it.
    pub eos: Option<String>,
    /// What short texts are filled up with, where the settings name it.
    pub padding: Option<String>,
}

/// Opens the tokenizer of the checkpoint in `folder`, whose config.json is `model`.
pub(super) fn open(folder: &Path, model: &Fields) -> Result<Opened, TokenizerError> {
    let settings = Fields::of_tokenizer(folder)?;
    settings.only("fast_tokenizer_files", json!([TOKENIZER_FILE]))?;
    let class = Class::find(&settings, model)?;
    // an empty `tokenizer_file` has transformers read the older files
    let older = settings.flag("from_slow", false)? || settings.is_null("tokenizer_file");
    let json = folder.join(TOKENIZER_FILE);
    let file = if gguf::is_gguf(folder) {
        Some((folder.to_owned(), in_gguf(folder)?))
    } else if json.is_file() && !older {
        let tokenizer = input::text(&json)?.parse().map_err(wrong(&json))?;
        Some((json, tokenizer))
    } else {
        None
    };
    let (path, mut tokenizer, special) = if let Some((path, tokenizer)) = file {
        let special = special_tokens(&settings, folder, class, &present(&tokenizer))?;
        (path, tokenizer, special)
    } else {
        let special = special_tokens(&settings, folder, class, &Added::new())?;
        // the first normaliser, by which added tokens are found
        let first = if settings.flag("do_basic_tokenize", true)? {
            normalizer(&settings)?
        } else {
            BertNormalizer::new(true, false, Some(false), false)
        };
        let (path, described) = vocabulary::describe(folder, class, &special, &first)?;
        let tokenizer = serde_json::from_value(described).map_err(|e| wrong(&path)(e.into()))?;
        (path, tokenizer, special)
    };
    let direction = direction(&settings, &tokenizer)?;
    tokenizer
        .with_padding(None)
        .with_truncation(None)
        .map_err(wrong(&path))?;
    let lacking = lacking(&special, &present(&tokenizer));
    tokenizer.add_tokens(lacking).map_err(wrong(&path))?;
    tokenizer.set_encode_special_tokens(settings.flag("split_special_tokens", false)?);
    if matches!(class, Class::Bert | Class::DistilBert) {
        normalise(&settings, &mut tokenizer, &path)?;
    }
    prefix_space(&settings, class, &mut tokenizer)?;
    if class == Class::Llama {
        surround(&settings, &special, &mut tokenizer, &path)?;
    }
    Ok(Opened {
        gives_types: gives_types(&settings, class)?,
        eos: special.text("eos_token").map(str::to_owned),
        padding: special.text("pad_token").map(str::to_owned),
        path,
        tokenizer,
        direction,
    })
}

/// The tokenizer of a GGUF file.
fn in_gguf(path: &Path) -> Result<Tokenizer, TokenizerError> {
    let file = Gguf::open(path).map_err(HuggingFaceError::from)?;
    let files = file.tokenizer().map_err(HuggingFaceError::from)?;
    let files = files.ok_or_else(|| TokenizerError::File {
        path: path.to_owned(),
        reason: "it holds no tokenizer".to_owned(),
    })?;
    serde_json::from_value(files.tokenizer).map_err(|error| wrong(path)(error.into()))
}

/// Most characters of a message of the crate tokenizers, which quotes the file.
const LONGEST: usize = 160;

/// An error of the crate tokenizers about a file.
fn wrong(path: &Path) -> impl Fn(tokenizers::Error) -> TokenizerError {
    let path = path.to_owned();
    move |error| TokenizerError::File {
        path: path.clone(),
        reason: shorten(&error.to_string(), LONGEST),
    }
}

/// The side that is cut off: of the settings, else of tokenizer.json, else the right.
fn direction(
    settings: &Fields,
    tokenizer: &Tokenizer,
) -> Result<TruncationDirection, HuggingFaceError> {
    let own = tokenizer.get_truncation().map(|t| t.direction);
    Ok(
        match settings.one_of("truncation_side", &["right", "left"])? {
            None => own.unwrap_or_default(),
            Some("left") => TruncationDirection::Left,
            Some(_) => TruncationDirection::Right,
        },
    )
}

fn gives_types(settings: &Fields, class: Class) -> Result<bool, HuggingFaceError> {
    const FIELD: &str = "model_input_names";
    settings.one_of("padding_side", &["right", "left"])?;
    match settings.get(FIELD) {
        None => Ok(class.gives_types()),
        Some(Value::Array(names)) => Ok(names.iter().any(|name| name == "token_type_ids")),
        Some(other) => Err(settings.unsupported(FIELD, other, "a list of names")),
    }
}

/// How BERT's classes normalise texts; settings that are missing have their defaults, whatever tokenizer.json
/// says.
fn normalizer(settings: &Fields) -> Result<BertNormalizer, HuggingFaceError> {
    let strip_accents = settings
        .get("strip_accents")
        .map(|_| settings.flag("strip_accents", false))
        .transpose()?;
    Ok(BertNormalizer::new(
        true,
        settings.flag("tokenize_chinese_chars", true)?,
        strip_accents,
        settings.flag("do_lower_case", true)?,
    ))
}

/// Overrides BERT's normalisation.
fn normalise(
    settings: &Fields,
    tokenizer: &mut Tokenizer,
    path: &Path,
) -> Result<(), TokenizerError> {
    let mut asked = normalizer(settings)?;
    match tokenizer.get_normalizer() {
        Some(NormalizerWrapper::BertNormalizer(own)) => {
            asked.clean_text = own.clean_text;
            // transformers leaves added tokens as the first normaliser made them
            let added = tokenizer.get_added_vocabulary().clone();
            tokenizer
                .with_normalizer(Some(NormalizerWrapper::BertNormalizer(asked)))
                .map_err(wrong(path))?;
            tokenizer.with_added_vocabulary(added);
            Ok(())
        }
        // other normalisers have no such settings, and keep what they do
        Some(_) => Ok(()),
        None => Err(TokenizerError::File {
            path: path.to_owned(),
            reason: "`normalizer` is null, which transformers' BERT tokenizers (`do_lower_case`) do not open; give `tokenizer_class` \"PreTrainedTokenizerFast\" in tokenizer_config.json to use it as it is"
                .to_owned(),
        }),
    }
}

/// Overrides whether Llama's tokenizer begins a text with BOS (by default it does) and ends it with EOS (by default it
/// does not), whatever the post-processor of its file says.
fn surround(
    settings: &Fields,
    special: &SpecialTokens,
    tokenizer: &mut Tokenizer,
    path: &Path,
) -> Result<(), TokenizerError> {
    const PREFIX: &str = "add_prefix_space";
    if !settings.is_null(PREFIX) && !settings.flag(PREFIX, true)? {
        // transformers would build such a tokenizer anew from tokenizer.model
        let found = Value::Bool(false);
        return Err(settings.unsupported(PREFIX, &found, "null, true").into());
    }
    let named = |flag: &'static str, default: bool, field: &'static str| {
        if !settings.flag(flag, default)? {
            return Ok(None);
        }
        let missing = || TokenizerError::File {
            path: path.to_owned(),
            reason: format!("`{flag}` is true, but the settings name no `{field}`"),
        };
        let token = special.text(field).ok_or_else(missing)?;
        let id = tokenizer.token_to_id(token);
        let id = id.ok_or_else(|| TokenizerError::File {
            path: path.to_owned(),
            reason: format!("has no token `{}`, the tokenizer's `{field}`", quote(token)),
        })?;
        Ok::<_, TokenizerError>(Some((token, u64::from(id))))
    };
    let begin = named("add_bos_token", true, "bos_token")?;
    let end = named("add_eos_token", false, "eos_token")?;
    let described = begin_and_end(begin, end);
    let processor: Option<PostProcessorWrapper> =
        serde_json::from_value(described).map_err(|error| wrong(path)(error.into()))?;
    tokenizer.with_post_processor(processor);
    Ok(())
}

/// Overrides whether byte-level BPE puts a space before a text.
fn prefix_space(
    settings: &Fields,
    class: Class,
    tokenizer: &mut Tokenizer,
) -> Result<(), HuggingFaceError> {
    const FIELD: &str = "add_prefix_space";
    let Some(PreTokenizerWrapper::ByteLevel(own)) = tokenizer.get_pre_tokenizer() else {
        return Ok(());
    };
    // of the classes here only RoBERTa's looks at the value itself; the others leave null alone
    if settings.is_null(FIELD) && class != Class::Roberta {
        return Ok(());
    }
    let own = own.add_prefix_space(settings.flag(FIELD, false)?);
    tokenizer.with_pre_tokenizer(Some(PreTokenizerWrapper::ByteLevel(own)));
    Ok(())
}
