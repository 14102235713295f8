//! Factors as safetensors: two square tensors a matrix, `NAME.inputs` and `NAME.outputs`, and how many tokens an
//! example has, `NAME.tokens`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use faer::Mat;

use super::{KroneckerFactors, TensorFactors};
use crate::gradients::matrices::{self, MatrixFileError};

/// What follows a tensor's name.
const ENDS: [&str; 3] = [".inputs", ".outputs", ".tokens"];

/// Entries of a factor and its transpose may differ by this share of the largest: rounding of f32 sums.
const ASYMMETRY: f64 = 1e-4;

impl KroneckerFactors {
    /// Writes float64 tensors, `NAME.inputs` `[in, in]`, `NAME.outputs` `[out, out]` and, where it is known,
    /// `NAME.tokens` `[1, 1]`, atomically.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn save(&self, path: &Path) -> Result<(), MatrixFileError> {
        let tokens = |tensor: &TensorFactors| {
            let count = tensor.tokens?;
            Some(Mat::from_fn(1, 1, |_, _| count))
        };
        let tokens: Vec<Option<Mat<f64>>> = self.tensors.iter().map(tokens).collect();
        let named = self
            .tensors
            .iter()
            .zip(&tokens)
            .flat_map(|(tensor, tokens)| {
                let parts = [Some(&tensor.inputs), Some(&tensor.outputs), tokens.as_ref()];
                let ends = ENDS.iter().zip(parts);
                ends.filter_map(|(end, matrix)| Some((format!("{}{end}", tensor.name), matrix?)))
            });
        matrices::write(path, named, HashMap::new())
    }

    /// Reads what [`save`](Self::save) wrote, or another program: square symmetric tensors of type F32 or F64,
    /// in pairs.
    ///
    /// # Errors
    /// A file that cannot be read or is damaged, a name without ending or without its pair, another type or
    /// form, NaN or infinities, an entry that is not its own transpose's, or a number of tokens that is none.
    pub fn load(path: &Path) -> Result<Self, MatrixFileError> {
        let wrong = |tensor: &str, reason: &str| MatrixFileError::tensor(path, tensor, reason);
        let mut found: BTreeMap<String, [Option<Mat<f64>>; 3]> = BTreeMap::new();
        for ((tensor, side), matrix) in matrices::read(path, part)?.matrices {
            let named = || format!("{tensor}{}", ENDS[side]);
            let factor = symmetric(&matrix).map_err(|reason| wrong(&named(), &reason))?;
            found.entry(tensor).or_default()[side] = Some(factor);
        }
        if found.is_empty() {
            return Err(MatrixFileError::Empty {
                path: path.to_owned(),
                what: "factor",
                expected: "`NAME.inputs` and `NAME.outputs` of every tensor",
            });
        }
        let tensors = found.into_iter().map(|(name, parts)| {
            let [inputs, outputs, tokens] = parts;
            let lacks = |end: &str| wrong(&name, &format!("has no `{name}{end}`"));
            let inputs = inputs.ok_or_else(|| lacks(ENDS[0]))?;
            let outputs = outputs.ok_or_else(|| lacks(ENDS[1]))?;
            let tokens = tokens.map(|tokens| match (tokens.nrows(), tokens[(0, 0)]) {
                (1, count) if count > 0.0 => Ok(count),
                (size, count) => Err(wrong(
                    &format!("{name}{}", ENDS[2]),
                    &format!(
                        "is {count} in [{size}, {size}], expected a positive number in [1, 1]"
                    ),
                )),
            });
            Ok::<_, MatrixFileError>(TensorFactors {
                tokens: tokens.transpose()?,
                name,
                inputs,
                outputs,
            })
        });
        Ok(Self {
            tensors: tensors.collect::<Result<_, MatrixFileError>>()?,
        })
    }
}

/// The tensor, and which of [`ENDS`], that a name stands for.
fn part(name: &str) -> Result<(String, usize), String> {
    let mut ends = ENDS.iter().enumerate();
    let known = ends.find_map(|(side, end)| Some((name.strip_suffix(end)?.to_owned(), side)));
    known.ok_or_else(|| "is no factor, expected NAME.inputs or NAME.outputs".to_owned())
}

/// The mean of a matrix and its transpose, which it must be but for rounding.
fn symmetric(matrix: &Mat<f64>) -> Result<Mat<f64>, String> {
    let size = matrix.nrows();
    let all = || (0..size).flat_map(|i| (0..size).map(move |j| (i, j)));
    let largest = all().fold(0.0f64, |max, at| max.max(matrix[at].abs()));
    let apart = |&(i, j): &(usize, usize)| (matrix[(i, j)] - matrix[(j, i)]).abs();
    if let Some((row, column)) = all().find(|at| apart(at) > ASYMMETRY * largest) {
        return Err(format!(
            "is not symmetric at row {row}, column {column}: {} against {}",
            matrix[(row, column)],
            matrix[(column, row)]
        ));
    }
    Ok(Mat::from_fn(size, size, |i, j| {
        0.5 * (matrix[(i, j)] + matrix[(j, i)])
    }))
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::{Dtype, TensorView};

    use super::*;

    fn factors() -> KroneckerFactors {
        let symmetric = |size: usize, seed: f64| {
            Mat::from_fn(size, size, |i, j| {
                seed + ((i * j) as f64 + (i + j) as f64 / 3.0)
            })
        };
        let tensor = |name: &str, inputs, outputs, tokens| TensorFactors {
            name: name.to_owned(),
            inputs: symmetric(inputs, 0.1),
            outputs: symmetric(outputs, 1e-9),
            tokens,
        };
        KroneckerFactors {
            tensors: vec![
                tensor("a.weight", 3, 2, Some(17.3)),
                tensor("b.weight", 1, 4, None),
            ],
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
        let error = |tensors: &[(&str, usize, Vec<f32>)]| {
            let views = tensors.iter().map(|(name, size, values)| {
                let bytes = bytemuck::cast_slice(values);
                let view = TensorView::new(Dtype::F32, vec![*size; 2], bytes);
                (*name, view.unwrap())
            });
            let bytes = safetensors::serialize(views, None).unwrap();
            std::fs::write(&path, bytes).unwrap();
            let error = KroneckerFactors::load(&path).unwrap_err().to_string();
            error.replace(&path.display().to_string(), "F")
        };
        let one = |name: &'static str| (name, 1, vec![2.0f32]);
        assert_eq!(
            error(&[one("a.inputs")]),
            "F: tensor `a` has no `a.outputs`"
        );
        assert_eq!(
            error(&[one("a.weight")]),
            "F: tensor `a.weight` is no factor, expected NAME.inputs or NAME.outputs"
        );
        assert_eq!(
            error(&[("a.inputs", 2, vec![1.0, 2.0, 2.5, 1.0])]),
            "F: tensor `a.inputs` is not symmetric at row 0, column 1: 2 against 2.5"
        );
        let negative = ("a.tokens", 1, vec![-1.0]);
        assert_eq!(
            error(&[one("a.inputs"), one("a.outputs"), negative]),
            "F: tensor `a.tokens` is -1 in [1, 1], expected a positive number in [1, 1]"
        );
        assert!(error(&[]).starts_with("F holds no factor: expected `NAME.inputs`"));
    }
}
