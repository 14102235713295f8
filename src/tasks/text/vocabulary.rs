//! Vocabularies from before `tokenizer.json`, as the `tokenizer.json` that transformers converts them to
//! (`convert_slow_tokenizer.py`): `vocab.txt` of BERT, `vocab.json` and `merges.txt` of RoBERTa and CLIP.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokenizers::normalizers::BertNormalizer;

use super::class::Class;
use super::error::TokenizerError;
use super::settings::SpecialTokens;
use crate::checkpoints::layout::{BPE_FILES, WORD_PIECE_FILE};
use crate::checkpoints::{Fields, HuggingFaceError};
use crate::input::{self, quote};

/// The tokenizer of the checkpoint in `folder`, and the file that it came from.
pub(super) fn describe(
    folder: &Path,
    class: Class,
    special: &SpecialTokens,
    normalizer: &BertNormalizer,
) -> Result<(PathBuf, Value), TokenizerError> {
    let names: &[&str] = match class {
        Class::Bert | Class::DistilBert => &[WORD_PIECE_FILE],
        Class::Roberta | Class::Clip => &BPE_FILES,
        Class::XlmRoberta | Class::Gpt2 | Class::Llama | Class::Qwen2 | Class::Generic => &[],
    };
    let there = |name: &&str| folder.join(name).is_file();
    if names.is_empty() || !names.iter().all(there) {
        return Err(HuggingFaceError::no_tokenizer(folder).into());
    }
    let path = folder.join(names[0]);
    let described = match class {
        Class::Roberta => byte_level_bpe(&path, &folder.join(names[1]), special)?,
        Class::Clip => clip(&path, &folder.join(names[1]), special)?,
        _ => word_piece(&path, special, normalizer)?,
    };
    Ok((path, described))
}

/// BERT's WordPiece: the id of a token is its line, from 0; of a token on two lines, the second.
fn word_piece(
    path: &Path,
    special: &SpecialTokens,
    normalizer: &BertNormalizer,
) -> Result<Value, TokenizerError> {
    let vocabulary: Map<String, Value> = lines(&input::text(path)?)
        .into_iter()
        .enumerate()
        .map(|(id, token)| (token, id.into()))
        .collect();
    let [cls, sep] = ["cls_token", "sep_token"].map(|field| id(path, special, field, &vocabulary));
    let ((cls, cls_id), (sep, sep_id)) = (cls?, sep?);
    let token = |token: &str, kind: u32| json!({"SpecialToken": {"id": token, "type_id": kind}});
    let text = |text: &str, kind: u32| json!({"Sequence": {"id": text, "type_id": kind}});
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "decoder": null,
        "normalizer": normalizer,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [token(cls, 0), text("A", 0), token(sep, 0)],
            "pair": [token(cls, 0), text("A", 0), token(sep, 0), text("B", 1), token(sep, 1)],
            "special_tokens": {
                cls: {"id": cls, "ids": [cls_id], "tokens": [cls]},
                sep: {"id": sep, "ids": [sep_id], "tokens": [sep]},
            },
        },
        "model": {"type": "WordPiece", "unk_token": special.text("unk_token").unwrap_or("[UNK]"),
                  "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                  "vocab": vocabulary},
    }))
}

/// RoBERTa's byte-level BPE.
fn byte_level_bpe(
    path: &Path,
    merges_file: &Path,
    special: &SpecialTokens,
) -> Result<Value, TokenizerError> {
    let fields = Fields::read(path)?;
    let vocabulary = fields.map();
    let text = universal(&input::text(merges_file)?);
    // what follows the last line break is no merge
    let rows = text.rsplit_once('\n').map_or("", |(rows, _)| rows);
    let merges = merges(merges_file, rows, usize::MAX)?;
    let [cls, sep] = ["cls_token", "sep_token"].map(|field| id(path, special, field, vocabulary));
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "decoder": null,
        "normalizer": null,
        // whether a space goes before a text is left to the settings
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                          "use_regex": true},
        "post_processor": {"type": "RobertaProcessing", "cls": cls?, "sep": sep?,
                           "trim_offsets": true, "add_prefix_space": false},
        "model": {"type": "BPE", "dropout": null, "unk_token": null,
                  "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false,
                  "byte_fallback": false, "ignore_merges": false,
                  "vocab": vocabulary, "merges": merges},
    }))
}

