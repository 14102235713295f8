//! What can stop a method.

use crate::gradients::store::StoreError;
use crate::input::quote_name;

/// What can stop a method. Not converging is no error: it is counted in
/// [`SolverDiagnostics`](super::SolverDiagnostics), and scores that are not finite are counted by whoever reads them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InfluenceError {
    /// The gradients cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The factor c of λ_l = c·tr(F_l)/d_l.
    #[error("damping is {found}, expected a positive finite number")]
    Damping {
        /// The factor given.
        found: f64,
    },
    /// Another number of λ than of blocks.
    #[error("{found} values of λ for {expected} blocks")]
    LambdaCount {
        /// Blocks of the layout.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A λ that cannot be one.
    #[error(
        "block `{}`: λ is {found}, expected a positive finite number (0 only where all gradients of the block are zero)",
        quote_name(block)
    )]
    Lambda {
        /// The block.
        block: String,
        /// Its λ.
        found: f64,
    },
    /// Gradients that are not zero, of which λ is no normal number.
    #[error(
        "block `{}`: the gradients' mean square is {found:e}, outside the range of f64; scale the gradients",
        quote_name(block)
    )]
    Squares {
        /// The block.
        block: String,
        /// tr(F)/d.
        found: f64,
    },
    /// A layout made for other tensors.
    #[error("the layout covers {expected} tensors, the gradients have {found}")]
    Layout {
        /// Tensors of the layout.
        expected: usize,
        /// Tensors of the store.
        found: usize,
    },
    /// Cholesky met a pivot that is not positive.
    #[error(
        "block `{}`: the {size}×{size} {matrix} is not positive definite at λ = {lambda:e} (pivot {pivot}): λ is below rounding error",
        quote_name(block)
    )]
    NotPositiveDefinite {
        /// The block.
        block: String,
        /// Which matrix was factorised.
        matrix: &'static str,
        /// Its size.
        size: usize,
        /// Where the factorisation stopped, from 0.
        pivot: usize,
        /// The damping.
        lambda: f64,
    },
    /// A list of tokens that is not of the gradients.
    #[error("{rows} rows of gradients by token, and a list of {examples} tokens")]
    PartCount {
        /// Rows of the gradients.
        rows: usize,
        /// Tokens listed.
        examples: usize,
    },
    /// A token of an example that is not there.
    #[error("a token of example {example}; there are {train} training examples, numbered from 0")]
    PartOf {
        /// The example.
        example: usize,
        /// Training examples.
        train: usize,
    },
    /// A method lacks what it needs beside the gradients.
    #[error("`{method}` needs {what}, which are not there")]
    Missing {
        /// The method.
        method: &'static str,
        /// What it needs.
        what: &'static str,
    },
    /// What came beside the gradients belongs to other tensors.
    #[error("tensor `{}`: {reason}", quote_name(tensor))]
    Companion {
        /// The tensor.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
    /// What came beside the gradients is of other examples.
    #[error(
        "{what} of {} training examples and {} queries came beside gradients of {} and {}",
        found[0], found[1], rows[0], rows[1]
    )]
    Examples {
        /// What.
        what: &'static str,
        /// Training examples and queries that it is of.
        found: [usize; 2],
        /// Those that the gradients are of.
        rows: [usize; 2],
    },
    /// A method that holds a dense matrix, on a block too large for it.
    #[error(
        "block `{}`: `{method}` inverts a dense {size}×{size} matrix, {limit} is the largest allowed",
        quote_name(block)
    )]
    TooLarge {
        /// The block.
        block: String,
        /// The method.
        method: &'static str,
        /// Size of the matrix.
        size: usize,
        /// The largest allowed.
        limit: usize,
    },
    /// An iteration that must converge did not.
    #[error(
        "block `{}`: residual {residual:.1e} after {iterations} iterations, {tolerance:.1e} was asked",
        quote_name(block)
    )]
    NotConverged {
        /// The block.
        block: String,
        /// ‖(F+λI)x − v‖/‖v‖, the largest over queries.
        residual: f64,
        /// Iterations made.
        iterations: usize,
        /// What was asked.
        tolerance: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_length_are_cut() {
        let block = "layer.".repeat(100_000);
        let errors = [
            InfluenceError::Lambda {
                block: block.clone(),
                found: -1.0,
            },
            InfluenceError::Squares {
                block: block.clone(),
                found: 0.0,
            },
            InfluenceError::NotPositiveDefinite {
                block: block.clone(),
                matrix: "F + λI",
                size: 3,
                pivot: 2,
                lambda: 1e-30,
            },
            InfluenceError::Companion {
                tensor: block.clone(),
                reason: "has none".to_owned(),
            },
            InfluenceError::TooLarge {
                block: block.clone(),
                method: "hyperinf",
                size: 9,
                limit: 8,
            },
            InfluenceError::NotConverged {
                block,
                residual: 0.1,
                iterations: 5,
                tolerance: 1e-6,
            },
        ];
        for error in errors {
            let text = error.to_string();
            assert!(text.contains("`layer.layer."), "{text}");
            assert!(text.matches("layer").count() <= 20, "{text}");
        }
    }
}
