//! What is wrong with a value.

use super::nearest::did_you_mean;
use super::quote::quote;

/// What is wrong with a value, before its place in a file is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What was found and what is allowed.
    pub message: String,
    /// A suggestion.
    pub help: Option<String>,
}

impl Problem {
    /// A problem without a suggestion.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    /// The same with a suggestion.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// `found` is not one of `allowed`: names them all and the nearest.
    pub fn unknown<'a>(
        kind: &str,
        found: &str,
        allowed: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let allowed: Vec<&str> = allowed.into_iter().collect();
        let (found_as, all) = (quote(found), allowed.join(", "));
        Self {
            message: format!("unknown {kind} `{found_as}`; allowed: {all}"),
            help: did_you_mean(found, &allowed),
        }
    }
}
