//! The gradients of n examples: one `[n, d]` tensor for every trained matrix, in memory or memory-mapped.
//!
//! Files are [safetensors](https://github.com/huggingface/safetensors), one `[n, ...]` tensor a matrix, so
//! that any framework can write one and any can read one. Everything after the first axis is one example's
//! gradient, flattened row-major. Tensors of a file are put in the natural order of their names (runs of
//! digits compare as numbers: `layer.2` before `layer.10`), because a file's own order is an accident of
//! its writer; a store built in memory keeps the order it was given.

mod dtype;
mod error;
mod order;
mod reader;
mod tensor;
mod writer;

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

pub use dtype::Real;
pub use error::StoreError;
pub use tensor::TensorInfo;
pub use writer::{StoreWriter, Target};

use dtype::Dtype;

/// Per-example gradients: for each tensor a row-major `[n, d]` matrix, row = example.
#[derive(Debug)]
pub struct GradientStore {
    rows: usize,
    tensors: Vec<TensorInfo>,
    data: Data,
    read: AtomicU64,
}

#[derive(Debug)]
enum Data {
    Memory(Vec<Vec<f32>>),
    /// Little-endian numbers of another type.
    Packed(Vec<Vec<u8>>, Dtype),
    Mapped {
        map: memmap2::Mmap,
        path: PathBuf,
        places: Vec<Place>,
    },
}

/// Where a tensor lies in a mapped file.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: usize,
    dtype: Dtype,
}

