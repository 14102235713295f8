//! Work on matrices of queries column by column: one column is one query.
//!
//! Every sum runs in a fixed order, so that no number depends on how many threads there are.

use std::mem::MaybeUninit;

use faer::{Mat, MatRef};
use rayon::prelude::*;

use super::element::{column, column_grain, contiguous, contiguous_mut};
use super::moments::sum_of_squares;
use crate::vector::{Kernel, dispatch};

/// aᵀb in f64, in eight running sums so that it can be vectorised; in a fixed order.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a8, a_rest), (b8, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0f64; 8];
    for (a, b) in a8.iter().zip(b8) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let tail: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + tail
}

/// a_jᵀb_j of every column j.
pub(super) fn dots(a: &Mat<f64>, b: &Mat<f64>) -> Vec<f64> {
    (0..a.ncols())
        .into_par_iter()
        .with_min_len(column_grain(a.nrows()))
        .map(|j| dot(column(a.as_ref(), j), column(b.as_ref(), j)))
        .collect()
}

/// ‖a_j‖ of every column j.
pub(super) fn norms(a: &Mat<f64>) -> Vec<f64> {
    (0..a.ncols())
        .into_par_iter()
        .with_min_len(column_grain(a.nrows()))
        .map(|j| sum_of_squares(column(a.as_ref(), j)).sqrt())
        .collect()
}

/// Works on every column of a matrix, in parallel.
pub(super) fn each_column(a: &mut Mat<f64>, work: impl Fn(usize, &mut [f64]) + Sync) {
    let grain = column_grain(a.nrows());
    a.as_mut()
        .par_col_iter_mut()
        .with_min_len(grain)
        .enumerate()
        .for_each(|(j, out)| work(j, contiguous_mut(out)));
}

/// A matrix with `map` of every entry, in parallel over columns.
pub(super) fn mapped<S: Copy + Sync, T: Send>(
    from: MatRef<'_, S>,
    map: impl Fn(S) -> T + Copy + Send + Sync,
) -> Mat<T> {
    mapped_by_column(from, |_| (map, ())).0
}

/// A matrix every column of which is made by a map of its own, in parallel, and what comes with the maps. A map should
/// hold what it needs by value. Memory is written once: a matrix of zeros to write to would cost as much again.
pub(super) fn mapped_by_column<S: Copy + Sync, T: Send, F: Fn(S) -> T, R: Send>(
    from: MatRef<'_, S>,
    map: impl Fn(&[S]) -> (F, R) + Sync,
) -> (Mat<T>, Vec<R>) {
    let (rows, columns) = (from.nrows(), from.ncols());
    let mut to = Mat::<T>::with_capacity(rows, columns);
    let (start, stride) = (to.as_ptr_mut() as usize, to.col_stride() as usize);
    let besides = (0..columns)
        .into_par_iter()
        .with_min_len(column_grain(rows))
        .map(|j| {
            // SAFETY: the column lies within the matrix's capacity, and no other task has it.
            let to = unsafe {
                let first = (start as *mut MaybeUninit<T>).add(j * stride);
                std::slice::from_raw_parts_mut(first, rows)
            };
            let from = contiguous(from.col(j));
            let (map, beside) = map(from);
            dispatch(MapColumn { from, to, map });
            beside
        })
        .collect();
    // SAFETY: every entry was written, as every column of `from` has as many.
    unsafe { to.set_dims(rows, columns) };
    (to, besides)
}

struct MapColumn<'a, S, T, F> {
    from: &'a [S],
    to: &'a mut [MaybeUninit<T>],
    // by value: what a reference leads to would be fetched again after every write
    map: F,
}

impl<S: Copy, T, F: Fn(S) -> T> Kernel for MapColumn<'_, S, T, F> {
    #[inline(always)]
    fn run(self) {
        for (to, &from) in self.to.iter_mut().zip(self.from) {
            to.write((self.map)(from));
        }
    }
}

/// `y += factor · x`, entry by entry, in f64.
#[inline(always)]
pub(super) fn add_scaled<T: Copy + Into<f64>>(y: &mut [f64], factor: f64, x: &[T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        let x: f64 = x.into();
        *y += factor * x;
    }
}

/// The columns of `a` named, in that order.
pub(super) fn keep(a: &Mat<f64>, columns: &[usize]) -> Mat<f64> {
    let mut kept = Mat::zeros(a.nrows(), columns.len());
    each_column(&mut kept, |j, out| {
        out.copy_from_slice(column(a.as_ref(), columns[j]));
    });
    kept
}

/// ‖r_j‖/‖v_j‖ from the residuals R and the norms of the queries; 0 where the residual is zero.
pub(super) fn relative(r: &Mat<f64>, sizes: &[f64]) -> Vec<f64> {
    norms(r)
        .into_iter()
        .zip(sizes)
        .map(|(r, v)| if r == 0.0 { 0.0 } else { r / v })
        .collect()
}

/// Whether a residual stands above what was asked; NaN does.
pub(super) fn above(residual: f64, tolerance: f64) -> bool {
    residual.is_nan() || residual > tolerance
}

/// The largest; NaN when any is.
pub(super) fn worst(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(0.0, |worst: f64, value| {
        if value.is_nan() || worst.is_nan() {
            f64::NAN
        } else {
            worst.max(value)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_worked_on_one_by_one() {
        let a = Mat::from_fn(11, 3, |i, j| (i + 1) as f64 * (j as f64 - 1.0));
        let sum = 11.0 * 12.0 * 23.0 / 6.0;
        assert_eq!(dots(&a, &a), [sum, 0.0, sum]);
        assert_eq!(norms(&a), [sum.sqrt(), 0.0, sum.sqrt()]);
        let kept = keep(&a, &[2, 1]);
        assert_eq!((kept[(4, 0)], kept[(4, 1)], kept.ncols()), (5.0, 0.0, 2));
        // a residual of zero against a query of zeros is none
        assert_eq!(relative(&a, &[2.0, 0.0, sum.sqrt()])[1..], [0.0, 1.0]);
        assert_eq!(worst([1.0, 3.0, 2.0]), 3.0);
        assert!(worst([1.0, f64::NAN, 2.0]).is_nan());
    }
}
