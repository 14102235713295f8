//! The two precisions that products are taken in.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::traits::ComplexField;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::columns::{contiguous_mut, mapped_by_column};
use super::reduce::{add_scaled, largest};
use crate::gradients::store::Real;
use crate::vector::{Kernel, dispatch};

/// Precision of a method's matrix products; sums over rows are carried in f64 either way.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Precision {
    /// f32 products on the stored gradients, no conversion: twice as fast.
    F32,
    /// f64 products on gradients widened chunk by chunk.
    #[default]
    F64,
}

/// A matrix in the precision of the products, with a factor taken out of every column.
pub(crate) enum ScaledMatrix<'a, T> {
    /// Borrowed unchanged.
    View(MatRef<'a, T>),
    /// Converted: a column of the original is its scale times the column of this.
    Copy(Mat<T>, Vec<f64>),
}

impl<T> ScaledMatrix<'_, T> {
    pub(crate) fn right(&self) -> ScaledRows<'_, T> {
        match self {
            Self::View(mat) => ScaledRows {
                mat: *mat,
                scales: None,
            },
            Self::Copy(mat, scales) => ScaledRows {
                mat: mat.as_ref(),
                scales: Some(scales),
            },
        }
    }
}

/// RowChunk of a [`ScaledMatrix`] matrix, the right side of products.
#[derive(Clone, Copy)]
pub(crate) struct ScaledRows<'a, T> {
    pub mat: MatRef<'a, T>,
    scales: Option<&'a [f64]>,
}

impl<T> ScaledRows<'_, T> {
    pub(crate) fn subrows(&self, rows: Range<usize>) -> Self {
        Self {
            mat: self.mat.subrows(rows.start, rows.len()),
            ..*self
        }
    }

    /// What column j of the matrix is to be multiplied by.
    pub(crate) fn scale(&self, j: usize) -> f64 {
        self.scales.map_or(1.0, |scales| scales[j])
    }
}

/// A precision: f32 products are added up in f64, f64 products directly.
pub(crate) trait Element: Real + ComplexField + Into<f64> {
    /// A matrix with contiguous columns in this precision.
    fn narrow(values: MatRef<'_, f64>) -> ScaledMatrix<'_, Self>;

    /// `sum += factor · Σ lhs · rhs` on the calling thread, over pairs of a left and a right side, the latter rows of
    /// one matrix; what is summed here is summed in this precision.
    fn add_products<'a>(
        sum: MatMut<'_, f64>,
        products: impl Iterator<Item = (MatRef<'a, Self>, ScaledRows<'a, Self>)>,
        factor: f64,
    );

    /// Divides a row by a power of two near its largest entry, which is exact, where squares could leave the range of
    /// this precision; gives what it was divided by.
    fn bring_near_one(row: &mut [Self]) -> f64;

    /// The lower triangle of `sum += S lhs · lhsᵀ S` with S the diagonal of `scales`.
    fn add_square(
        sum: MatMut<'_, f64>,
        lhs: MatRef<'_, Self>,
        scales: &[f64],
        scratch: &mut Vec<Self>,
        par: Par,
    );
}

impl Element for f64 {
    fn narrow(values: MatRef<'_, f64>) -> ScaledMatrix<'_, f64> {
        ScaledMatrix::View(values)
    }

    fn add_products<'a>(
        mut sum: MatMut<'_, f64>,
        products: impl Iterator<Item = (MatRef<'a, f64>, ScaledRows<'a, f64>)>,
        factor: f64,
    ) {
        for (lhs, rhs) in products {
            matmul(sum.as_mut(), Accum::Add, lhs, rhs.mat, factor, Par::Seq);
        }
    }

    fn bring_near_one(_: &mut [f64]) -> f64 {
        1.0
    }

    fn add_square(
        sum: MatMut<'_, f64>,
        lhs: MatRef<'_, f64>,
        _: &[f64],
        _: &mut Vec<f64>,
        par: Par,
    ) {
        add_square(sum, lhs, par);
    }
}

