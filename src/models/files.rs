//! Weights as safetensors files, written atomically.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use thiserror::Error;

use crate::checkpoints::{TensorFileError, tensor_file};
use crate::input::quote;

use super::parameter::{Array, Weights};

/// Why weights cannot be read or written.
#[derive(Debug, Error)]
pub enum WeightFileError {
    /// A file that cannot be read or written, or is none.
    #[error(transparent)]
    File(#[from] TensorFileError),
    /// A tensor that no model can compute with.
    #[error("{path}: tensor `{}` {problem}", quote(name))]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type or a number, and what is allowed.
        problem: String,
    },
}

/// Writes `weights` as f32 tensors, atomically; `about`, a key and a value, goes into the file's metadata.
///
/// # Errors
/// When the file system refuses.
pub fn save(path: &Path, weights: &Weights, about: (&str, &str)) -> Result<(), WeightFileError> {
    // one entry: the order of several would differ from run to run
    let metadata = HashMap::from([(about.0.to_owned(), about.1.to_owned())]);
    let views = weights.iter().map(|(name, array)| {
        let bytes = bytemuck::cast_slice(&array.values);
        let view = TensorView::new(Dtype::F32, array.shape.clone(), bytes);
        (name.clone(), view)
    });
    Ok(tensor_file::write(path, views, Some(metadata))?)
}

/// Reads every tensor of a file.
///
/// # Errors
/// When it cannot be read, is damaged, or holds anything but finite floats.
pub fn load(path: &Path) -> Result<Weights, WeightFileError> {
    let bytes = tensor_file::read(path)?;
    let (file, _) = tensor_file::parse(path, &bytes)?;
    file.iter()
        .map(|(name, view)| {
            let values =
                tensor_file::numbers(&view).map_err(|problem| WeightFileError::Tensor {
                    path: path.to_owned(),
                    name: name.to_owned(),
                    problem,
                })?;
            let shape = view.shape().to_vec();
            Ok((name.to_owned(), Array { shape, values }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_come_back_bit_by_bit_and_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("weights.safetensors");
        let values = vec![1.0, -0.0, f32::MIN_POSITIVE / 2.0, 1e38, 0.1, 3.0];
        let weights = Weights::from([
            (
                "a.weight".into(),
                Array {
                    shape: vec![2, 3],
                    values,
                },
            ),
            (
                "b".into(),
                Array {
                    shape: vec![0],
                    values: vec![],
                },
            ),
        ]);
        save(&path, &weights, ("infbench", "test")).unwrap();
        let back = load(&path).unwrap();
        assert_eq!(back, weights);
        assert!(back["a.weight"].values[1].is_sign_negative());
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(matches!(
            load(&path),
            Err(WeightFileError::File(TensorFileError::Format { .. }))
        ));
        let mut nan = weights.clone();
        nan.get_mut("a.weight").unwrap().values[4] = f32::NAN;
        save(&path, &nan, ("infbench", "test")).unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains("`a.weight` holds NaN at [1, 1]"), "{error}");
        std::fs::write(&path, "version https://git-lfs.github.com/spec/v1\n").unwrap();
        assert!(matches!(
            load(&path),
            Err(WeightFileError::File(TensorFileError::Input(_)))
        ));
        assert!(matches!(
            load(&folder.path().join("none")),
            Err(WeightFileError::File(TensorFileError::Input(_)))
        ));
    }
}
