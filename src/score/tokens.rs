//! Gradients by token: their file, and the list of what its rows are.

use std::path::{Path, PathBuf};

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::gradients::store::GradientStore;
use crate::influence::Parts;
use crate::input::{self, InputError};

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

/// Gradients by token with what they belong to.
pub(super) struct ByToken {
    gradients: GradientStore,
    examples: Vec<usize>,
    pub tokens: Vec<ScoredToken>,
}

impl ByToken {
    /// `gradients`, which are in `path`, with the list beside it.
    ///
    /// # Errors
    /// A list that cannot be read.
    pub(super) fn new(gradients: GradientStore, path: &Path) -> Result<Self, InputError> {
        let tokens: Vec<ScoredToken> = input::json(&token_file(path))?;
        Ok(Self {
            gradients,
            examples: tokens.iter().map(|token| token.example).collect(),
            tokens,
        })
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        Parts {
            gradients: &self.gradients,
            examples: &self.examples,
        }
    }

    /// The worst |Σ_p score of token p − score of the example| over the largest |score| of a row, over the examples that
    /// have tokens.
    pub(super) fn difference(&self, scores: &Array2<f64>, tokens: &Array2<f64>) -> f64 {
        let rows = scores.rows().into_iter().zip(tokens.rows());
        let of_row = rows.map(|(scores, tokens)| {
            let mut left: Vec<Option<f64>> = vec![None; scores.len()];
            for (&example, token) in self.examples.iter().zip(tokens) {
                *left[example].get_or_insert(-scores[example]) += token;
            }
            let largest = scores
                .iter()
                .fold(f64::MIN_POSITIVE, |max, s| max.max(s.abs()));
            let worst = left
                .iter()
                .flatten()
                .fold(0.0f64, |max, left| max.max(left.abs()));
            worst / largest
        });
        of_row.fold(0.0, f64::max)
    }
}
