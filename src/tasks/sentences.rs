//! Sentences under one of ten transformations; classify which one was applied.
//!
//! A small grammar makes the sentences; the input is the transformed sentence, cut at `max_length`
//! tokens. The base is pretrained on other sentences under ten other transformations, so that it knows
//! letters, capitals, digits and signs without having seen any of those it is fine-tuned on.

mod transformations;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::transformations::{PRETRAINING, TRANSFORMATIONS, transform};
use super::error::{TaskError, require};
use super::flip;
use super::phrases::sentence;
use super::task::Task;
use crate::data::Reads;
use crate::data::{Inputs, Split, Targets, TaskData, Truth};
use crate::random::{self, Rng};

/// Sentences that the base is pretrained on, whatever the size of the training split.
const PRETRAIN_SENTENCES: usize = 2000;

/// Sentences under one of ten transformations (reverse the words, capitalise every other letter, …),
/// from our own generator; classify the transformation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SentencesTask {
    /// Training examples, spread evenly over the ten classes.
    #[schemars(range(min = 1))]
    pub train: usize,
    /// Query examples, spread evenly over the ten classes.
    #[schemars(range(min = 1))]
    pub query: usize,
    /// Tokens are characters or words.
    pub level: TokenLevel,
    /// Longest sequence in tokens; longer ones are cut.
    #[schemars(range(min = 8, max = 512))]
    pub max_length: usize,
    /// Share of the training labels flipped uniformly to another class.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub flip: f64,
}

/// Unit of tokenisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenLevel {
    /// One token a character.
    Char,
    /// One token a word.
    Word,
}

impl Default for SentencesTask {
    fn default() -> Self {
        Self {
            train: 900,
            query: 100,
            level: TokenLevel::Char,
            max_length: 64,
            flip: 0.0,
        }
    }
}

impl Task for SentencesTask {
    fn reads(&self) -> Reads {
        Reads::Tokens
    }

    fn train(&self) -> Option<usize> {
        Some(self.train)
    }

    fn flip(&self) -> f64 {
        self.flip
    }

    fn build(&self, _: Option<&Path>, seed: u64) -> Result<TaskData, TaskError> {
        build(self, seed)
    }
}

/// The examples; the same for the same settings and seed.
///
/// # Errors
/// When a size is 0 or `max_length` is too short for a sentence to show anything.
pub fn build(config: &SentencesTask, seed: u64) -> Result<TaskData, TaskError> {
    require("task.train", config.train, 1)?;
    require("task.query", config.query, 1)?;
    require("task.max_length", config.max_length, 8)?;
    let classes = TRANSFORMATIONS.len();
    let draw = |count: usize,
                purpose: &str,
                transform: fn(usize, &str, &mut Rng) -> String|
     -> (Vec<String>, Vec<usize>) {
        let mut rng = random::rng(seed, "sentences", purpose);
        let labels: Vec<usize> = (0..count).map(|index| index % classes).collect();
        let texts = labels
            .iter()
            .map(|&class| transform(class, &sentence(&mut rng), &mut rng))
            .collect();
        (texts, labels)
    };
    let (train, train_classes) = draw(config.train, "train", transform);
    let (query, query_classes) = draw(config.query, "query", transform);
    let (others, other_classes) = draw(PRETRAIN_SENTENCES, "pretrain", transformations::pretrain);
    let vocabulary = Vocabulary::new(config.level, train.iter().chain(&others));
    let split = |texts: &[String], labels: Vec<usize>| Split {
        inputs: Inputs::Tokens {
            ids: texts
                .iter()
                .map(|text| vocabulary.ids(text, config.max_length))
                .collect(),
            types: Vec::new(),
            attended: None,
            vocabulary: vocabulary.len(),
            max_length: config.max_length,
        },
        targets: Targets::Classes(labels),
    };
    let mut labels = train_classes.clone();
    let flipped = flip::flip(
        &mut labels,
        classes,
        config.flip,
        &mut random::rng(seed, "sentences", "flip"),
    );
    Ok(TaskData {
        train: split(&train, labels),
        query: split(&query, query_classes.clone()),
        pretrain: Some((split(&others, other_classes), PRETRAINING.len())),
        classes,
        passed_over: 0,
        tuning: None,
        texts: None,
        images: None,
        truth: Truth {
            flipped: (config.flip > 0.0).then_some(flipped),
            train_classes: Some(train_classes),
            query_classes: Some(query_classes),
        },
    })
}

/// Padding and unknown tokens stand before all others.
const UNKNOWN: u32 = 1;

struct Vocabulary {
    level: TokenLevel,
    ids: BTreeMap<String, u32>,
}

impl Vocabulary {
    /// Printable ASCII for characters (the same for every seed); for words, those of `texts`.
    fn new<'a>(level: TokenLevel, texts: impl Iterator<Item = &'a String>) -> Self {
        let tokens: BTreeSet<String> = match level {
            TokenLevel::Char => (' '..='~').map(String::from).collect(),
            TokenLevel::Word => texts
                .flat_map(|text| text.split(' ').map(str::to_owned))
                .collect(),
        };
        Self {
            level,
            ids: tokens.into_iter().zip(UNKNOWN + 1..).collect(),
        }
    }

    fn len(&self) -> usize {
        self.ids.len() + UNKNOWN as usize + 1
    }

    fn ids(&self, text: &str, max_length: usize) -> Vec<u32> {
        let id = |token: &str| self.ids.get(token).copied().unwrap_or(UNKNOWN);
        match self.level {
            TokenLevel::Char => text
                .chars()
                .take(max_length)
                .map(|letter| id(letter.encode_utf8(&mut [0; 4])))
                .collect(),
            TokenLevel::Word => text.split(' ').take(max_length).map(id).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_even_and_lengths_kept() {
        for level in [TokenLevel::Char, TokenLevel::Word] {
            let config = SentencesTask {
                level,
                max_length: 40,
                flip: 0.1,
                ..SentencesTask::default()
            };
            let data = build(&config, 1).unwrap();
            assert_eq!(data, build(&config, 1).unwrap());
            let Inputs::Tokens {
                ids,
                vocabulary,
                max_length,
                ..
            } = &data.train.inputs
            else {
                panic!("tokens")
            };
            assert!(ids.iter().all(|ids| !ids.is_empty()
                && ids.len() <= *max_length
                && ids.iter().all(|&id| id > 0 && (id as usize) < *vocabulary)));
            assert!(
                ids.iter().any(|other| other.len() != ids[0].len()),
                "lengths vary"
            );
            for class in 0..10 {
                assert_eq!(
                    data.truth
                        .query_classes
                        .as_ref()
                        .unwrap()
                        .iter()
                        .filter(|&&label| label == class)
                        .count(),
                    10
                );
            }
            assert_eq!(
                data.truth
                    .flipped
                    .unwrap()
                    .iter()
                    .filter(|&&flipped| flipped)
                    .count(),
                90
            );
        }
        assert!(
            build(
                &SentencesTask {
                    max_length: 2,
                    ..SentencesTask::default()
                },
                1
            )
            .is_err()
        );
    }
}
