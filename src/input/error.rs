//! Why a file cannot be used.

use std::path::PathBuf;

use thiserror::Error;

/// Why a file that was named cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InputError {
    /// The file system refused.
    #[error("cannot read {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// No byte in it.
    #[error("{path} is empty (0 bytes), as an interrupted download or a full disk leaves it")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Something else than what its name promises.
    #[error("{path} is {found}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is, what it has to be, and what to do.
        found: String,
    },
    /// Text, but not UTF-8.
    #[error(
        "{path}:{line}: byte 0x{byte:02X}, number {column} of the line, is not UTF-8; if the file is Latin-1, `iconv -f LATIN1 -t UTF-8 {path}` converts it"
    )]
    Encoding {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Byte in the line, from 1.
        column: usize,
        /// The byte.
        byte: u8,
    },
    /// No JSON, or not the JSON that is needed.
    #[error("{path}:{line}:{column}: {problem}")]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1; 0 before the first character.
        column: usize,
        /// What is wrong.
        problem: String,
    },
}
