//! safetensors files that are read or written whole.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::SafeTensorError;
use safetensors::tensor::{Metadata, SafeTensors, TensorView};
use thiserror::Error;

use crate::atomic;
use crate::input::{self, InputError};

/// Why a safetensors file cannot be read or written.
#[derive(Debug, Error)]
pub enum TensorFileError {
    /// It cannot be read, or is something else.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It is damaged.
    #[error("{path}: {source}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: SafeTensorError,
    },
    /// It cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl TensorFileError {
    /// What the system said while writing `path`.
    pub fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }

    fn format(path: &Path) -> impl Fn(SafeTensorError) -> Self {
        let path = path.to_owned();
        move |source| Self::Format {
            path: path.clone(),
            source,
        }
    }
}

/// The bytes of a file, for [`parse`].
///
/// # Errors
/// A file that cannot be read, or is empty.
pub fn read(path: &Path) -> Result<Vec<u8>, TensorFileError> {
    Ok(input::bytes(path)?)
}

/// The tensors and the header in the bytes of the file `path`.
///
/// # Errors
/// Bytes of something else, or a damaged file.
pub fn parse<'b>(
    path: &Path,
    bytes: &'b [u8],
) -> Result<(SafeTensors<'b>, Metadata), TensorFileError> {
    let wrong = |source| match input::explain(path, bytes, "a safetensors file") {
        Some(found) => found.into(),
        None => TensorFileError::format(path)(source),
    };
    let tensors = SafeTensors::deserialize(bytes).map_err(wrong)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
    Ok((tensors, header))
}

/// Writes named tensors atomically. Metadata of several entries have no order of their own, and with them the bytes of
/// the file.
///
/// # Errors
/// Tensors whose bytes do not fit their shape, and the file system's refusal.
pub fn write<'v>(
    path: &Path,
    views: impl IntoIterator<Item = (String, Result<TensorView<'v>, SafeTensorError>)>,
    metadata: Option<HashMap<String, String>>,
) -> Result<(), TensorFileError> {
    let format = TensorFileError::format(path);
    let views = views
        .into_iter()
        .map(|(name, view)| Ok((name, view.map_err(&format)?)));
    let views: Vec<_> = views.collect::<Result<_, TensorFileError>>()?;
    let bytes = safetensors::serialize(views, metadata).map_err(&format)?;
    atomic::write(path, &bytes).map_err(TensorFileError::write(path))
}
