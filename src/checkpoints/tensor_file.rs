//! safetensors files that are read or written whole.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorView};
use thiserror::Error;

use super::finite;
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

/// Appends the numbers in some bytes as f32.
pub type Reader = fn(&[u8], &mut Vec<f32>);

/// How numbers of a type are read.
///
/// # Errors
/// For a type other than these: a sentence that goes on from the tensor's name.
pub fn reader(dtype: Dtype) -> Result<Reader, String> {
    match dtype {
        Dtype::F32 => Ok(|bytes, out| {
            let numbers = bytes.as_chunks::<4>().0.iter();
            out.extend(numbers.map(|number| f32::from_le_bytes(*number)));
        }),
        Dtype::F16 => Ok(|bytes, out| {
            let numbers = bytes.as_chunks::<2>().0.iter();
            out.extend(numbers.map(|number| f16::from_le_bytes(*number).to_f32()));
        }),
        Dtype::BF16 => Ok(|bytes, out| {
            let numbers = bytes.as_chunks::<2>().0.iter();
            out.extend(numbers.map(|number| bf16::from_le_bytes(*number).to_f32()));
        }),
        Dtype::F64 => Ok(|bytes, out| {
            let numbers = bytes.as_chunks::<8>().0.iter();
            out.extend(numbers.map(|number| f64::from_le_bytes(*number) as f32));
        }),
        other => Err(format!("is {other:?}; allowed: F32, F64, F16, BF16")),
    }
}

/// The numbers of a tensor as f32.
///
/// # Errors
/// A type that [`reader`] does not read, and numbers that are not [finite](finite::check): a sentence that goes on from the
/// tensor's name.
pub fn numbers(view: &TensorView<'_>) -> Result<Vec<f32>, String> {
    let read = reader(view.dtype())?;
    let mut values = Vec::with_capacity(view.shape().iter().product());
    read(view.data(), &mut values);
    finite::check(&values, view.shape())?;
    Ok(values)
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
