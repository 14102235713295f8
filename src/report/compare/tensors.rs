//! Scores, gradients and adapters that lie beside records, compared number by number.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

use super::error::CompareError;
use crate::input;
use crate::results::difference::Differences;

/// A file of tensors by its name on both sides: the path below the results with the content hash taken out.
pub type TensorFile = (String, PathBuf);

/// Folders below a results folder that hold tensors of cells.
const FOLDERS: [&str; 3] = ["scores", "gradients", "adapters"];

fn broken(path: &Path) -> impl Fn(&dyn std::fmt::Display) -> CompareError + '_ {
    move |message| CompareError::Tensors {
        path: path.to_owned(),
        message: message.to_string(),
    }
}

fn open(path: &Path) -> Result<Mmap, CompareError> {
    let file = File::open(path).map_err(|e| broken(path)(&e))?;
    // SAFETY: the file is read only; results are replaced by renaming, never written in place.
    let map = unsafe { Mmap::map(&file) }.map_err(|e| broken(path)(&e))?;
    let Err(error) = SafeTensors::read_metadata(&map) else {
        return Ok(map);
    };
    Err(match input::explain(path, &map, "a safetensors file") {
        Some(found) => found.into(),
        None => broken(path)(&error),
    })
}

/// What is written beside the tensors of a file.
///
/// # Errors
/// A file that cannot be read.
pub fn metadata(path: &Path) -> Result<BTreeMap<String, String>, CompareError> {
    let bytes = open(path)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| broken(path)(&e))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    Ok(metadata.into_iter().collect())
}

/// The files of tensors of a cell.
pub fn of_cell(root: &Path, id: &str) -> Vec<TensorFile> {
    fn list(folder: &Path, found: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                list(&path, found);
            } else if path.extension().is_some_and(|e| e == "safetensors") {
                found.push(path);
            }
        }
    }
    let mut files = Vec::new();
    for folder in FOLDERS {
        list(&root.join(folder), &mut files);
    }
    files.sort();
    let name = |path: PathBuf| {
        let below = path.strip_prefix(root).ok()?.display().to_string();
        below.contains(id).then(|| (below.replace(id, "*"), path))
    };
    files.into_iter().filter_map(name).collect()
}

/// Compares the files that both sides have; their number.
///
/// # Errors
/// A file that cannot be read.
pub fn beside(
    a: &[TensorFile],
    b: &[TensorFile],
    found: &mut Differences,
) -> Result<usize, CompareError> {
    let mut count = 0;
    for (name, path) in a {
        let twin = b.iter().find(|(other, _)| other == name);
        if let Some((_, other)) = twin {
            file(path, other, found)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Compares two files tensor by tensor.
fn file(a: &Path, b: &Path, found: &mut Differences) -> Result<(), CompareError> {
    let bytes = [open(a)?, open(b)?];
    let read = |bytes, path| SafeTensors::deserialize(bytes).map_err(|e| broken(path)(&e));
    let files = [read(&bytes[0], a)?, read(&bytes[1], b)?];
    let mut names = files[0].names();
    names.extend(files[1].names());
    names.sort_unstable();
    names.dedup();
    for name in names {
        let place = || format!("{}, {name}", a.display());
        match files.each_ref().map(|file| file.tensor(name).ok()) {
            [Some(x), Some(y)] => tensor(&place(), &x, &y, found),
            views => {
                let shape = |view: &Option<TensorView>| view.as_ref().map(kind);
                found.values += 1;
                found.add(place, views.each_ref().map(shape), f64::INFINITY);
            }
        }
    }
    Ok(())
}

/// `["F64", 3, 20]`
fn kind(view: &TensorView) -> Value {
    let mut parts = vec![json!(format!("{:?}", view.dtype()))];
    parts.extend(view.shape().iter().map(|size| json!(size)));
    parts.into()
}

fn tensor(place: &str, a: &TensorView, b: &TensorView, found: &mut Differences) {
    let kinds = [Some(kind(a)), Some(kind(b))];
    let size: usize = a.shape().iter().product();
    let same_kind = kinds[0] == kinds[1];
    if same_kind && a.data() == b.data() {
        found.values += size;
        return;
    }
    let (Some(x), Some(y), true) = (numbers(a), numbers(b), same_kind) else {
        found.values += if same_kind { size } else { 1 };
        found.add(|| place.to_owned(), kinds, f64::INFINITY);
        return;
    };
    let largest = |list: &[f64]| {
        let finite = list.iter().filter(|x| x.is_finite());
        finite.fold(0.0f64, |most, x| most.max(x.abs()))
    };
    let scale = largest(&x).max(largest(&y));
    for (i, (x, y)) in x.iter().zip(&y).enumerate() {
        let place = || format!("{place}{:?}", index(i, a.shape()));
        found.number(place, *x, *y, scale);
    }
}

/// Row and column of the i-th number.
fn index(mut i: usize, shape: &[usize]) -> Vec<usize> {
    let mut place = vec![0; shape.len()];
    for (at, size) in place.iter_mut().zip(shape).rev() {
        (*at, i) = (i % size, i / size);
    }
    place
}

/// The numbers of a tensor; `None` for a type that has none.
fn numbers(view: &TensorView) -> Option<Vec<f64>> {
    fn read<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        let chunks = bytes.as_chunks::<N>().0.iter();
        chunks.map(|chunk| number(*chunk)).collect()
    }
    let bytes = view.data();
    match view.dtype() {
        Dtype::F64 => Some(read(bytes, f64::from_le_bytes)),
        Dtype::F32 => Some(read(bytes, |b| f32::from_le_bytes(b).into())),
        Dtype::F16 => Some(read(bytes, |b| half::f16::from_le_bytes(b).into())),
        Dtype::BF16 => Some(read(bytes, |b| half::bf16::from_le_bytes(b).into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn save(path: &Path, name: &str, values: &[f64]) {
        let shape = vec![2, values.len() / 2];
        let view = TensorView::new(Dtype::F64, shape, bytemuck::cast_slice(values));
        let view = view.expect("the shape is that of the values");
        let bytes = safetensors::serialize([(name, view)], None).expect("plain tensors");
        std::fs::write(path, bytes).expect("a writable folder");
    }

    #[test]
    fn a_number_that_differs_is_named_and_held_against_the_largest() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        save(&path("a"), "datainf", &[1.0, 2.0, 3.0, 100.0]);
        save(&path("b"), "datainf", &[1.0, 2.0, 4.0, 100.0]);
        save(&path("c"), "exact", &[1.0, 2.0, 3.0, 100.0]);
        let compared = |a: &str, b: &str| {
            let mut found = Differences::new(0.001);
            file(&path(a), &path(b), &mut found).expect("readable");
            found
        };
        let same = compared("a", "a");
        assert_eq!((same.values, same.different), (4, 0));
        let found = compared("a", "b");
        assert_eq!((found.values, found.beyond), (4, 1));
        let first = found.first.expect("one");
        assert!(first.place.ends_with("a, datainf[1, 0]"), "{}", first.place);
        assert!((first.relative - 0.01).abs() < 1e-15);
        // one tensor on either side alone
        assert_eq!(compared("a", "c").beyond, 2);
    }
}
