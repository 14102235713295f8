//! Where per-example gradients go.

use thiserror::Error;

use super::store::StoreWriter;

/// Why gradients cannot be taken.
#[derive(Debug, Error)]
pub enum GradientError {
    /// The sink refused rows.
    #[error("gradient rows {first_row}.. of tensor {tensor}: {source}")]
    Sink {
        /// Index of the tensor.
        tensor: usize,
        /// First row.
        first_row: usize,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An example's loss is NaN or infinite.
    #[error("the loss of example {example} is {loss}")]
    NotFinite {
        /// Which example.
        example: usize,
        /// Its loss.
        loss: f32,
    },
}

/// Takes rows of per-example gradients, in any order, every row once.
pub trait GradientSink: Send {
    /// Rows `first_row..` of tensor `tensor`, row-major `[rows, d]`.
    ///
    /// # Errors
    /// When they cannot be kept.
    fn write_rows(
        &mut self,
        tensor: usize,
        first_row: usize,
        rows: &[f32],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

impl GradientSink for StoreWriter {
    fn write_rows(
        &mut self,
        tensor: usize,
        first_row: usize,
        rows: &[f32],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(StoreWriter::write_rows(self, tensor, first_row, rows)?)
    }
}

/// Gradients in memory, one `[n, d]` matrix a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct RowBuffer {
    /// The matrices, row-major.
    pub tensors: Vec<Vec<f32>>,
    widths: Vec<usize>,
}

impl RowBuffer {
    /// Zeros for `n` examples and tensors of `widths` numbers an example.
    pub fn new(n: usize, widths: Vec<usize>) -> Self {
        Self {
            tensors: widths.iter().map(|width| vec![0.0; n * width]).collect(),
            widths,
        }
    }
}

impl GradientSink for RowBuffer {
    fn write_rows(
        &mut self,
        tensor: usize,
        first_row: usize,
        rows: &[f32],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let tensors = self.tensors.len();
        let (Some(all), Some(width)) = (self.tensors.get_mut(tensor), self.widths.get(tensor))
        else {
            return Err(format!("there are {tensors} tensors").into());
        };
        let start = first_row * width;
        let total = all.len();
        let target = all
            .get_mut(start..start + rows.len())
            .ok_or_else(|| format!("values {start}..{} of {total}", start + rows.len()))?;
        target.copy_from_slice(rows);
        Ok(())
    }
}
