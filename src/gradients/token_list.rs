//! The list of the target tokens that the rows of a file of gradients by token belong to.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A target token of a training example: a row of the gradients by token, and a column of the scores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoredToken {
    /// The example, a row of the training gradients, from 0.
    pub example: usize,
    /// The position that predicts the token, from 0.
    pub position: u32,
    /// Its id.
    pub token: u32,
    /// What it reads, where a tokenizer said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Where the list of tokens is: `P.json` beside `P.safetensors`, an array of [`ScoredToken`]s.
pub fn token_file(gradients: &Path) -> PathBuf {
    gradients.with_extension("json")
}
