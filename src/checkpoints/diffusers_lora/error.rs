//! Why a LoRA file cannot be read or written.

use std::path::PathBuf;

use thiserror::Error;

use super::names::METADATA;
use crate::checkpoints::TensorFileError;
use crate::input::{InputError, quote_name};

/// Why a LoRA file cannot be read or written.
#[derive(Debug, Error)]
pub enum LoraFileError {
    /// A file that cannot be read or written, or is none.
    #[error(transparent)]
    File(#[from] TensorFileError),
    /// PEFT's settings in the metadata are no JSON.
    #[error(transparent)]
    Metadata(#[from] InputError),
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
}
