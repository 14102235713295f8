//! Factors as safetensors: two square tensors a matrix, `NAME.inputs` and `NAME.outputs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use faer::Mat;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use thiserror::Error;

use super::{KroneckerFactors, TensorFactors};
use crate::atomic;

/// Why factors cannot be read or written.
#[derive(Debug, Error)]
pub enum FactorError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// Not a safetensors file, or damaged.
    #[error("{}: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: safetensors::SafeTensorError,
    },
    /// A tensor that cannot be a factor.
    #[error("{}: tensor `{tensor}` {reason}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong, and what is expected.
        reason: String,
    },
    /// No factor in the file.
    #[error("{} holds no factor: expected `NAME.inputs` and `NAME.outputs` of every tensor", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Entries of a factor and its transpose may differ by this share of the largest: rounding of f32 sums.
const ASYMMETRY: f64 = 1e-4;

impl KroneckerFactors {
    /// Writes two float64 tensors a matrix, `NAME.inputs` `[in, in]` and `NAME.outputs` `[out, out]`,
    /// atomically.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn save(&self, path: &Path) -> Result<(), FactorError> {
        let format = |source| FactorError::Format {
            path: path.to_owned(),
            source,
        };
        let named: Vec<(String, usize, Vec<f64>)> = self
            .tensors
            .iter()
            .flat_map(|tensor| {
                [("inputs", &tensor.inputs), ("outputs", &tensor.outputs)].map(|(side, factor)| {
                    let size = factor.nrows();
                    let values = (0..size * size).map(|k| factor[(k / size, k % size)]);
                    (format!("{}.{side}", tensor.name), size, values.collect())
                })
            })
            .collect();
        let views: Result<Vec<_>, _> = named
            .iter()
            .map(|(name, size, values)| {
                let bytes = bytemuck::cast_slice(values);
                Ok((
                    name,
                    TensorView::new(Dtype::F64, vec![*size, *size], bytes)?,
                ))
            })
            .collect();
        let bytes = safetensors::serialize(views.map_err(format)?, None).map_err(format)?;
        atomic::write(path, &bytes).map_err(|source| FactorError::Io {
            path: path.to_owned(),
            source,
        })
    }

    /// Reads what [`save`](Self::save) wrote, or another program: square symmetric tensors of type F32 or F64,
    /// in pairs.
    ///
    /// # Errors
    /// A file that cannot be read or is damaged, a name without ending or without its pair, another type or
    /// form, NaN or infinities, or an entry that is not its own transpose's.
    pub fn load(path: &Path) -> Result<Self, FactorError> {
        let bytes = std::fs::read(path).map_err(|source| FactorError::Io {
            path: path.to_owned(),
            source,
        })?;
        let file = SafeTensors::deserialize(&bytes).map_err(|source| FactorError::Format {
            path: path.to_owned(),
            source,
        })?;
        let wrong = |tensor: &str, reason: String| FactorError::Tensor {
            path: path.to_owned(),
            tensor: tensor.to_owned(),
            reason,
        };
        let mut pairs: BTreeMap<String, [Option<Mat<f64>>; 2]> = BTreeMap::new();
        for (name, view) in file.iter() {
            let ends = [".inputs", ".outputs"];
            let found = ends
                .iter()
                .enumerate()
                .find_map(|(side, end)| Some((side, name.strip_suffix(end)?)));
            let Some((side, tensor)) = found else {
                let reason = "is no factor, expected NAME.inputs or NAME.outputs";
                return Err(wrong(name, reason.to_owned()));
            };
            let factor = read(&view).map_err(|reason| wrong(name, reason))?;
            pairs.entry(tensor.to_owned()).or_default()[side] = Some(factor);
        }
        if pairs.is_empty() {
            return Err(FactorError::Empty {
                path: path.to_owned(),
            });
        }
        let tensors = pairs.into_iter().map(|(name, pair)| match pair {
            [Some(inputs), Some(outputs)] => Ok(TensorFactors {
                name,
                inputs,
                outputs,
            }),
            [inputs, _] => {
                let lacks = if inputs.is_none() {
                    "inputs"
                } else {
                    "outputs"
                };
                Err(wrong(&name, format!("has no `{name}.{lacks}`")))
            }
        });
        Ok(Self {
            tensors: tensors.collect::<Result<_, _>>()?,
        })
    }
}

