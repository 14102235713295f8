//! Softmax of rows of attention scores, and its gradient.

use std::ops::Range;

use crate::models::ops::simd::{self, Kernel};

/// In place: softmax of the entries `keys(row)` of every row, times `scale` before the exponential; the others become 0,
/// and all of a row without such entries.
pub struct Softmax<'a, F> {
    /// The rows.
    pub rows: &'a mut [f32],
    /// Their length.
    pub width: usize,
    /// Entries that count.
    pub keys: F,
    /// Factor before the exponential.
    pub scale: f32,
}

impl<F: Fn(usize) -> Range<usize>> Kernel for Softmax<'_, F> {
    #[inline(always)]
    fn run(self) {
        for (index, row) in self.rows.chunks_exact_mut(self.width).enumerate() {
            let keys = (self.keys)(index);
            let (before, row) = row.split_at_mut(keys.start);
            let (row, after) = row.split_at_mut(keys.len());
            let largest = simd::largest(row);
            for value in row.iter_mut() {
                *value = simd::exp_negative((*value - largest) * self.scale);
            }
            let factor = 1.0 / simd::sum(row);
            for value in row {
                *value *= factor;
            }
            before.fill(0.0);
            after.fill(0.0);
        }
    }
}

/// In place: g ← p·(g − Σ p·g)·scale on every row.
pub struct SoftmaxBackward<'a> {
    /// Gradient of the weights, then of the scores.
    pub grad: &'a mut [f32],
    /// The softmax.
    pub weights: &'a [f32],
    /// Length of a row.
    pub width: usize,
    /// Factor before the exponential.
    pub scale: f32,
}

impl Kernel for SoftmaxBackward<'_> {
    #[inline(always)]
    fn run(self) {
        for (grad, weights) in self
            .grad
            .chunks_exact_mut(self.width)
            .zip(self.weights.chunks_exact(self.width))
        {
            let along = simd::dot(grad, weights);
            for (grad, weight) in grad.iter_mut().zip(weights) {
                *grad = weight * (*grad - along) * self.scale;
            }
        }
    }
}
