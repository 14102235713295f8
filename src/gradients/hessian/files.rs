//! Hessians as safetensors: one square tensor a group, named by its tensors with `+` between them.

use std::path::{Path, PathBuf};

use faer::Mat;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use thiserror::Error;

use super::{HessianGroup, Hessians};
use crate::atomic;

/// What stands between the names of a group.
const BETWEEN: &str = "+";
/// Where the sizes of a group of several tensors stand among the file's metadata: this and the group's name.
const SIZES: &str = "sizes of ";

/// Why Hessians cannot be read or written.
#[derive(Debug, Error)]
pub enum HessianFileError {
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
    /// A tensor that cannot be a Hessian.
    #[error("{}: tensor `{tensor}` {reason}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong, and what is expected.
        reason: String,
    },
    /// No Hessian in the file.
    #[error("{} holds no Hessian: expected one [d, d] tensor for every tensor of the gradients, of its name", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl Hessians {
    /// Writes a float64 tensor `[d, d]` a group, of its tensor's name or `FIRST+SECOND+…`, whose sizes are in the
    /// metadata (`sizes of FIRST+SECOND+…`: `d,d,…`), atomically.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn save(&self, path: &Path) -> Result<(), HessianFileError> {
        let format = |source| HessianFileError::Format {
            path: path.to_owned(),
            source,
        };
        let mut sizes = std::collections::HashMap::new();
        let mut named = Vec::new();
        for group in &self.groups {
            let names: Vec<&str> = group.tensors.iter().map(|(name, _)| &**name).collect();
            let name = names.join(BETWEEN);
            let dims: Vec<String> = group.tensors.iter().map(|(_, d)| d.to_string()).collect();
            if dims.len() > 1 {
                sizes.insert(format!("{SIZES}{name}"), dims.join(","));
            }
            let size = group.matrix.nrows();
            let values = (0..size * size).map(|k| group.matrix[(k / size, k % size)]);
            named.push((name, size, values.collect::<Vec<f64>>()));
        }
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
        // a map has no order of its own: with one group there is one entry at most, and the bytes are the same
        let sizes = (!sizes.is_empty()).then_some(sizes);
        let bytes = safetensors::serialize(views.map_err(format)?, sizes).map_err(format)?;
        atomic::write(path, &bytes).map_err(|source| HessianFileError::Io {
            path: path.to_owned(),
            source,
        })
    }

    /// Reads what [`save`](Self::save) wrote, or another program: square tensors of type F32 or F64.
    ///
    /// # Errors
    /// A file that cannot be read or is damaged, another type or form, NaN or infinities, a group of several
    /// tensors without their sizes.
    pub fn load(path: &Path) -> Result<Self, HessianFileError> {
        let bytes = std::fs::read(path).map_err(|source| HessianFileError::Io {
            path: path.to_owned(),
            source,
        })?;
        let format = |source| HessianFileError::Format {
            path: path.to_owned(),
            source,
        };
        let file = SafeTensors::deserialize(&bytes).map_err(format)?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(format)?;
        let mut groups = Vec::new();
        for (name, view) in file.iter() {
            let wrong = |reason: String| HessianFileError::Tensor {
                path: path.to_owned(),
                tensor: name.to_owned(),
                reason,
            };
            let matrix = read(&view).map_err(wrong)?;
            let key = format!("{SIZES}{name}");
            let sizes = header.metadata().as_ref().and_then(|map| map.get(&key));
            let tensors = split(name, sizes, matrix.nrows()).map_err(wrong)?;
            groups.push(HessianGroup { tensors, matrix });
        }
        if groups.is_empty() {
            return Err(HessianFileError::Empty {
                path: path.to_owned(),
            });
        }
        Ok(Self { groups })
    }
}

/// The tensors of a group, with their sizes.
fn split(name: &str, sizes: Option<&String>, total: usize) -> Result<Vec<(String, usize)>, String> {
    let names: Vec<&str> = name.split(BETWEEN).collect();
    if let [one] = names[..] {
        return Ok(vec![(one.to_owned(), total)]);
    }
    let wanted = format!(
        "expected {} sizes that add up to {total} in the metadata `{SIZES}{name}`",
        names.len()
    );
    let sizes =
        sizes.ok_or_else(|| format!("is of several tensors without their sizes, {wanted}"))?;
    let dims: Result<Vec<usize>, _> = sizes.split(',').map(str::parse).collect();
    match dims {
        Ok(dims) if dims.len() == names.len() && dims.iter().sum::<usize>() == total => {
            let names = names.into_iter().map(str::to_owned);
            Ok(names.zip(dims).collect())
        }
        _ => Err(format!("has the sizes `{sizes}`, {wanted}")),
    }
}

/// A square finite matrix.
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
    Ok(Mat::from_fn(size, size, |i, j| values[i * size + j]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hessians_come_back_bit_by_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hessian.safetensors");
        let group = |tensors: &[(&str, usize)]| {
            let tensors: Vec<(String, usize)> =
                tensors.iter().map(|(n, d)| ((*n).to_owned(), *d)).collect();
            let size = tensors.iter().map(|(_, d)| d).sum();
            HessianGroup {
                tensors,
                matrix: Mat::from_fn(size, size, |i, j| 1.0 / (1.0 + i as f64 + 3.0 * j as f64)),
            }
        };
        let hessians = Hessians {
            groups: vec![group(&[("a", 2), ("b.weight", 1)]), group(&[("c", 2)])],
        };
        hessians.save(&path).unwrap();
        let mut back = Hessians::load(&path).unwrap();
        back.groups.sort_by(|a, b| a.tensors.cmp(&b.tensors));
        assert_eq!(back, hessians);
    }

    #[test]
    fn what_is_no_hessian_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hessian.safetensors");
        let error = |name: &str, shape: Vec<usize>, values: &[f32]| {
            let bytes = bytemuck::cast_slice(values);
            let view = TensorView::new(Dtype::F32, shape, bytes).unwrap();
            let bytes = safetensors::serialize([(name, view)], None).unwrap();
            std::fs::write(&path, bytes).unwrap();
            let error = Hessians::load(&path).unwrap_err().to_string();
            error.replace(&path.display().to_string(), "H")
        };
        assert_eq!(
            error("a", vec![1, 2], &[1.0, 2.0]),
            "H: tensor `a` has shape [1, 2], expected a square matrix"
        );
        assert_eq!(
            error("a", vec![1, 1], &[f32::INFINITY]),
            "H: tensor `a` holds inf at row 0, column 0"
        );
        assert_eq!(
            error("a+b", vec![2, 2], &[0.0; 4]),
            "H: tensor `a+b` is of several tensors without their sizes, expected 2 sizes that add up to 2 in the metadata `sizes of a+b`"
        );
        let nothing: [(&str, TensorView<'_>); 0] = [];
        std::fs::write(&path, safetensors::serialize(nothing, None).unwrap()).unwrap();
        let error = Hessians::load(&path).unwrap_err().to_string();
        assert!(error.contains("holds no Hessian"), "{error}");
    }
}