/// A row of a tensor as it is stored.
enum Stored<'a> {
    Float(&'a [f32]),
    Bytes(&'a [u8], Dtype),
}

impl GradientStore {
    /// A store over matrices in memory, each row-major `[rows, d]`, in the order given.
    ///
    /// # Errors
    /// No tensor, no row, a repeated name, or a matrix whose length is not `rows · d`.
    pub fn from_memory(
        rows: usize,
        matrices: Vec<(TensorInfo, Vec<f32>)>,
    ) -> Result<Self, StoreError> {
        let (tensors, data): (Vec<_>, Vec<_>) = matrices.into_iter().unzip();
        error::check_tensors("memory", rows, &tensors)?;
        for (info, values) in tensors.iter().zip(&data) {
            let expected = rows * info.dim();
            if values.len() != expected {
                return Err(StoreError::Length {
                    tensor: info.name.clone(),
                    expected,
                    found: values.len(),
                });
            }
        }
        Ok(Self {
            rows,
            tensors,
            data: Data::Memory(data),
            read: AtomicU64::new(0),
        })
    }

    /// Number of examples n.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The tensors, in a stable order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// Size of the gradients as stored, bytes.
    pub fn bytes(&self) -> u64 {
        self.tensors
            .iter()
            .enumerate()
            .map(|(t, info)| (self.rows * info.dim() * self.dtype(t).bytes()) as u64)
            .sum()
    }

    /// Bytes that were fetched so far, as their readers declared with [`fetched`](Self::fetched).
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Counts `numbers` numbers of a tensor as fetched: whoever reads rows of a block, as a view or
    /// converted, declares them here, a panel at a time.
    pub fn fetched(&self, tensor: usize, numbers: usize) {
        let bytes = numbers * self.dtype(tensor).bytes();
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// `memory` or `mapped`.
    pub fn storage(&self) -> &'static str {
        match self.data {
            Data::Memory(_) | Data::Packed(..) => "memory",
            Data::Mapped { .. } => "mapped",
        }
    }

    /// Where the store came from, for messages: its path, or `memory`.
    pub fn origin(&self) -> String {
        match &self.data {
            Data::Memory(_) | Data::Packed(..) => "memory".to_owned(),
            Data::Mapped { path, .. } => path.display().to_string(),
        }
    }

    /// Rows of a tensor as f32, row-major `[range, d]`: a view when the tensor is stored as aligned f32,
    /// else a converted copy. Stored f64 is rounded to f32 here.
    ///
    /// # Panics
    /// When `tensor` or `range` is out of bounds.
    pub fn tensor_rows(&self, tensor: usize, range: Range<usize>) -> Cow<'_, [f32]> {
        let dim = self.tensors[tensor].dim();
        if let Some(all) = self.as_f32(tensor) {
            return Cow::Borrowed(&all[range.start * dim..range.end * dim]);
        }
        let mut values = vec![0.0; range.len() * dim];
        self.read_panel(tensor, range, 0..dim, &mut values);
        Cow::Owned(values)
    }

    /// The whole tensor, row-major `[n, d]`, when it is stored as aligned f32.
    pub fn as_f32(&self, tensor: usize) -> Option<&[f32]> {
        match &self.data {
            Data::Memory(values) => Some(&values[tensor]),
            Data::Packed(..) => None,
            Data::Mapped { map, places, .. } => {
                let Place { offset, dtype } = places[tensor];
                let bytes =
                    &map[offset..offset + self.rows * self.tensors[tensor].dim() * dtype.bytes()];
                (dtype == Dtype::F32)
                    .then(|| bytemuck::try_cast_slice(bytes).ok())
                    .flatten()
            }
        }
    }

    /// Columns `columns` of one row of a tensor, converted into `out`.
    ///
    /// # Panics
    /// When an index is out of bounds or `out` is not as long as `columns`.
    pub fn read_row<T: Real>(
        &self,
        tensor: usize,
        row: usize,
        columns: Range<usize>,
        out: &mut [T],
    ) {
        assert_eq!(out.len(), columns.len(), "one output a column");
        match self.stored(tensor, row, columns) {
            Stored::Float(values) => dtype::widen(values, out),
            Stored::Bytes(bytes, dtype) => dtype.decode(bytes, out),
        }
    }

    /// The panel `rows` × `columns` of a tensor, converted into `out`, row-major `[rows, columns]`;
    /// in parallel over rows.
    ///
    /// # Panics
    /// When an index is out of bounds or `out` has another size than the panel.
    pub fn read_panel<T: Real>(
        &self,
        tensor: usize,
        rows: Range<usize>,
        columns: Range<usize>,
        out: &mut [T],
    ) {
        assert_eq!(
            out.len(),
            rows.len() * columns.len(),
            "one output an entry of the panel"
        );
        if out.is_empty() {
            return;
        }
        // a task of some 16 Ki numbers outweighs the cost of handing it to a thread
        let rows_a_task = (16_384 / columns.len()).max(1);
        out.par_chunks_mut(rows_a_task * columns.len())
            .enumerate()
            .for_each(|(task, chunk)| {
                let first = rows.start + task * rows_a_task;
                for (i, out) in chunk.chunks_exact_mut(columns.len()).enumerate() {
                    self.read_row(tensor, first + i, columns.clone(), out);
                }
            });
    }

    /// Writes the store as safetensors of the type it has in memory (f32 if it is f64), atomically: a temporary file in the same folder, fsync, rename.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), StoreError> {
        let target = Target::new(Some(path.to_owned()), self.dtype(0).kept());
        self.copy(target).map(drop)
    }

    /// The same gradients in another place or as numbers of another type, rounded to the nearest (f64 to f32 first).
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn copy(&self, target: Target) -> Result<Self, StoreError> {
        let mut writer = StoreWriter::new(self.tensors.clone(), self.rows, target)?;
        for (t, info) in self.tensors.iter().enumerate() {
            let rows_a_chunk = (1 << 22) / info.dim().max(1) + 1;
            for first in (0..self.rows).step_by(rows_a_chunk) {
                let last = (first + rows_a_chunk).min(self.rows);
                writer.write_rows(t, first, &self.tensor_rows(t, first..last))?;
            }
        }
        writer.finish()
    }

    /// For every tensor of `self`, its index in `other`: the same names with the same d in both, in any order.
    ///
    /// # Errors
    /// A tensor that only one of them has, or one of different d.
    pub fn matching(&self, other: &GradientStore) -> Result<Vec<usize>, StoreError> {
        let missing = |tensor: &TensorInfo, has: &GradientStore, lacks: &GradientStore| {
            StoreError::MissingTensor {
                tensor: tensor.name.clone(),
                has: has.origin(),
                lacks: lacks.origin(),
            }
        };
        let places = self
            .tensors
            .iter()
            .map(|tensor| {
                let place = other.tensors.iter().position(|t| t.name == tensor.name);
                let place = place.ok_or_else(|| missing(tensor, self, other))?;
                let found = other.tensors[place].dim();
                if found != tensor.dim() {
                    return Err(StoreError::Dim {
                        tensor: tensor.name.clone(),
                        expected: tensor.dim(),
                        expected_in: self.origin(),
                        found,
                        found_in: other.origin(),
                    });
                }
                Ok(place)
            })
            .collect::<Result<Vec<_>, _>>()?;
        match other
            .tensors
            .iter()
            .find(|t| self.tensors.iter().all(|s| s.name != t.name))
        {
            Some(tensor) => Err(missing(tensor, other, self)),
            None => Ok(places),
        }
    }

    /// The first NaN or infinity among `rows` of `tensor`, as the error that names it. Called when a sum
    /// that every method needs came out non-finite, so that checking costs nothing on good input.
    pub fn non_finite(&self, tensor: usize, rows: Range<usize>) -> Option<StoreError> {
        let dim = self.tensors[tensor].dim();
        let mut values = vec![0.0f64; dim];
        rows.into_iter().find_map(|row| {
            self.read_row(tensor, row, 0..dim, &mut values);
            let column = values.iter().position(|v| !v.is_finite())?;
            Some(StoreError::NotFinite {
                origin: self.origin(),
                tensor: self.tensors[tensor].name.clone(),
                row,
                column,
                value: values[column],
            })
        })
    }

    /// Whether every number is finite. One pass.
    ///
    /// # Errors
    /// [`StoreError::NotFinite`] naming the first that is not.
    pub fn check_finite(&self) -> Result<(), StoreError> {
        let found = (0..self.tensors.len()).find_map(|tensor| {
            (0..self.rows)
                .into_par_iter()
                .with_min_len(64)
                .find_map_first(|row| self.non_finite(tensor, row..row + 1))
        });
        found.map_or(Ok(()), Err)
    }

    fn dtype(&self, tensor: usize) -> Dtype {
        match &self.data {
            Data::Memory(_) => Dtype::F32,
            Data::Packed(_, dtype) => *dtype,
            Data::Mapped { places, .. } => places[tensor].dtype,
        }
    }

    fn stored(&self, tensor: usize, row: usize, columns: Range<usize>) -> Stored<'_> {
        let dim = self.tensors[tensor].dim();
        assert!(
            row < self.rows && columns.end <= dim,
            "row {row} of {}, columns {columns:?} of {dim}",
            self.rows
        );
        let (first, last) = (row * dim + columns.start, row * dim + columns.end);
        match &self.data {
            Data::Memory(values) => Stored::Float(&values[tensor][first..last]),
            Data::Packed(bytes, dtype) => {
                let size = dtype.bytes();
                Stored::Bytes(&bytes[tensor][first * size..last * size], *dtype)
            }
            Data::Mapped { map, places, .. } => {
                let Place { offset, dtype } = places[tensor];
                let bytes = &map[offset + first * dtype.bytes()..offset + last * dtype.bytes()];
                match bytemuck::try_cast_slice(bytes) {
                    Ok(values) if dtype == Dtype::F32 => Stored::Float(values),
                    _ => Stored::Bytes(bytes, dtype),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