/// Most merges that CLIP's tokenizer reads: those of its vocabulary of 49,408, less 256 bytes twice and two special
/// tokens.
const CLIP_MERGES: usize = 49_152 - 256 - 2;

/// End of a word's last token.
pub(super) const CLIP_SUFFIX: &str = "</w>";

/// What CLIP's tokenizer makes of a text first.
pub(super) fn clip_normalizer() -> Value {
    json!({"type": "Sequence", "normalizers": [
        {"type": "NFC"},
        {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
        {"type": "Lowercase"},
    ]})
}

/// How CLIP's tokenizer divides a text into words of bytes.
pub(super) fn clip_pre_tokenizer() -> Value {
    json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "behavior": "Removed", "invert": true, "pattern":
            {"Regex": r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"}},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
    ]})
}

/// CLIP's BPE: words in lower case, whose last token ends in `</w>`.
fn clip(path: &Path, merges_file: &Path, special: &SpecialTokens) -> Result<Value, TokenizerError> {
    let fields = Fields::read(path)?;
    let vocabulary = fields.map();
    let text = universal(&input::text(merges_file)?);
    let merges = merges(merges_file, text.trim_end(), CLIP_MERGES)?;
    let [bos, eos, unknown] =
        ["bos_token", "eos_token", "unk_token"].map(|field| id(path, special, field, vocabulary));
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "decoder": null,
        "normalizer": clip_normalizer(),
        "pre_tokenizer": clip_pre_tokenizer(),
        "post_processor": {"type": "RobertaProcessing", "cls": bos?, "sep": eos?,
                           "trim_offsets": false, "add_prefix_space": false},
        "model": {"type": "BPE", "dropout": null, "unk_token": unknown?.0,
                  "continuing_subword_prefix": "", "end_of_word_suffix": CLIP_SUFFIX, "fuse_unk": false,
                  "byte_fallback": false, "ignore_merges": false,
                  "vocab": vocabulary, "merges": merges},
    }))
}

/// At most `most` merges of a file's text. Its first line is a comment whatever it says; of a merge on two lines, the
/// first counts.
fn merges(path: &Path, text: &str, most: usize) -> Result<Vec<Value>, TokenizerError> {
    let mut seen = HashSet::new();
    let mut merges = Vec::new();
    for (at, row) in text.split('\n').enumerate().skip(1).take(most) {
        let pair: Vec<&str> = row.split_whitespace().collect();
        let &[left, right] = pair.as_slice() else {
            return Err(TokenizerError::File {
                path: path.to_owned(),
                reason: format!(
                    "line {}: expected two tokens with a space between, found {}",
                    at + 1,
                    pair.len()
                ),
            });
        };
        if seen.insert((left, right)) {
            merges.push(json!([left, right]));
        }
    }
    Ok(merges)
}

/// The special token that a field names, and its id.
fn id<'a>(
    path: &Path,
    special: &'a SpecialTokens,
    field: &'static str,
    vocabulary: &Map<String, Value>,
) -> Result<(&'a str, u64), TokenizerError> {
    let wrong = |reason: String| TokenizerError::File {
        path: path.to_owned(),
        reason,
    };
    let token = special
        .text(field)
        .ok_or_else(|| wrong(format!("the tokenizer's settings name no `{field}`")))?;
    let id = vocabulary.get(token).and_then(Value::as_u64);
    let id = id.ok_or_else(|| {
        wrong(format!(
            "has no token `{}`, the tokenizer's `{field}`",
            quote(token)
        ))
    })?;
    Ok((token, id))
}

/// Line breaks as Python reads them: `\r\n` and `\r` are one.
fn universal(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The lines of a text; an empty one at the end is none.
fn lines(text: &str) -> Vec<String> {
    let text = universal(text);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    text.split('\n').map(str::to_owned).collect()
}
