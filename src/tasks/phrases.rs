//! What tasks of sentences share: a grammar that makes them, and the ways to transform one.
//!
//! A sentence is words separated by single spaces, in ASCII.

mod grammar;

pub use grammar::sentence;

/// Whether a letter is one of a, e, i, o, u in either case.
pub fn is_vowel(letter: char) -> bool {
    matches!(letter.to_ascii_lowercase(), 'a' | 'e' | 'i' | 'o' | 'u')
}

/// Whether a character is a letter and no vowel.
pub fn is_consonant(letter: char) -> bool {
    letter.is_ascii_alphabetic() && !is_vowel(letter)
}

/// The words in reverse order.
pub fn reverse_words(sentence: &str) -> String {
    sentence.split(' ').rev().collect::<Vec<_>>().join(" ")
}

/// Every word as `change` makes it.
pub fn each_word(sentence: &str, change: impl FnMut(&str) -> String) -> String {
    sentence
        .split(' ')
        .map(change)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The first letter of a word, or of a sentence, in upper case.
pub fn capitalise(word: &str) -> String {
    match word.split_at_checked(1) {
        Some((first, rest)) => first.to_ascii_uppercase() + rest,
        None => word.to_owned(),
    }
}

/// Every word twice.
pub fn repeat_words(sentence: &str) -> String {
    each_word(sentence, |word| format!("{word} {word}"))
}

/// What `between` gives, between any two words.
pub fn insert_between_words(sentence: &str, mut between: impl FnMut() -> String) -> String {
    let mut words = sentence.split(' ');
    let mut text = words.next().unwrap_or_default().to_owned();
    for word in words {
        text += &format!(" {} {word}", between());
    }
    text
}

/// `*` for every vowel.
pub fn star_vowels(sentence: &str) -> String {
    let star = |letter| if is_vowel(letter) { '*' } else { letter };
    sentence.chars().map(star).collect()
}

/// The characters that `keep` keeps.
pub fn only(sentence: &str, keep: impl Fn(char) -> bool) -> String {
    sentence.chars().filter(|&letter| keep(letter)).collect()
}

/// The characters that `twice` names two times.
pub fn double(sentence: &str, twice: impl Fn(char) -> bool) -> String {
    let times = |letter| if twice(letter) { 2 } else { 1 };
    let letters = sentence.chars();
    letters
        .flat_map(|letter| std::iter::repeat_n(letter, times(letter)))
        .collect()
}
