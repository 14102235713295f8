//! A store of gradients that reports its progress.

use crate::gradients::GradientSink;
use crate::gradients::store::{StoreError, StoreWriter, Target, TensorInfo};
use crate::progress::Progress;

/// Passes rows on to a store and says how many examples are done.
pub(super) struct Counted<'a> {
    writer: StoreWriter,
    last: usize,
    width: usize,
    done: usize,
    progress: &'a Progress,
}

impl<'a> Counted<'a> {
    /// A store of `rows` examples at `target`; `done` examples were counted before.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn create(
        tensors: Vec<TensorInfo>,
        rows: usize,
        target: Target,
        (progress, done): (&'a Progress, usize),
    ) -> Result<Self, StoreError> {
        Ok(Self {
            last: tensors.len() - 1,
            width: tensors.last().map_or(1, TensorInfo::dim),
            writer: StoreWriter::new(tensors, rows, target)?,
            done,
            progress,
        })
    }

    /// Ends the store.
    ///
    /// # Errors
    /// A row that was not written, a file that cannot be.
    pub fn finish(self) -> Result<(), StoreError> {
        self.writer.finish().map(drop)
    }
}

impl GradientSink for Counted<'_> {
    fn write_rows(
        &mut self,
        tensor: usize,
        first_row: usize,
        rows: &[f32],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.writer.write_rows(tensor, first_row, rows)?;
        if tensor == self.last {
            self.done += rows.len() / self.width;
            self.progress.reached(self.done);
        }
        Ok(())
    }
}
