//! Why a LoRA file cannot be read or written.

use std::path::PathBuf;

use thiserror::Error;

use super::peft::METADATA;
use crate::input::{InputError, quote_name};

/// Why a LoRA file cannot be read or written.
#[derive(Debug, Error)]
pub enum LoraFileError {
    /// Not what its name says, or it cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A damaged file.
    #[error("{path}: {source}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: safetensors::SafeTensorError,
    },
    /// A tensor that is part of no adapter of a UNet, or cannot be used.
    #[error("{path}: tensor `{}` {problem}", quote_name(name))]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A module with one factor only.
    #[error(
        "{path}: `{}` has one of the two factors of its adapter only",
        quote_name(module)
    )]
    Half {
        /// The file.
        path: PathBuf,
        /// The module.
        module: String,
    },
    /// No adapter at all.
    #[error("{path} holds no LoRA weights")]
    Nothing {
        /// The file.
        path: PathBuf,
    },
    /// PEFT's settings in the metadata.
    #[error("{path}: `{field}` in the metadata `{METADATA}` is {found}; allowed: {allowed}")]
    Setting {
        /// The file.
        path: PathBuf,
        /// The setting.
        field: String,
        /// The value, cut when it is long.
        found: String,
        /// What would be allowed.
        allowed: &'static str,
    },
    /// A scale that a layout has no place for.
    #[error(
        "`{}` has scale {scale}, which the layouts before diffusers 0.27 cannot say; write the newest",
        quote_name(module)
    )]
    Scale {
        /// The module.
        module: String,
        /// Its scale.
        scale: f64,
    },
    /// Writing.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
