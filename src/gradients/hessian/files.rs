//! Hessians as safetensors: one square tensor a group, named by its tensors with `+` between them.

use std::collections::HashMap;
use std::path::Path;

use super::{HessianGroup, Hessians};
use crate::gradients::matrices::{self, MatrixFileError};

/// What stands between the names of a group.
const BETWEEN: &str = "+";
/// Where the sizes of a group of several tensors stand among the file's metadata: this and the group's name.
const SIZES: &str = "sizes of ";

impl Hessians {
    /// Writes a float64 tensor `[d, d]` a group, of its tensor's name or `FIRST+SECOND+…`, whose sizes are in the
    /// metadata (`sizes of FIRST+SECOND+…`: `d,d,…`), atomically.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn save(&self, path: &Path) -> Result<(), MatrixFileError> {
        let mut sizes = HashMap::new();
        let mut named = Vec::new();
        for group in &self.groups {
            let names: Vec<&str> = group.tensors.iter().map(|(name, _)| &**name).collect();
            let name = names.join(BETWEEN);
            let dims: Vec<String> = group.tensors.iter().map(|(_, d)| d.to_string()).collect();
            if dims.len() > 1 {
                sizes.insert(format!("{SIZES}{name}"), dims.join(","));
            }
            named.push((name, &group.matrix));
        }
        // with one group there is one entry of metadata at most, and the bytes are the same
        matrices::write(path, named, sizes)
    }

    /// Reads what [`save`](Self::save) wrote, or another program: square tensors of type F32 or F64.
    ///
    /// # Errors
    /// A file that cannot be read or is damaged, another type or form, NaN or infinities, a group of several
    /// tensors without their sizes.
    pub fn load(path: &Path) -> Result<Self, MatrixFileError> {
        let found = matrices::read(path, |name| Ok(name.to_owned()))?;
        let group = |(name, matrix): (String, faer::Mat<f64>)| {
            let sizes = found.metadata.get(&format!("{SIZES}{name}"));
            let tensors = split(&name, sizes, matrix.nrows())
                .map_err(|reason| MatrixFileError::tensor(path, &name, reason))?;
            Ok::<_, MatrixFileError>(HessianGroup { tensors, matrix })
        };
        let groups = found.matrices.into_iter().map(group);
        let groups = groups.collect::<Result<Vec<_>, _>>()?;
        if groups.is_empty() {
            return Err(MatrixFileError::Empty {
                path: path.to_owned(),
                what: "Hessian",
                expected: "one [d, d] tensor for every tensor of the gradients, of its name",
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

#[cfg(test)]
mod tests {
    use faer::Mat;
    use safetensors::tensor::{Dtype, TensorView};

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
        let error = |names: &[&str]| {
            let bytes = [0u8; 32];
            let view = || TensorView::new(Dtype::F64, vec![2, 2], &bytes).unwrap();
            let views = names.iter().map(|name| (*name, view()));
            std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
            let error = Hessians::load(&path).unwrap_err().to_string();
            error.replace(&path.display().to_string(), "H")
        };
        assert_eq!(
            error(&["a+b"]),
            "H: tensor `a+b` is of several tensors without their sizes, expected 2 sizes that add up to 2 in the metadata `sizes of a+b`"
        );
        assert_eq!(
            error(&[]),
            "H holds no Hessian: expected one [d, d] tensor for every tensor of the gradients, of its name"
        );
    }
}
