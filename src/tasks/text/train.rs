//! A tokenizer of CLIP's kind learnt on captions: byte-level BPE (Sennrich et al., 2016) of lower-case words.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{
    NormalizedString, Normalizer, NormalizerWrapper, OffsetReferential, OffsetType,
    PreTokenizedString, PreTokenizer, PreTokenizerWrapper,
};

use super::error::TokenizerError;
use super::vocabulary::{CLIP_SUFFIX, clip_normalizer, clip_pre_tokenizer};
use crate::checkpoints::layout::{BPE_FILES, SPECIAL_TOKENS_FILE, TOKENIZER_CONFIG_FILE};

/// Start and end of a caption; the end fills captions up and stands for what is unknown, as in Stable Diffusion 1.x.
const SPECIAL: [&str; 2] = ["<|startoftext|>", "<|endoftext|>"];

/// The files of a tokenizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerFiles {
    /// Names and contents: `vocab.json`, `merges.txt` and settings.
    pub files: Vec<(&'static str, String)>,
    /// Number of tokens, the last two of them start and end.
    pub vocabulary: usize,
}

/// Learns at most `vocabulary` tokens, 514 or more, on `captions`: 256 bytes within a word and 256 at its end, as CLIP's,
/// and then the most frequent pair of neighbours at every step, of several the one whose tokens were learnt first, as long
/// as a pair is there twice. The trainer of the crate tokenizers numbers the ends of words by the order of a hash map, so
/// that two runs learn different tokens.
///
/// # Errors
/// What the crate tokenizers says of a caption.
pub fn clip(
    captions: &[&str],
    vocabulary: usize,
    length: usize,
) -> Result<TokenizerFiles, TokenizerError> {
    let failed = |reason: &dyn std::fmt::Display| TokenizerError::Training {
        reason: reason.to_string(),
    };
    let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    let within = alphabet.iter().map(char::to_string);
    let at_end = alphabet.iter().map(|byte| format!("{byte}{CLIP_SUFFIX}"));
    let mut tokens: Vec<String> = within.chain(at_end).collect();
    let number: BTreeMap<char, usize> = alphabet.iter().copied().zip(0..).collect();
    let mut words: Vec<(Vec<usize>, usize)> = words(captions)
        .map_err(|error| failed(&error))?
        .into_iter()
        .map(|(word, count)| {
            let mut ids: Vec<usize> = word.chars().map(|byte| number[&byte]).collect();
            ids.iter_mut()
                .last()
                .into_iter()
                .for_each(|last| *last += alphabet.len());
            (ids, count)
        })
        .collect();
    let mut merges = Vec::new();
    while tokens.len() + SPECIAL.len() < vocabulary {
        let mut pairs: BTreeMap<[usize; 2], usize> = BTreeMap::new();
        for (ids, count) in &words {
            for pair in ids.windows(2) {
                *pairs.entry([pair[0], pair[1]]).or_default() += count;
            }
        }
        // of equal counts the first
        let best = pairs.into_iter().rev().max_by_key(|(_, count)| *count);
        let Some((pair, _)) = best.filter(|(_, count)| *count > 1) else {
            break;
        };
        let joined = pair.map(|id| tokens[id].clone());
        for (ids, _) in &mut words {
            join(ids, pair, tokens.len());
        }
        tokens.push(joined.concat());
        merges.push(joined.join(" "));
    }
    files(tokens, &merges, length).map_err(|error| failed(&error))
}

/// Words of bytes, as CLIP's tokenizer divides texts, and how often each is there.
fn words(captions: &[&str]) -> tokenizers::Result<BTreeMap<String, usize>> {
    let normalizer: NormalizerWrapper = serde_json::from_value(clip_normalizer())?;
    let divider: PreTokenizerWrapper = serde_json::from_value(clip_pre_tokenizer())?;
    let mut words = BTreeMap::new();
    for caption in captions {
        let mut text = NormalizedString::from(*caption);
        normalizer.normalize(&mut text)?;
        let mut text = PreTokenizedString::from(text);
        divider.pre_tokenize(&mut text)?;
        for (word, ..) in text.get_splits(OffsetReferential::Original, OffsetType::Byte) {
            if !word.is_empty() {
                *words.entry(word.to_owned()).or_default() += 1;
            }
        }
    }
    Ok(words)
}

/// Puts `new` wherever `pair` stands, from the left.
fn join(ids: &mut Vec<usize>, pair: [usize; 2], new: usize) {
    let mut at = 0;
    while at + 1 < ids.len() {
        if ids[at..at + 2] == pair {
            ids.splice(at..at + 2, [new]);
        }
        at += 1;
    }
}

fn files(
    mut tokens: Vec<String>,
    merges: &[String],
    length: usize,
) -> Result<TokenizerFiles, serde_json::Error> {
    tokens.extend(SPECIAL.iter().map(|&token| token.to_owned()));
    let numbered: serde_json::Map<String, Value> = (tokens.into_iter().zip(0_u64..))
        .map(|(token, id)| (token, id.into()))
        .collect();
    let merges: String = ["#version: 0.2"]
        .into_iter()
        .chain(merges.iter().map(String::as_str))
        .flat_map(|line| [line, "\n"])
        .collect();
    let [start, end] = SPECIAL;
    let special = json!({
        "bos_token": start, "eos_token": end, "unk_token": end, "pad_token": end,
    });
    let mut settings = special.clone();
    settings["tokenizer_class"] = "CLIPTokenizer".into();
    settings["model_max_length"] = length.into();
    let [vocabulary_file, merges_file] = BPE_FILES;
    let pretty = |value: &Value| Ok(serde_json::to_string_pretty(value)? + "\n");
    Ok(TokenizerFiles {
        vocabulary: numbered.len(),
        files: vec![
            (vocabulary_file, serde_json::to_string(&numbered)?),
            (merges_file, merges),
            (SPECIAL_TOKENS_FILE, pretty(&special)?),
            (TOKENIZER_CONFIG_FILE, pretty(&settings)?),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_pairs_are_joined_from_the_left() {
        // l o w x 5, l o w e r x 2, n e w e s t x 6, w i d e s t x 3: the example of Sennrich et al.
        let text = ["low "; 5].concat()
            + &["Lower "; 2].concat()
            + &["newest "; 6].concat()
            + &["widest "; 3].concat();
        let found = clip(&[&text, ""], 514 + 6, 12).unwrap();
        let file = |name: &str| {
            let found = found.files.iter().find(|(file, _)| *file == name);
            found.unwrap().1.clone()
        };
        let merges = file("merges.txt");
        let merges: Vec<&str> = merges.lines().collect();
        // 9 of "e s" and of "s t</w>", of which e is learnt before s; 7 of "l o" before "o w" is divided into two kinds
        let expected = [
            "#version: 0.2",
            "e s",
            "es t</w>",
            "l o",
            "e w",
            "n ew",
            "new est</w>",
        ];
        assert_eq!(merges, expected);
        let vocabulary: BTreeMap<String, usize> =
            serde_json::from_str(&file("vocab.json")).unwrap();
        assert_eq!((found.vocabulary, vocabulary.len()), (520, 520));
        assert_eq!(vocabulary["!"], 0);
        assert_eq!(vocabulary["!</w>"], 256);
        assert_eq!(vocabulary["es"], 512);
        assert_eq!(vocabulary["<|endoftext|>"], 519);
        assert_eq!(clip(&[&text, ""], 520, 12).unwrap(), found);
        // no pair is there twice
        assert_eq!(clip(&["abc"], 600, 12).unwrap().vocabulary, 514);
    }
}
