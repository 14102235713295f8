//! Sentences under one of ten transformations; classify which one was applied.
//!
//! A small grammar makes the sentences; the input is the transformed sentence, cut at `max_length`
//! tokens. The base is pretrained on other, untransformed sentences, to tell the ten kinds of subject,
//! so that it learns the alphabet without having seen a transformation.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::seq::IndexedRandom;

use super::{Inputs, Split, TaskData, TaskError, Truth, flip, require};
use crate::config::task::{SentencesTask, TokenLevel};
use crate::random::{self, Rng};

/// The transformations, in the order of their classes.
pub const TRANSFORMATIONS: [&str; 10] = [
    "reverse the order of the words",
    "capitalise every other letter",
    "insert a number between words",
    "replace vowels with *",
    "double every consonant",
    "capitalise every word",
    "remove the vowels",
    "move every letter on by one",
    "write in capitals",
    "repeat every word",
];

const SUBJECTS: [[&str; 4]; 10] = [
    ["cat", "dog", "horse", "rabbit"],
    ["teacher", "doctor", "painter", "farmer"],
    ["train", "bus", "ship", "lorry"],
    ["river", "lake", "ocean", "stream"],
    ["apple", "pear", "melon", "cherry"],
    ["piano", "violin", "guitar", "drum"],
    ["chair", "table", "lamp", "cupboard"],
    ["shirt", "jacket", "scarf", "glove"],
    ["oak", "willow", "maple", "birch"],
    ["storm", "wind", "fog", "thunder"],
];
const ADJECTIVES: [&str; 12] = ["small", "old", "quiet", "bright", "heavy", "green", "famous", "strange", "broken", "gentle", "cold", "lucky"];
const VERBS: [&str; 12] = ["follows", "surprises", "passes", "reaches", "finds", "leaves", "covers", "watches", "meets", "escapes", "touches", "resembles"];
const OBJECTS: [&str; 12] = ["house", "garden", "bridge", "window", "market", "castle", "village", "forest", "mirror", "street", "island", "tower"];
const CLOSINGS: [&str; 10] =
    ["in the morning", "before dinner", "every summer", "without a sound", "near the harbour", "after the rain", "for a moment", "at midnight", "once again", "on sunday"];

/// # Errors
/// When a size is 0 or `max_length` is too short for a sentence to show anything.
pub fn build(config: &SentencesTask, seed: u64) -> Result<TaskData, TaskError> {
    require("task.train", config.train, 1)?;
    require("task.query", config.query, 1)?;
    require("task.max_length", config.max_length, 8)?;
    let classes = TRANSFORMATIONS.len();
    let draw = |count: usize, purpose: &str, transformed: bool| -> (Vec<String>, Vec<usize>) {
        let mut rng = random::rng(seed, "sentences", purpose);
        let labels: Vec<usize> = (0..count).map(|index| index % classes).collect();
        let texts = labels
            .iter()
            .map(|&class| {
                if transformed {
                    let subject = rng.random_range(0..SUBJECTS.len());
                    let sentence = sentence(subject, &mut rng);
                    transform(class, &sentence, &mut rng)
                } else {
                    sentence(class, &mut rng)
                }
            })
            .collect();
        (texts, labels)
    };
    let (train, train_classes) = draw(config.train, "train", true);
    let (query, query_classes) = draw(config.query, "query", true);
    let (plain, subjects) = draw(config.train, "pretrain", false);
    let vocabulary = Vocabulary::new(config.level, train.iter().chain(&plain));
    let split = |texts: &[String], labels: Vec<usize>| Split {
        inputs: Inputs::Tokens {
            ids: texts.iter().map(|text| vocabulary.ids(text, config.max_length)).collect(),
            vocabulary: vocabulary.len(),
            max_length: config.max_length,
        },
        labels,
    };
    let mut labels = train_classes.clone();
    let flipped = flip::flip(&mut labels, classes, config.flip, &mut random::rng(seed, "sentences", "flip"));
    Ok(TaskData {
        train: split(&train, labels),
        query: split(&query, query_classes.clone()),
        pretrain: Some((split(&plain, subjects), SUBJECTS.len())),
        classes,
        truth: Truth { flipped: (config.flip > 0.0).then_some(flipped), train_classes: Some(train_classes), query_classes: Some(query_classes) },
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
        let tokens: std::collections::BTreeSet<String> = match level {
            TokenLevel::Char => (' '..='~').map(String::from).collect(),
            TokenLevel::Word => texts.flat_map(|text| text.split(' ').map(str::to_owned)).collect(),
        };
        Self { level, ids: tokens.into_iter().zip(UNKNOWN + 1..).collect() }
    }

    fn len(&self) -> usize {
        self.ids.len() + UNKNOWN as usize + 1
    }

    fn ids(&self, text: &str, max_length: usize) -> Vec<u32> {
        let id = |token: &str| self.ids.get(token).copied().unwrap_or(UNKNOWN);
        match self.level {
            TokenLevel::Char => text.chars().take(max_length).map(|letter| id(letter.encode_utf8(&mut [0; 4]))).collect(),
            TokenLevel::Word => text.split(' ').take(max_length).map(id).collect(),
        }
    }
}

/// A sentence whose subject is of kind `subject`, in lower case.
fn sentence(subject: usize, rng: &mut Rng) -> String {
    fn one(words: &'static [&'static str], rng: &mut Rng) -> &'static str {
        words.choose(rng).copied().expect("word lists are not empty")
    }
    let subject = one(&SUBJECTS[subject], rng);
    let (first, second) = (one(&ADJECTIVES, rng), one(&ADJECTIVES, rng));
    let (verb, object, closing) = (one(&VERBS, rng), one(&OBJECTS, rng), one(&CLOSINGS, rng));
    match rng.random_range(0..4) {
        0 => format!("the {first} {subject} {verb} the {object} {closing}"),
        1 => format!("a {subject} {verb} the {second} {object} {closing}"),
        2 => format!("{closing} the {subject} {verb} a {second} {object}"),
        _ => format!("this {first} {subject} always {verb} a {object}"),
    }
}

