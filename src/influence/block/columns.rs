//! Work on matrices of queries column by column: one column is one query.
//!
//! Every sum runs in a fixed order, so that no number depends on how many threads there are.

use std::mem::MaybeUninit;
use std::ops::Range;

use faer::{Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::reduce::{dot, sum_of_squares};
use crate::vector::{Kernel, dispatch};

/// a_jᵀb_j of every column j.
pub(crate) fn dots(a: &Mat<f64>, b: &Mat<f64>) -> Vec<f64> {
    (0..a.ncols())
        .into_par_iter()
        .with_min_len(column_grain(a.nrows()))
        .map(|j| dot(column(a.as_ref(), j), column(b.as_ref(), j)))
        .collect()
}

/// ‖a_j‖ of every column j.
pub(crate) fn norms(a: &Mat<f64>) -> Vec<f64> {
    (0..a.ncols())
        .into_par_iter()
        .with_min_len(column_grain(a.nrows()))
        .map(|j| sum_of_squares(column(a.as_ref(), j)).sqrt())
        .collect()
}

/// Works on every column of a matrix, in parallel.
pub(crate) fn each_column(a: &mut Mat<f64>, work: impl Fn(usize, &mut [f64]) + Sync) {
    let grain = column_grain(a.nrows());
    a.as_mut()
        .par_col_iter_mut()
        .with_min_len(grain)
        .enumerate()
        .for_each(|(j, out)| work(j, contiguous_mut(out)));
}

/// A matrix with `map` of every entry, in parallel over columns.
pub(crate) fn mapped<S: Copy + Sync, T: Send>(
    from: MatRef<'_, S>,
    map: impl Fn(S) -> T + Copy + Send + Sync,
) -> Mat<T> {
    mapped_by_column(from, |_| (map, ())).0
}

/// A matrix every column of which is made by a map of its own, in parallel, and what comes with the maps. A map should
/// hold what it needs by value. Memory is written once: a matrix of zeros to write to would cost as much again.
pub(crate) fn mapped_by_column<S: Copy + Sync, T: Send, F: Fn(S) -> T, R: Send>(
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

/// The columns of `a` named, in that order.
pub(crate) fn keep(a: &Mat<f64>, columns: &[usize]) -> Mat<f64> {
    let mut kept = Mat::zeros(a.nrows(), columns.len());
    each_column(&mut kept, |j, out| {
        out.copy_from_slice(column(a.as_ref(), columns[j]));
    });
    kept
}

/// ‖r_j‖/‖v_j‖ from the residuals R and the norms of the queries; 0 where the residual is zero.
pub(crate) fn relative(r: &Mat<f64>, sizes: &[f64]) -> Vec<f64> {
    norms(r)
        .into_iter()
        .zip(sizes)
        .map(|(r, v)| if r == 0.0 { 0.0 } else { r / v })
        .collect()
}

/// Whether a residual stands above what was asked; NaN does.
pub(crate) fn above(residual: f64, tolerance: f64) -> bool {
    residual.is_nan() || residual > tolerance
}

/// The largest; NaN when any is.
pub(crate) fn worst(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(0.0, |worst: f64, value| {
        if value.is_nan() || worst.is_nan() {
            f64::NAN
        } else {
            worst.max(value)
        }
    })
}

/// Columns for one task, so that handing it out does not cost more than doing it.
pub(crate) fn column_grain(rows: usize) -> usize {
    (16_384 / rows.max(1)).max(1)
}

/// A column of a matrix that was made here, column by column.
pub(crate) fn column(values: MatRef<'_, f64>, j: usize) -> &[f64] {
    contiguous(values.col(j))
}

/// A column of a matrix that was made here.
pub(crate) fn contiguous<T>(column: faer::ColRef<'_, T>) -> &[T] {
    column
        .try_as_col_major()
        .expect("matrices of queries and coefficients are stored by columns")
        .as_slice()
}

/// A column to write to, of a matrix that was made here.
pub(crate) fn contiguous_mut<T>(column: faer::ColMut<'_, T>) -> &mut [T] {
    column
        .try_as_col_major_mut()
        .expect("matrices of queries and coefficients are stored by columns")
        .as_slice_mut()
}

/// All threads of the pool.
pub(crate) fn parallel() -> Par {
    Par::rayon(0)
}

/// `factor · V`.
pub(crate) fn scaled(v: &Mat<f64>, factor: f64) -> Mat<f64> {
    mapped(v.as_ref(), move |v| factor * v)
}

/// `x[j] = combine(v[j], x[j])` entry by entry, in parallel over columns.
pub(crate) fn combine(v: &Mat<f64>, x: &mut Mat<f64>, combine: impl Fn(f64, f64) -> f64 + Sync) {
    let grain = column_grain(v.nrows());
    x.as_mut()
        .par_col_iter_mut()
        .with_min_len(grain)
        .enumerate()
        .for_each(|(j, x)| {
            for (x, &v) in contiguous_mut(x).iter_mut().zip(column(v.as_ref(), j)) {
                *x = combine(v, *x);
            }
        });
}

/// Row k of C times `weight(k)`.
pub(crate) fn scale_rows(c: &mut Mat<f64>, weight: impl Fn(usize) -> f64 + Sync) {
    let grain = column_grain(c.nrows());
    c.as_mut()
        .par_col_iter_mut()
        .with_min_len(grain)
        .for_each(|column| {
            contiguous_mut(column)
                .iter_mut()
                .enumerate()
                .for_each(|(k, value)| *value *= weight(k));
        });
}

/// A matrix by ranges of rows, which follow one another.
pub(crate) fn cut(
    out: MatMut<'_, f64>,
    ranges: impl Iterator<Item = Range<usize>>,
) -> Vec<(Range<usize>, MatMut<'_, f64>)> {
    let mut rest = out;
    let mut tiles = Vec::new();
    for range in ranges {
        let (tile, below) = rest.split_at_row_mut(range.len());
        tiles.push((range, tile));
        rest = below;
    }
    tiles
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
