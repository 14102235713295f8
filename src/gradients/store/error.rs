//! What can be wrong with a store.

use std::path::{Path, PathBuf};

use super::tensor::TensorInfo;
use crate::input::{InputError, quote};

/// What can be wrong with a store or a pair of stores.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// Not what its name says.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Not the format.
    #[error("{} is not a safetensors file: {reason}", path.display())]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What the reader met.
        reason: String,
    },
    /// Shorter or longer than its header says.
    #[error("{} has {found} bytes, its header promises {expected}: truncated or overwritten", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes by the header.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// No tensor at all.
    #[error("{origin} holds no tensor")]
    Empty {
        /// The store.
        origin: String,
    },
    /// Not `[n, ...]` with n and d positive.
    #[error(
        "{origin}: tensor `{tensor}` has shape {found:?}, expected [n, ...] with every size at least 1", tensor = quote(tensor))]
    Shape {
        /// The store.
        origin: String,
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
    },
    /// An element type that is not a float of 16 to 64 bits.
    #[error("{}: tensor `{tensor}` has type {found}, expected F16, BF16, F32 or F64", path.display(), tensor = quote(tensor))]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its type.
        found: String,
    },
    /// Tensors of one store with different numbers of examples.
    #[error(
        "{origin}: tensor `{tensor}` has {found} rows, `{first}` has {expected}: one row an example in every tensor", tensor = quote(tensor), first = quote(first))]
    RowCount {
        /// The store.
        origin: String,
        /// The tensor.
        tensor: String,
        /// The tensor compared with.
        first: String,
        /// Rows of `first`.
        expected: usize,
        /// Rows of `tensor`.
        found: usize,
    },
    /// Two tensors of one name.
    #[error("{origin}: tensor `{tensor}` appears twice", tensor = quote(tensor))]
    Duplicate {
        /// The store.
        origin: String,
        /// The name.
        tensor: String,
    },
    /// A matrix of the wrong length.
    #[error("tensor `{tensor}`: {found} numbers given, expected {expected}", tensor = quote(tensor))]
    Length {
        /// The tensor.
        tensor: String,
        /// Numbers needed.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
    /// Rows outside the store.
    #[error("tensor `{tensor}`: rows {first}..{last} written, the store has {rows}", tensor = quote(tensor))]
    RowRange {
        /// The tensor.
        tensor: String,
        /// First row written.
        first: usize,
        /// One past the last.
        last: usize,
        /// Rows of the store.
        rows: usize,
    },
    /// Finished before every row was written.
    #[error("tensor `{tensor}`: {found} of {expected} rows were written", tensor = quote(tensor))]
    Incomplete {
        /// The tensor.
        tensor: String,
        /// Rows of the store.
        expected: usize,
        /// Rows written.
        found: usize,
    },
    /// Only one of two stores has the tensor.
    #[error("tensor `{tensor}` is in {has} and not in {lacks}", tensor = quote(tensor))]
    MissingTensor {
        /// The tensor.
        tensor: String,
        /// The store that has it.
        has: String,
        /// The store that lacks it.
        lacks: String,
    },
    /// The same name, another d.
    #[error(
        "tensor `{tensor}` has {found} numbers an example in {found_in}, {expected} in {expected_in}", tensor = quote(tensor))]
    Dim {
        /// The tensor.
        tensor: String,
        /// d in the first store.
        expected: usize,
        /// The first store.
        expected_in: String,
        /// d in the second.
        found: usize,
        /// The second store.
        found_in: String,
    },
    /// NaN or infinity.
    #[error("{origin}: tensor `{tensor}` holds {value} at row {row}, column {column}", tensor = quote(tensor))]
    NotFinite {
        /// The store.
        origin: String,
        /// The tensor.
        tensor: String,
        /// The example, from 0.
        row: usize,
        /// Position in the example's gradient, from 0.
        column: usize,
        /// What stands there.
        value: f64,
    },
}

impl StoreError {
    /// Wraps an error of the file system.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            path,
            action,
            source,
        }
    }
}

/// What every store must satisfy.
pub(super) fn check_tensors(
    origin: &str,
    rows: usize,
    tensors: &[TensorInfo],
) -> Result<(), StoreError> {
    if tensors.is_empty() {
        return Err(StoreError::Empty {
            origin: origin.to_owned(),
        });
    }
    for (i, info) in tensors.iter().enumerate() {
        if rows == 0 || info.dim() == 0 {
            let found = std::iter::once(rows)
                .chain(info.shape.iter().copied())
                .collect();
            return Err(StoreError::Shape {
                origin: origin.to_owned(),
                tensor: info.name.clone(),
                found,
            });
        }
        if tensors[..i].iter().any(|other| other.name == info.name) {
            return Err(StoreError::Duplicate {
                origin: origin.to_owned(),
                tensor: info.name.clone(),
            });
        }
    }
    Ok(())
}
