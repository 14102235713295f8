//! How a message repeats what a user wrote.

/// Most characters that [`quote`] keeps: three of them in one message are still less than 200.
const LONGEST: usize = 60;

/// `text` as a message quotes it: its first 60 characters, `…` where something was left out, control characters
/// escaped.
pub fn quote(text: &str) -> String {
    shorten(text, LONGEST)
}

/// [`quote`] with room for `most` characters: for messages of other libraries, which quote input themselves.
pub fn shorten(text: &str, most: usize) -> String {
    let mut short = String::with_capacity(text.len().min(4 * most));
    for (index, character) in text.chars().enumerate() {
        if index == most {
            short.push('…');
            break;
        }
        if character.is_control() {
            short.extend(character.escape_default());
        } else {
            short.push(character);
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_stay_and_long_ones_are_cut_between_characters() {
        assert_eq!(quote("naïve"), "naïve");
        assert_eq!(quote(&"é".repeat(60)), "é".repeat(60));
        assert_eq!(quote(&"é".repeat(61)), "é".repeat(60) + "…");
        assert_eq!(quote("a\tb\u{1b}[31m\0"), "a\\tb\\u{1b}[31m\\u{0}");
        assert_eq!(shorten("abcdef", 3), "abc…");
    }
}