fn is_vowel(letter: char) -> bool {
    matches!(letter.to_ascii_lowercase(), 'a' | 'e' | 'i' | 'o' | 'u')
}

/// Applies transformation `class` (an index of [`TRANSFORMATIONS`]); only the numbers inserted are random.
fn transform(class: usize, sentence: &str, rng: &mut Rng) -> String {
    let words: Vec<&str> = sentence.split(' ').collect();
    let capitalised = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    match class {
        0 => words.into_iter().rev().collect::<Vec<_>>().join(" "),
        1 => {
            let mut upper = true;
            let alternate = |letter: char| {
                if !letter.is_ascii_alphabetic() {
                    return letter;
                }
                upper = !upper;
                if upper { letter } else { letter.to_ascii_uppercase() }
            };
            sentence.chars().map(alternate).collect()
        }
        2 => {
            let mut text = words[0].to_owned();
            for word in &words[1..] {
                text += &format!(" {} {word}", rng.random_range(0..10));
            }
            text
        }
        3 => sentence.chars().map(|letter| if is_vowel(letter) { '*' } else { letter }).collect(),
        4 => sentence.chars().flat_map(|letter| std::iter::repeat_n(letter, if letter.is_ascii_alphabetic() && !is_vowel(letter) { 2 } else { 1 })).collect(),
        5 => words.into_iter().map(capitalised).collect::<Vec<_>>().join(" "),
        6 => sentence.chars().filter(|&letter| !is_vowel(letter)).collect(),
        7 => sentence.chars().map(|letter| if letter.is_ascii_lowercase() { ((letter as u8 - b'a' + 1) % 26 + b'a') as char } else { letter }).collect(),
        8 => sentence.to_ascii_uppercase(),
        _ => words.into_iter().map(|word| format!("{word} {word}")).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transformations_do_what_they_say() {
        let mut rng = random::rng(1, "test", "sentences");
        let expected = [
            "zoo a in cats", "CaTs In A zOo", "", "c*ts *n * z**", "ccattss inn a zzoo", "Cats In A Zoo", "cts n  z", "dbut jo b app", "CATS IN A ZOO",
            "cats cats in in a a zoo zoo",
        ];
        for (class, expected) in expected.into_iter().enumerate().filter(|(class, _)| *class != 2) {
            assert_eq!(transform(class, "cats in a zoo", &mut rng), expected, "{}", TRANSFORMATIONS[class]);
        }
        let numbered = transform(2, "cats in a zoo", &mut rng);
        let words: Vec<&str> = numbered.split(' ').collect();
        assert_eq!((words.len(), words[0], words[2], words[4], words[6]), (7, "cats", "in", "a", "zoo"));
        assert!(words[1].parse::<u8>().is_ok());
    }

    #[test]
    fn classes_are_even_and_lengths_kept() {
        for level in [TokenLevel::Char, TokenLevel::Word] {
            let config = SentencesTask { level, max_length: 40, flip: 0.1, ..SentencesTask::default() };
            let data = build(&config, 1).unwrap();
            assert_eq!(data, build(&config, 1).unwrap());
            let Inputs::Tokens { ids, vocabulary, max_length } = &data.train.inputs else { panic!("tokens") };
            assert!(ids.iter().all(|ids| !ids.is_empty() && ids.len() <= *max_length && ids.iter().all(|&id| id > 0 && (id as usize) < *vocabulary)));
            assert!(ids.iter().any(|other| other.len() != ids[0].len()), "lengths vary");
            for class in 0..10 {
                assert_eq!(data.truth.query_classes.as_ref().unwrap().iter().filter(|&&label| label == class).count(), 10);
            }
            assert_eq!(data.truth.flipped.unwrap().iter().filter(|&&flipped| flipped).count(), 90);
        }
        assert!(build(&SentencesTask { max_length: 2, ..SentencesTask::default() }, 1).is_err());
    }
}
