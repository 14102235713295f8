//! Why there are no scores.

use std::path::PathBuf;

use crate::gradients::MatrixFileError;
use crate::gradients::store::StoreError;
use crate::influence::InfluenceError;
use crate::input::InputError;

/// Why there are no scores.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// No method asked for.
    #[error("no method given")]
    NoMethod,
    /// Two methods would write the same tensor.
    #[error(
        "method `{label}` is given twice: the scores are one tensor a method, named by what was given"
    )]
    Duplicate {
        /// The string given.
        label: String,
    },
    /// The output would replace an input.
    #[error("the scores would replace {}, which is read", path.display())]
    Overwrite {
        /// The file.
        path: PathBuf,
    },
    /// The gradients cannot be read, or the scores not written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Factors or second derivatives that cannot be read.
    #[error(transparent)]
    Matrices(#[from] MatrixFileError),
    /// What came beside the gradients does not belong to them.
    #[error("beside the gradients: {0}")]
    Companion(InfluenceError),
    /// A method lacks what it needs beside the gradients.
    #[error("{label}: {source}")]
    Method {
        /// The string given.
        label: String,
        /// Why.
        source: InfluenceError,
    },
    /// The list of tokens.
    #[error(transparent)]
    Tokens(#[from] InputError),
    /// λ cannot be computed.
    #[error(transparent)]
    Damping(InfluenceError),
    /// The output format cannot hold the scores.
    #[error("cannot encode the scores for {}: {reason}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
