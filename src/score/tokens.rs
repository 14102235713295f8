//! Gradients by token: their file, and the list of what its rows are.

use std::path::Path;

use ndarray::Array2;

use crate::gradients::store::GradientStore;
use crate::gradients::token_list::{ScoredToken, token_file};
use crate::influence::Parts;
use crate::input::{self, InputError};

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
