//! The transformations of a sentence: ten to be told apart, and ten others to pretrain on.
//!
//! Sentences are lower-case ASCII words separated by single spaces.

use rand::RngExt;

use crate::random::Rng;
use crate::tasks::phrases::{self, is_consonant, is_vowel};

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

/// Applies transformation `class`, an index of [`TRANSFORMATIONS`]; only the numbers inserted are random.
pub fn transform(class: usize, sentence: &str, rng: &mut Rng) -> String {
    match class {
        0 => phrases::reverse_words(sentence),
        1 => {
            let mut upper = true;
            let alternate = |letter: char| {
                if !letter.is_ascii_alphabetic() {
                    return letter;
                }
                upper = !upper;
                if upper {
                    letter
                } else {
                    letter.to_ascii_uppercase()
                }
            };
            sentence.chars().map(alternate).collect()
        }
        2 => phrases::insert_between_words(sentence, || rng.random_range(0..10).to_string()),
        3 => phrases::star_vowels(sentence),
        4 => phrases::double(sentence, is_consonant),
        5 => phrases::each_word(sentence, phrases::capitalise),
        6 => phrases::only(sentence, |letter| !is_vowel(letter)),
        7 => shift(sentence, 1),
        8 => sentence.to_ascii_uppercase(),
        _ => phrases::repeat_words(sentence),
    }
}

/// Other transformations, for the base: it sees capitals, digits and signs, but none of
/// [`TRANSFORMATIONS`]. In the order of their classes.
pub const PRETRAINING: [&str; 10] = [
    "leave as it is",
    "reverse the letters of every word",
    "capitalise the vowels",
    "join the words by hyphens",
    "put a number after every word",
    "replace consonants with #",
    "double every vowel",
    "capitalise the last letter of every word",
    "drop every other letter",
    "move every letter back by one",
];

/// Applies pretraining transformation `class`, an index of [`PRETRAINING`]; only the numbers are random.
pub fn pretrain(class: usize, sentence: &str, rng: &mut Rng) -> String {
    let capital_vowel = |letter: char| {
        if is_vowel(letter) {
            letter.to_ascii_uppercase()
        } else {
            letter
        }
    };
    match class {
        0 => sentence.to_owned(),
        1 => phrases::each_word(sentence, |word| word.chars().rev().collect()),
        2 => sentence.chars().map(capital_vowel).collect(),
        3 => sentence.replace(' ', "-"),
        4 => phrases::each_word(sentence, |word| {
            format!("{word}{}", rng.random_range(0..10))
        }),
        5 => {
            let hide = |letter| if is_consonant(letter) { '#' } else { letter };
            sentence.chars().map(hide).collect()
        }
        6 => phrases::double(sentence, is_vowel),
        7 => phrases::each_word(sentence, |word| {
            word[..word.len() - 1].to_owned() + &word[word.len() - 1..].to_ascii_uppercase()
        }),
        8 => sentence.chars().step_by(2).collect(),
        _ => shift(sentence, 25),
    }
}

/// Moves every letter on by `places` in the alphabet, z before a.
fn shift(sentence: &str, places: u8) -> String {
    let moved = |letter: char| ((letter as u8 - b'a' + places) % 26 + b'a') as char;
    sentence
        .chars()
        .map(|letter| {
            if letter.is_ascii_lowercase() {
                moved(letter)
            } else {
                letter
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    #[test]
    fn transformations_do_what_they_say() {
        let mut rng = random::rng(1, "test", "sentences");
        let expected = [
            "zoo a in cats",
            "CaTs In A zOo",
            "",
            "c*ts *n * z**",
            "ccattss inn a zzoo",
            "Cats In A Zoo",
            "cts n  z",
            "dbut jo b app",
            "CATS IN A ZOO",
            "cats cats in in a a zoo zoo",
        ];
        for (class, expected) in expected
            .into_iter()
            .enumerate()
            .filter(|(class, _)| *class != 2)
        {
            assert_eq!(
                transform(class, "cats in a zoo", &mut rng),
                expected,
                "{}",
                TRANSFORMATIONS[class]
            );
        }
        let numbered = transform(2, "cats in a zoo", &mut rng);
        let words: Vec<&str> = numbered.split(' ').collect();
        assert_eq!(
            (words.len(), words[0], words[2], words[4], words[6]),
            (7, "cats", "in", "a", "zoo")
        );
        assert!(words[1].parse::<u8>().is_ok());
    }

    #[test]
    fn pretraining_transformations_do_what_they_say() {
        let mut rng = random::rng(1, "test", "sentences");
        let expected = [
            "cats in a zoo",
            "stac ni a ooz",
            "cAts In A zOO",
            "cats-in-a-zoo",
            "",
            "#a## i# a #oo",
            "caats iin aa zoooo",
            "catS iN A zoO",
            "ct nazo",
            "bzsr hm z ynn",
        ];
        for (class, expected) in expected
            .into_iter()
            .enumerate()
            .filter(|(class, _)| *class != 4)
        {
            assert_eq!(
                pretrain(class, "cats in a zoo", &mut rng),
                expected,
                "{}",
                PRETRAINING[class]
            );
        }
        assert!(
            pretrain(4, "cats in", &mut rng)
                .split(' ')
                .all(|word| word.ends_with(|last: char| last.is_ascii_digit()))
        );
    }
}
