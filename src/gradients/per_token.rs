//! What every target token contributes to an example's gradient: which tokens carry its influence.
//!
//! The loss of an example is a sum over its target tokens, L = Σ_p w ℓ_p with w = 1 or 1/T ([`Reduction`]), and so are its
//! gradient, g = Σ_p w ∂ℓ_p, and its score −uᵀg with u = (F + λI)⁻¹v. A row w ∂ℓ_p is the gradient of an example that has
//! token p for its only target, which is how it is taken: an example with T targets costs T passes.

use super::{GradientError, GradientSink, per_example};
use crate::data::{Inputs, NextToken, Reduction, Split, Targets, TokenTargets};
use crate::models::Model;

/// A target token of an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// The example.
    pub example: usize,
    /// The token, and the position that predicts it.
    pub next: NextToken,
}

/// The target tokens of `examples`, in their order: the rows of [`collect`]. None of targets that are no tokens.
pub fn rows(split: &Split, examples: &[usize]) -> Vec<TokenRow> {
    let Targets::Tokens(targets) = &split.targets else {
        return Vec::new();
    };
    let of_example = |&example: &usize| {
        let tokens = targets.examples[example].iter();
        tokens.map(move |&next| TokenRow { example, next })
    };
    examples.iter().flat_map(of_example).collect()
}

/// The contributions w ∂ℓ_p of the target tokens `rows` into `sink`, row i for token i; returns the losses ℓ_p.
///
/// # Errors
/// When a loss is not finite, or the sink refuses.
///
/// # Panics
/// When the targets of the split are no tokens.
pub fn collect(
    model: &Model,
    split: &Split,
    rows: &[TokenRow],
    tokens: usize,
    sink: &mut dyn GradientSink,
) -> Result<Vec<f32>, GradientError> {
    let Targets::Tokens(targets) = &split.targets else {
        panic!("targets that are no tokens have no gradients by token")
    };
    let weight = |row: &TokenRow| match targets.reduction {
        Reduction::Mean => 1.0 / targets.examples[row.example].len() as f32,
        Reduction::Sum => 1.0,
    };
    let examples: Vec<usize> = rows.iter().map(|row| row.example).collect();
    let alone = Split {
        inputs: repeated(&split.inputs, &examples),
        targets: Targets::Tokens(TokenTargets {
            examples: rows.iter().map(|row| vec![row.next]).collect(),
            ..targets.select(&[])
        }),
    };
    let mut weighted = Weighted {
        sink,
        weights: rows.iter().map(weight).collect(),
        widths: {
            let tensors = super::tensors(model, &split.targets).into_iter();
            tensors
                .map(|tensor| tensor.shape.iter().product())
                .collect()
        },
    };
    per_example::collect(model, &alone, tokens, &mut weighted)
}

/// The inputs of `examples`, which may name one several times.
fn repeated(inputs: &Inputs, examples: &[usize]) -> Inputs {
    fn chosen<T: Clone>(all: &[T], examples: &[usize]) -> Vec<T> {
        examples
            .iter()
            .map(|&example| all[example].clone())
            .collect()
    }
    match inputs {
        Inputs::Tokens {
            ids,
            types,
            attended,
            vocabulary,
            max_length,
        } => Inputs::Tokens {
            ids: chosen(ids, examples),
            types: match types.is_empty() {
                true => Vec::new(),
                false => chosen(types, examples),
            },
            attended: attended.as_ref().map(|attended| chosen(attended, examples)),
            vocabulary: *vocabulary,
            max_length: *max_length,
        },
        Inputs::Activations {
            rows,
            attended,
            width,
            layer,
        } => Inputs::Activations {
            rows: chosen(rows, examples),
            attended: attended.as_ref().map(|attended| chosen(attended, examples)),
            width: *width,
            layer: *layer,
        },
        _ => unreachable!("tokens are predicted from tokens"),
    }
}

/// Rows times a number of their own.
struct Weighted<'a> {
    sink: &'a mut dyn GradientSink,
    weights: Vec<f32>,
    widths: Vec<usize>,
}

impl GradientSink for Weighted<'_> {
    fn write_rows(
        &mut self,
        tensor: usize,
        first_row: usize,
        rows: &[f32],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let of_rows = rows.chunks_exact(self.widths[tensor]);
        let weighted = of_rows.zip(&self.weights[first_row..]);
        let weighted: Vec<f32> = weighted
            .flat_map(|(row, weight)| row.iter().map(move |value| weight * value))
            .collect();
        self.sink.write_rows(tensor, first_row, &weighted)
    }
}
