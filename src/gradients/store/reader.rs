//! Opening a safetensors file as a store.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use safetensors::{SafeTensorError, SafeTensors};

use super::dtype::Dtype;
use super::error::{StoreError, check_tensors};
use super::{Data, GradientStore, Place, TensorInfo, order};
use crate::input;

impl GradientStore {
    /// Memory-maps a safetensors file: one `[n, ...]` tensor a matrix, all of one n, of type F16, BF16, F32
    /// or F64, in the natural order of their names. Values are not read here: NaN is found by the damping's
    /// pass over them, which every use begins with.
    ///
    /// The file must not be changed while the store lives.
    ///
    /// # Errors
    /// The file cannot be read, is not safetensors, is truncated, holds no tensor, an unsupported type, a
    /// tensor without rows, or tensors with different numbers of rows.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(StoreError::io(path, "open"))?;
        // SAFETY: the map is read only; as the documentation says, the file must not change meanwhile, and
        // our own writers replace files by renaming, which leaves mapped ones whole.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(StoreError::io(path, "map"))?;
        let parsed = SafeTensors::deserialize(&map).map_err(|error| explain(path, &map, &error))?;

        let mut found: Vec<(TensorInfo, usize, Place)> = Vec::with_capacity(parsed.len());
        for (name, view) in parsed.iter() {
            let [rows, shape @ ..] = view.shape() else {
                return Err(StoreError::Shape {
                    origin: path.display().to_string(),
                    tensor: name.to_owned(),
                    found: vec![],
                });
            };
            let dtype = Dtype::from_safetensors(view.dtype()).ok_or_else(|| StoreError::Dtype {
                path: path.to_owned(),
                tensor: name.to_owned(),
                found: format!("{:?}", view.dtype()),
            })?;
            let offset = view.data().as_ptr() as usize - map.as_ptr() as usize;
            found.push((TensorInfo::new(name, shape), *rows, Place { offset, dtype }));
        }
        found.sort_by(|a, b| order::natural(&a.0.name, &b.0.name));

        let origin = path.display().to_string();
        let Some((first, rows, _)) = found.first() else {
            return Err(StoreError::Empty { origin });
        };
        let (first, rows) = (first.name.clone(), *rows);
        if let Some((other, n, _)) = found.iter().find(|(_, n, _)| *n != rows) {
            return Err(StoreError::RowCount {
                origin,
                tensor: other.name.clone(),
                first,
                expected: rows,
                found: *n,
            });
        }
        let (tensors, places): (Vec<_>, Vec<_>) = found
            .into_iter()
            .map(|(info, _, place)| (info, place))
            .unzip();
        check_tensors(&origin, rows, &tensors)?;
        Ok(Self {
            rows,
            tensors,
            data: Data::Mapped {
                map,
                path: path.to_owned(),
                places,
            },
            read: AtomicU64::new(0),
        })
    }
}

/// Tells a truncated file from one of another format.
fn explain(path: &Path, bytes: &[u8], error: &SafeTensorError) -> StoreError {
    if let Some(found) = input::explain(path, bytes, "a safetensors file") {
        return found.into();
    }
    let other = || StoreError::NotSafetensors {
        path: path.to_owned(),
        reason: input::shorten(&error.to_string(), 100),
    };
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return other();
    };
    let header = u64::from_le_bytes(*length);
    // a header of the format starts with a brace; anything else is another format
    if rest.first() != Some(&b'{') {
        return other();
    }
    let found = bytes.len() as u64;
    match error {
        SafeTensorError::InvalidHeaderLength => StoreError::Truncated {
            path: path.to_owned(),
            expected: header.saturating_add(8),
            found,
        },
        SafeTensorError::MetadataIncompleteBuffer => {
            let end = data_end(&rest[..(header as usize).min(rest.len())]);
            end.map_or_else(other, |end| StoreError::Truncated {
                path: path.to_owned(),
                expected: 8 + header + end,
                found,
            })
        }
        _ => other(),
    }
}

/// The largest data offset that a header names.
fn data_end(header: &[u8]) -> Option<u64> {
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    header
        .values()
        .filter_map(|tensor| tensor.get("data_offsets")?.get(1)?.as_u64())
        .max()
}
