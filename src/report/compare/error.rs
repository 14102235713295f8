//! Why two results cannot be compared.

use std::path::PathBuf;

use thiserror::Error;

use crate::input::InputError;
use crate::results::ResultsError;

/// Why two results cannot be compared.
#[derive(Debug, Error)]
pub enum CompareError {
    /// A folder without results, or with results that cannot be read.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// A path that is none of the three.
    #[error(
        "{} is not a result: allowed are a folder of `infbench run` (records.jsonl or cells/*.json) or of \
         `infbench theory` (theory.json), and a .safetensors file of `infbench score`",
        path.display()
    )]
    Unknown {
        /// The path.
        path: PathBuf,
    },
    /// Results of two kinds.
    #[error("{} holds {}, {} holds {}: only results of one kind can be compared", a.display(), kinds[0], b.display(), kinds[1])]
    Kinds {
        /// One.
        a: PathBuf,
        /// The other.
        b: PathBuf,
        /// What they hold.
        kinds: [&'static str; 2],
    },
    /// A file that is not what its name says.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A file of tensors that cannot be read.
    #[error("{} is not a safetensors file: {message}", path.display())]
    Tensors {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}
