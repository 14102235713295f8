//! What may name an experiment or a profile: names become folders.

use crate::input::{Problem, quote};

/// Most characters of a name.
const LONGEST: usize = 100;
/// The rule as a regular expression, for the JSON schema.
pub(super) const PATTERN: &str = "^[A-Za-z0-9_-]([A-Za-z0-9_.-]{0,98}[A-Za-z0-9_-])?$";

/// What is wrong with a name; `None` when nothing is.
pub(super) fn problem(name: &str) -> Option<Problem> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let length = name.chars().count();
    let why = if name.is_empty() {
        "it is empty".to_owned()
    } else if let Some(wrong) = name.chars().find(|&c| !allowed(c)) {
        format!("it has `{}`", quote(&wrong.to_string()))
    } else if name.starts_with('.') || name.ends_with('.') {
        "`.` stands at its begin or end".to_owned()
    } else if length > LONGEST {
        format!("it has {length} characters")
    } else {
        return None;
    };
    Some(Problem::new(format!(
        "`{}` cannot be a name: {why}; allowed: letters (A to Z), digits, `-`, `_`, and `.` inside, at most {LONGEST} characters",
        quote(name)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_and_not_paths() {
        let longest = "a".repeat(LONGEST);
        let pattern = regex::Regex::new(PATTERN).unwrap();
        for name in ["a", "figure-3_b", "v1.2", "-", "2026", "a..b", &longest] {
            assert_eq!(problem(name), None, "{name}");
            assert!(pattern.is_match(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "../a",
            "a/b",
            "/tmp/x",
            "a\\b",
            "a b",
            "é",
            "a\0b",
            "a\n",
            ".a",
            "a.",
            "~",
            &(longest + "a"),
        ] {
            let found = problem(name).unwrap().message;
            assert!(found.contains("cannot be a name"), "{name}");
            assert!(!pattern.is_match(name), "{name}");
        }
    }
}
