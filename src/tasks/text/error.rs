//! Why texts cannot be turned into ids.

use std::path::PathBuf;

use thiserror::Error;

use crate::checkpoints::HuggingFaceError;
use crate::input::InputError;

/// Why texts cannot be turned into ids.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TokenizerError {
    /// A setting of the checkpoint or its tokenizer.
    #[error(transparent)]
    Config(#[from] HuggingFaceError),
    /// A file that cannot be read, or is not what its name says.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The tokenizer's files cannot be used.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A tokenizer cannot be learnt.
    #[error("no tokenizer can be learnt on the captions: {reason}")]
    Training {
        /// Why.
        reason: String,
    },
    /// A token that the checkpoint has no embedding for.
    #[error(
        "{path}: the token `{token}` has id {id}, but the checkpoint's embedding table has {rows} rows (`vocab_size` in config.json)"
    )]
    BeyondTable {
        /// The tokenizer's file.
        path: PathBuf,
        /// The token.
        token: String,
        /// Its id.
        id: u32,
        /// Rows of the table.
        rows: usize,
    },
    /// A token type that the checkpoint has no embedding for.
    #[error(
        "{path} gives token type {found}; the checkpoint has {rows} (`type_vocab_size` in config.json)"
    )]
    Type {
        /// The tokenizer's file.
        path: PathBuf,
        /// The largest type.
        found: u32,
        /// Types that there are.
        rows: usize,
    },
}
