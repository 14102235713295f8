//! A small grammar: some two million different sentences.

use rand::RngExt;
use rand::seq::IndexedRandom;

use crate::random::Rng;

const SUBJECTS: [&str; 40] = [
    "cat", "dog", "horse", "rabbit", "teacher", "doctor", "painter", "farmer", "train", "bus",
    "ship", "lorry", "river", "lake", "ocean", "stream", "apple", "pear", "melon", "cherry",
    "piano", "violin", "guitar", "drum", "chair", "table", "lamp", "cupboard", "shirt", "jacket",
    "scarf", "glove", "oak", "willow", "maple", "birch", "storm", "wind", "fog", "thunder",
];
const ADJECTIVES: [&str; 12] = [
    "small", "old", "quiet", "bright", "heavy", "green", "famous", "strange", "broken", "gentle",
    "cold", "lucky",
];
const VERBS: [&str; 12] = [
    "follows",
    "surprises",
    "passes",
    "reaches",
    "finds",
    "leaves",
    "covers",
    "watches",
    "meets",
    "escapes",
    "touches",
    "resembles",
];
const OBJECTS: [&str; 12] = [
    "house", "garden", "bridge", "window", "market", "castle", "village", "forest", "mirror",
    "street", "island", "tower",
];
const CLOSINGS: [&str; 10] = [
    "in the morning",
    "before dinner",
    "every summer",
    "without a sound",
    "near the harbour",
    "after the rain",
    "for a moment",
    "at midnight",
    "once again",
    "on sunday",
];

/// A random sentence in lower case, four to eight words.
pub fn sentence(rng: &mut Rng) -> String {
    fn one(words: &'static [&'static str], rng: &mut Rng) -> &'static str {
        words
            .choose(rng)
            .copied()
            .expect("word lists are not empty")
    }
    let subject = one(&SUBJECTS, rng);
    let (first, second) = (one(&ADJECTIVES, rng), one(&ADJECTIVES, rng));
    let (verb, object, closing) = (one(&VERBS, rng), one(&OBJECTS, rng), one(&CLOSINGS, rng));
    match rng.random_range(0..4) {
        0 => format!("the {first} {subject} {verb} the {object} {closing}"),
        1 => format!("a {subject} {verb} the {second} {object} {closing}"),
        2 => format!("{closing} the {subject} {verb} a {second} {object}"),
        _ => format!("this {first} {subject} always {verb} a {object}"),
    }
}
