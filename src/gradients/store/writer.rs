//! Writing a store row by row, in memory or straight into a file.

use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

use serde_json::json;

use super::dtype::Dtype;
use super::error::{StoreError, check_tensors};
use super::{Data, GradientStore, TensorInfo};
use crate::atomic::AtomicFile;
use crate::gradients::settings::GradientType;

/// Where a new store lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// In memory.
    Memory,
    /// In a safetensors file, memory-mapped once it is finished.
    Mapped(PathBuf),
    /// In either, as numbers of another type than f32.
    Packed {
        /// The file; `None`: in memory.
        file: Option<PathBuf>,
        /// The type.
        dtype: GradientType,
    },
}

impl Target {
    /// In a file, or in memory when there is none, as numbers of a type.
    pub fn new(file: Option<PathBuf>, dtype: GradientType) -> Self {
        match (file, dtype) {
            (None, GradientType::F32) => Self::Memory,
            (Some(file), GradientType::F32) => Self::Mapped(file),
            (file, dtype) => Self::Packed { file, dtype },
        }
    }
}

/// Fills a store by rows, in any order, each row once.
///
/// In a file the header is written first (the shapes are known) and the rows in place; the file gets its
/// name when it is finished, so nothing half-written stays behind.
#[derive(Debug)]
pub struct StoreWriter {
    tensors: Vec<TensorInfo>,
    rows: usize,
    written: Vec<usize>,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Memory(Vec<Vec<f32>>),
    Packed(Vec<Vec<u8>>, Dtype),
    File {
        file: AtomicFile,
        offsets: Vec<u64>,
        dtype: Dtype,
    },
}

impl StoreWriter {
    /// A writer of `rows` examples of `tensors`.
    ///
    /// # Errors
    /// No tensor, a size of 0, a repeated name, or a file that cannot be created.
    pub fn new(tensors: Vec<TensorInfo>, rows: usize, target: Target) -> Result<Self, StoreError> {
        let (file, dtype) = match target {
            Target::Memory => (None, Dtype::F32),
            Target::Mapped(path) => (Some(path), Dtype::F32),
            Target::Packed { file, dtype } => (file, dtype.into()),
        };
        let origin = file
            .as_ref()
            .map_or("memory".to_owned(), |path| path.display().to_string());
        check_tensors(&origin, rows, &tensors)?;
        let numbers = |info: &TensorInfo| rows * info.dim();
        let sink = match file {
            None if dtype == Dtype::F32 => Sink::Memory(
                tensors
                    .iter()
                    .map(|info| vec![0.0; numbers(info)])
                    .collect(),
            ),
            None => Sink::Packed(
                tensors
                    .iter()
                    .map(|info| vec![0; numbers(info) * dtype.bytes()])
                    .collect(),
                dtype,
            ),
            Some(path) => {
                let (header, offsets, size) = header(&tensors, rows, dtype);
                let mut file = AtomicFile::create(&path)
                    .map_err(StoreError::io(&path, "create a file beside"))?;
                file.file()
                    .write_all(&header)
                    .map_err(StoreError::io(&path, "write"))?;
                file.file()
                    .set_len(size)
                    .map_err(StoreError::io(&path, "reserve room for"))?;
                Sink::File {
                    file,
                    offsets,
                    dtype,
                }
            }
        };
        Ok(Self {
            written: vec![0; tensors.len()],
            tensors,
            rows,
            sink,
        })
    }

    /// Writes rows of one tensor, row-major `[rows, d]`, from row `first_row` on.
    ///
    /// # Errors
    /// A length that is not a multiple of d, rows outside the store, or a failing file.
    ///
    /// # Panics
    /// When `tensor` is out of bounds.
    pub fn write_rows(
        &mut self,
        tensor: usize,
        first_row: usize,
        values: &[f32],
    ) -> Result<(), StoreError> {
        let info = &self.tensors[tensor];
        let dim = info.dim();
        let count = values.len() / dim;
        if count * dim != values.len() {
            return Err(StoreError::Length {
                tensor: info.name.clone(),
                expected: (count + 1) * dim,
                found: values.len(),
            });
        }
        let last = first_row + count;
        if last > self.rows {
            return Err(StoreError::RowRange {
                tensor: info.name.clone(),
                first: first_row,
                last,
                rows: self.rows,
            });
        }
        match &mut self.sink {
            Sink::Memory(data) => data[tensor][first_row * dim..last * dim].copy_from_slice(values),
            Sink::Packed(data, dtype) => {
                let size = dtype.bytes();
                let out = &mut data[tensor][first_row * dim * size..last * dim * size];
                dtype.encode(values, out);
            }
            Sink::File {
                file,
                offsets,
                dtype,
            } => {
                let offset = offsets[tensor] + (first_row * dim * dtype.bytes()) as u64;
                let path = file.path().to_owned();
                let out = file.file();
                let written = out.seek(SeekFrom::Start(offset)).and_then(|_| match dtype {
                    Dtype::F32 => out.write_all(bytemuck::cast_slice(values)),
                    _ => {
                        let mut bytes = vec![0; values.len() * dtype.bytes()];
                        dtype.encode(values, &mut bytes);
                        out.write_all(&bytes)
                    }
                });
                written.map_err(StoreError::io(&path, "write"))?;
            }
        }
        self.written[tensor] += count;
        Ok(())
    }

    /// Closes the store: fsync and rename for a file, which is then mapped.
    ///
    /// A mapped store lists its tensors in natural order, as any reader of the file would see them.
    ///
    /// # Errors
    /// Rows that were not written, or a failing file.
    pub fn finish(self) -> Result<GradientStore, StoreError> {
        if let Some(t) = self.written.iter().position(|&rows| rows != self.rows) {
            return Err(StoreError::Incomplete {
                tensor: self.tensors[t].name.clone(),
                expected: self.rows,
                found: self.written[t],
            });
        }
        match self.sink {
            Sink::Memory(data) => Ok(GradientStore {
                rows: self.rows,
                tensors: self.tensors,
                data: Data::Memory(data),
                read: AtomicU64::new(0),
            }),
            Sink::Packed(data, dtype) => Ok(GradientStore {
                rows: self.rows,
                tensors: self.tensors,
                data: Data::Packed(data, dtype),
                read: AtomicU64::new(0),
            }),
            Sink::File { file, .. } => {
                let path = file.path().to_owned();
                file.commit().map_err(StoreError::io(&path, "write"))?;
                GradientStore::open(&path)
            }
        }
    }
}

/// The file's first bytes, where each tensor starts, and the size of the whole.
fn header(tensors: &[TensorInfo], rows: usize, dtype: Dtype) -> (Vec<u8>, Vec<u64>, u64) {
    let mut map = serde_json::Map::new();
    let mut starts = Vec::with_capacity(tensors.len());
    let mut end = 0u64;
    for info in tensors {
        let start = end;
        end += (rows * info.dim() * dtype.bytes()) as u64;
        let shape: Vec<usize> = std::iter::once(rows)
            .chain(info.shape.iter().copied())
            .collect();
        map.insert(
            info.name.clone(),
            json!({"dtype": dtype.name(), "shape": shape, "data_offsets": [start, end]}),
        );
        starts.push(start);
    }
    let mut text = serde_json::Value::Object(map).to_string().into_bytes();
    // blanks up to a multiple of 8, so that the data can be viewed in place
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text);
    let base = bytes.len() as u64;
    (
        bytes,
        starts.into_iter().map(|start| base + start).collect(),
        base + end,
    )
}