/// A square symmetric finite matrix.
fn read(view: &TensorView<'_>) -> Result<Mat<f64>, String> {
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
    let largest = values
        .iter()
        .fold(0.0f64, |max, value| max.max(value.abs()));
    let asymmetric = (0..size * size).find(|&k| {
        let (i, j) = (k / size, k % size);
        (values[k] - values[j * size + i]).abs() > ASYMMETRY * largest
    });
    if let Some(at) = asymmetric {
        let (row, column) = (at / size, at % size);
        return Err(format!(
            "is not symmetric at row {row}, column {column}: {} against {}",
            values[at],
            values[column * size + row]
        ));
    }
    Ok(Mat::from_fn(size, size, |i, j| {
        0.5 * (values[i * size + j] + values[j * size + i])
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors() -> KroneckerFactors {
        let symmetric = |size: usize, seed: f64| {
            Mat::from_fn(size, size, |i, j| {
                seed + ((i * j) as f64 + (i + j) as f64 / 3.0)
            })
        };
        let tensor = |name: &str, inputs, outputs| TensorFactors {
            name: name.to_owned(),
            inputs: symmetric(inputs, 0.1),
            outputs: symmetric(outputs, 1e-9),
        };
        KroneckerFactors {
            tensors: vec![tensor("a.weight", 3, 2), tensor("b.weight", 1, 4)],
        }
    }

    #[test]
    fn factors_come_back_bit_by_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("factors.safetensors");
        factors().save(&path).unwrap();
        assert_eq!(KroneckerFactors::load(&path).unwrap(), factors());
        assert_eq!(factors().bytes(), 8 * (9 + 4 + 1 + 16));
        assert_eq!(factors().get("b.weight").unwrap().outputs.nrows(), 4);
        assert_eq!(factors().get("c.weight"), None);
    }

    #[test]
    fn what_is_no_factor_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("factors.safetensors");
        let error = |tensors: &[(&str, Vec<usize>, Vec<f32>)]| {
            let views = tensors.iter().map(|(name, shape, values)| {
                let bytes = bytemuck::cast_slice(values);
                (
                    *name,
                    TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
                )
            });
            let bytes = safetensors::serialize(views, None).unwrap();
            std::fs::write(&path, bytes).unwrap();
            let error = KroneckerFactors::load(&path).unwrap_err().to_string();
            error.replace(&path.display().to_string(), "F")
        };
        let one = |name: &'static str| (name, vec![1, 1], vec![2.0f32]);
        assert_eq!(
            error(&[one("a.inputs")]),
            "F: tensor `a` has no `a.outputs`"
        );
        assert_eq!(
            error(&[one("a.weight")]),
            "F: tensor `a.weight` is no factor, expected NAME.inputs or NAME.outputs"
        );
        assert_eq!(
            error(&[("a.inputs", vec![1, 2], vec![1.0, 2.0])]),
            "F: tensor `a.inputs` has shape [1, 2], expected a square matrix"
        );
        assert_eq!(
            error(&[("a.inputs", vec![2, 2], vec![1.0, 2.0, 2.5, 1.0])]),
            "F: tensor `a.inputs` is not symmetric at row 0, column 1: 2 against 2.5"
        );
        assert_eq!(
            error(&[("a.inputs", vec![1, 1], vec![f32::NAN])]),
            "F: tensor `a.inputs` holds NaN at row 0, column 0"
        );
        assert!(error(&[]).starts_with("F holds no factor"));
    }
}