impl Element for f32 {
    /// Divides every column by a power of two near its largest entry first, which is exact, so that neither huge
    /// nor tiny values leave the range of f32.
    fn narrow(values: MatRef<'_, f64>) -> ScaledMatrix<'_, f32> {
        let (copy, scales) = mapped_by_column(values, |column| {
            let scale = power_of_two(largest(column));
            let inverse = 1.0 / scale;
            (move |value: f64| (value * inverse) as f32, scale)
        });
        ScaledMatrix::Copy(copy, scales)
    }

    fn add_products<'a>(
        sum: MatMut<'_, f64>,
        products: impl Iterator<Item = (MatRef<'a, f32>, ScaledRows<'a, f32>)>,
        factor: f64,
    ) {
        let (rows, columns) = (sum.nrows(), sum.ncols());
        let mut values = vec![0.0; rows * columns];
        let mut part = MatMut::from_column_major_slice_mut(&mut values, rows, columns);
        let mut last = None;
        for (lhs, rhs) in products {
            let accum = match last {
                None => Accum::Replace,
                Some(_) => Accum::Add,
            };
            matmul(part.as_mut(), accum, lhs, rhs.mat, 1.0, Par::Seq);
            last = Some(rhs);
        }
        let Some(right) = last else { return };
        dispatch(AddColumns {
            sum,
            values: &values,
            factor: |j| factor * right.scale(j),
        });
    }

    fn bring_near_one(row: &mut [f32]) -> f64 {
        let largest = row.iter().fold(0.0f32, |max, value| max.max(value.abs()));
        let scale = power_of_two(f64::from(largest));
        let inverse = 1.0 / scale;
        // by way of f64: the inverse of a tiny scale is beyond f32
        for value in row {
            *value = (f64::from(*value) * inverse) as f32;
        }
        scale
    }

    fn add_square(
        mut sum: MatMut<'_, f64>,
        lhs: MatRef<'_, f32>,
        scales: &[f64],
        scratch: &mut Vec<f32>,
        par: Par,
    ) {
        let size = sum.nrows();
        scratch.resize(size * size, 0.0);
        square(
            MatMut::from_column_major_slice_mut(scratch, size, size),
            Accum::Replace,
            lhs,
            par,
        );
        for j in 0..size {
            let part = &scratch[j * size + j..(j + 1) * size];
            let sums = &mut contiguous_mut(sum.as_mut().col_mut(j))[j..];
            for ((sum, &part), &scale) in sums.iter_mut().zip(part).zip(&scales[j..]) {
                *sum += scale * scales[j] * f64::from(part);
            }
        }
    }
}

/// `sum[:, j] += factor(j) · values[:, j]`.
struct AddColumns<'a, F> {
    sum: MatMut<'a, f64>,
    values: &'a [f32],
    factor: F,
}

impl<F: Fn(usize) -> f64> Kernel for AddColumns<'_, F> {
    #[inline(always)]
    fn run(mut self) {
        let rows = self.sum.nrows();
        for (j, values) in self.values.chunks_exact(rows).enumerate() {
            let sum = contiguous_mut(self.sum.as_mut().col_mut(j));
            add_scaled(sum, (self.factor)(j), values);
        }
    }
}

/// The lower triangle of `sum += lhs · lhsᵀ`.
pub(crate) fn add_square(sum: MatMut<'_, f64>, lhs: MatRef<'_, f64>, par: Par) {
    square(sum, Accum::Add, lhs, par);
}

/// The lower triangle of lhs · lhsᵀ, at half the cost of the whole.
fn square<T: ComplexField>(sum: MatMut<'_, T>, accum: Accum, lhs: MatRef<'_, T>, par: Par) {
    triangular::matmul_with_conj(
        sum,
        BlockStructure::TriangularLower,
        accum,
        lhs,
        BlockStructure::Rectangular,
        faer::Conj::No,
        lhs.transpose(),
        BlockStructure::Rectangular,
        faer::Conj::No,
        faer::traits::math_utils::one::<T>(),
        par,
    );
}

/// The largest power of two ≤ `value`, or 1 when `value` is zero, subnormal or not finite.
pub(crate) fn power_of_two(value: f64) -> f64 {
    if value.is_normal() {
        f64::from_bits(value.to_bits() & (0x7ff << 52))
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_bound_from_below() {
        for (value, expected) in [
            (1.0, 1.0),
            (1.99, 1.0),
            (0.3, 0.25),
            (1e-300, 2f64.powi(-997)),
            (0.0, 1.0),
            (f64::NAN, 1.0),
            (f64::INFINITY, 1.0),
        ] {
            assert_eq!(power_of_two(value), expected, "{value}");
        }
    }

    #[test]
    fn single_precision_survives_extreme_scales() {
        let scales = [1e-80, 1e120];
        let values = Mat::from_fn(3, 2, |i, j| (1.0 + (i + 3 * j) as f64) * scales[j]);
        let narrowed = f32::narrow(values.as_ref());
        for j in 0..2 {
            for i in 0..3 {
                let back = f64::from(narrowed.right().mat[(i, j)]) * narrowed.right().scale(j);
                assert!((back - values[(i, j)]).abs() <= f64::from(f32::EPSILON) * values[(i, j)]);
            }
        }
    }
}
