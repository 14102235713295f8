//! Why a GGUF file cannot be used.

use std::path::PathBuf;

use thiserror::Error;

use super::kind::{Kind, name_of};
use crate::input::{InputError, quote, quote_name};

/// Why a GGUF file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GgufError {
    /// Not to be read, empty, or of another format.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Numbers in the other byte order.
    #[error(
        "{path} is a big-endian GGUF file; little-endian ones are read: `gguf-convert-endian {path} little` (of the Python package gguf) converts it"
    )]
    BigEndian {
        /// The file.
        path: PathBuf,
    },
    /// A version of the format that is not read.
    #[error(
        "{path} is GGUF of version {found}; versions 2 and 3 are read: convert the model again with a current llama.cpp"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version.
        found: u32,
    },
    /// The file ends too early.
    #[error(
        "{path} is cut short: {what} ends at byte {end}, the file has {length}; download it again"
    )]
    CutShort {
        /// The file.
        path: PathBuf,
        /// What ends behind the end.
        what: String,
        /// Where it would end.
        end: u64,
        /// Bytes of the file.
        length: u64,
    },
    /// A tensor of a type that is not read.
    #[error(
        "{path}: tensor `{}` is of type {} ({kind}); allowed: {}",
        quote_name(name),
        name_of(*kind),
        Kind::names()
    )]
    Kind {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Number of its type.
        kind: u32,
    },
    /// A metadata field is missing.
    #[error("{path}: the metadata lack `{key}`")]
    Missing {
        /// The file.
        path: PathBuf,
        /// The field.
        key: String,
    },
    /// A metadata field that cannot be honoured.
    #[error("{path}: `{}` is {found}; allowed: {allowed}", quote_name(key))]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The field.
        key: String,
        /// Its value, shortened.
        found: String,
        /// What would be allowed.
        allowed: String,
    },
    /// A tensor that no supported model has.
    #[error(
        "{path}: tensor `{}` is of no model of the architecture \"{}\" that is read here",
        quote_name(name),
        quote(architecture)
    )]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// `general.architecture`.
        architecture: String,
    },
    /// Anything else.
    #[error("{path}: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}
