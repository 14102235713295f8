//! Files of square matrices, in which factors and second derivatives are kept: safetensors, a `[size, size]` tensor
//! a matrix.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use faer::Mat;
use safetensors::tensor::{Dtype, TensorView};
use thiserror::Error;

use crate::checkpoints::{TensorFileError, tensor_file};
use crate::input::quote;

/// Why a file of square matrices cannot be read or written.
#[derive(Debug, Error)]
pub enum MatrixFileError {
    /// A file that cannot be read or written, or is none.
    #[error(transparent)]
    File(#[from] TensorFileError),
    /// A tensor that is not what the file should hold.
    #[error("{}: tensor `{}` {reason}", path.display(), quote(tensor))]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong, and what is expected.
        reason: String,
    },
    /// No matrix in the file.
    #[error("{} holds no {what}: expected {expected}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// The tensors by which it is known.
        expected: &'static str,
    },
}

impl MatrixFileError {
    /// What is wrong with one tensor.
    pub(super) fn tensor(path: &Path, tensor: &str, reason: impl Into<String>) -> Self {
        Self::Tensor {
            path: path.to_owned(),
            tensor: tensor.to_owned(),
            reason: reason.into(),
        }
    }
}

/// Writes a float64 tensor a matrix, row-major, atomically. Metadata of several entries have no order of their own,
/// and with them the bytes of the file.
pub(super) fn write<'m>(
    path: &Path,
    matrices: impl IntoIterator<Item = (String, &'m Mat<f64>)>,
    metadata: HashMap<String, String>,
) -> Result<(), MatrixFileError> {
    let rows = |(name, matrix): (String, &Mat<f64>)| {
        let size = matrix.nrows();
        let values: Vec<f64> = (0..size * size)
            .map(|k| matrix[(k / size, k % size)])
            .collect();
        (name, size, values)
    };
    let named: Vec<_> = matrices.into_iter().map(rows).collect();
    let views = named.iter().map(|(name, size, values)| {
        let bytes = bytemuck::cast_slice(values);
        let view = TensorView::new(Dtype::F64, vec![*size; 2], bytes);
        (name.clone(), view)
    });
    let metadata = (!metadata.is_empty()).then_some(metadata);
    Ok(tensor_file::write(path, views, metadata)?)
}

/// What [`read`] finds: matrices by what their names stand for, in the order of the file, and its metadata.
pub(super) struct Found<N> {
    pub matrices: Vec<(N, Mat<f64>)>,
    pub metadata: HashMap<String, String>,
}

/// Reads what [`write`] wrote, or another program: square finite tensors of type F32 or F64. `named` says what a
/// tensor's name stands for, or what is wrong with it, which is said before anything else of the tensor.
pub(super) fn read<N>(
    path: &Path,
    named: impl Fn(&str) -> Result<N, String>,
) -> Result<Found<N>, MatrixFileError> {
    let bytes = tensor_file::read(path)?;
    let (file, header) = tensor_file::parse(path, &bytes)?;
    let one = |(name, view): (&str, TensorView<'_>)| {
        let both = named(name).and_then(|named| Ok((named, square(&view)?)));
        both.map_err(|reason| MatrixFileError::tensor(path, name, reason))
    };
    Ok(Found {
        matrices: file.iter().map(one).collect::<Result<_, _>>()?,
        metadata: header.metadata().clone().unwrap_or_default(),
    })
}

/// A square finite matrix.
fn square(view: &TensorView<'_>) -> Result<Mat<f64>, String> {
    let size = match *view.shape() {
        [rows, columns] if rows == columns && rows > 0 => rows,
        ref shape => return Err(format!("has shape {shape:?}, expected a square matrix")),
    };
    let values: Vec<f64> = match view.dtype() {
        Dtype::F64 => {
            let numbers = view.data().as_chunks::<8>().0.iter();
            numbers.map(|number| f64::from_le_bytes(*number)).collect()
        }
        Dtype::F32 => {
            let numbers = view.data().as_chunks::<4>().0.iter();
            numbers
                .map(|number| f64::from(f32::from_le_bytes(*number)))
                .collect()
        }
        other => return Err(format!("has type {other:?}, expected F32 or F64")),
    };
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        let (row, column) = (at / size, at % size);
        return Err(format!(
            "holds {} at row {row}, column {column}",
            values[at]
        ));
    }
    Ok(Mat::from_fn(size, size, |i, j| values[i * size + j]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(name: &str) -> Result<String, String> {
        Ok(name.to_owned())
    }

    #[test]
    fn matrices_come_back_bit_by_bit_with_their_metadata() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        let matrix = Mat::from_fn(3, 3, |i, j| 1.0 / (1.0 + i as f64 + 3.0 * j as f64));
        let metadata = HashMap::from([("k".to_owned(), "v".to_owned())]);
        write(&path, [("a".to_owned(), &matrix)], metadata.clone()).unwrap();
        let found = read(&path, same).unwrap();
        assert_eq!(found.matrices, [("a".to_owned(), matrix)]);
        assert_eq!(found.metadata, metadata);
    }

    #[test]
    fn what_is_no_square_finite_matrix_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        let error = |dtype, shape: Vec<usize>, bytes: &[u8]| {
            let view = TensorView::new(dtype, shape, bytes).unwrap();
            let bytes = safetensors::serialize([("a", view)], None).unwrap();
            std::fs::write(&path, bytes).unwrap();
            let error = read(&path, same).err().unwrap().to_string();
            error.replace(&path.display().to_string(), "M")
        };
        let bytes = |values: &[f32]| bytemuck::cast_slice::<_, u8>(values).to_vec();
        assert_eq!(
            error(Dtype::F32, vec![1, 2], &bytes(&[1.0, 2.0])),
            "M: tensor `a` has shape [1, 2], expected a square matrix"
        );
        assert_eq!(
            error(Dtype::F32, vec![2, 2], &bytes(&[0.0, 0.0, 0.0, f32::NAN])),
            "M: tensor `a` holds NaN at row 1, column 1"
        );
        assert_eq!(
            error(Dtype::I32, vec![1, 1], &bytes(&[1.0])),
            "M: tensor `a` has type I32, expected F32 or F64"
        );
        std::fs::write(&path, "no").unwrap();
        let text = read(&path, same).err().unwrap().to_string();
        assert!(text.starts_with(&path.display().to_string()), "{text}");
        std::fs::remove_file(&path).unwrap();
        let none = read(&path, same);
        assert!(matches!(
            none,
            Err(MatrixFileError::File(TensorFileError::Input(_)))
        ));
    }
}
