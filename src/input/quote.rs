//! How a message repeats what a user wrote.

/// Most characters that [`quote`] keeps: three of them in one message are still less than 200.
const LONGEST: usize = 60;

/// `text` as a message quotes it: its first 60 characters, `…` where something was left out, control characters
/// escaped.
pub fn quote(text: &str) -> String {
    shorten(text, LONGEST)
}

/// [`quote`] for the name of a tensor, module or block, whose end says which it is: its first 120 characters.
pub fn quote_name(name: &str) -> String {
    shorten(name, 120)
}

/// Names in a row: as many as fit into about 180 characters, each cut by [`quote`], and the number of the others;
/// "nothing" when there are none.
pub fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let mut room = 180_usize;
    let mut shown: Vec<String> = Vec::new();
    for name in names {
        let name = quote(name.as_ref());
        room = room.saturating_sub(name.chars().count() + 2);
        if room == 0 && !shown.is_empty() {
            break;
        }
        shown.push(name);
    }
    match names.len() - shown.len() {
        0 if shown.is_empty() => return "nothing".to_owned(),
        0 => {}
        left => shown.push(format!("and {left} more")),
    }
    shown.join(", ")
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

    #[test]
    fn long_lists_are_cut_to_a_few_names_and_a_count() {
        assert_eq!(listed::<&str>(&[]), "nothing");
        assert_eq!(listed(&["a", "b"]), "a, b");
        let long = "n".repeat(1000);
        let cut = quote(&long);
        assert_eq!(listed(&[&long, "b"]), format!("{cut}, b"));
        assert_eq!(listed(&[&long; 9]), format!("{cut}, {cut}, and 7 more"));
        let names: Vec<String> = (0..5000).map(|i| format!("block.{i}")).collect();
        let text = listed(&names);
        assert!(text.starts_with("block.0, block.1, ") && text.ends_with(" more"));
        assert!(text.chars().count() < 200, "{text}");
    }
}
