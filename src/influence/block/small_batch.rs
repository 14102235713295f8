//! Products with a handful of queries, where the memory's speed is the limit: a few rows after another,
//! their dot products, norms and weighted sum while they are in the cache. In f64 from the stored numbers on, but that
//! with products in f32 four weighted rows at a time are added up in it.

use std::marker::PhantomData;
use std::ops::{Add, Mul, Range};

use faer::{Mat, MatMut};
use rayon::prelude::*;

use super::columns::{column, contiguous_mut, cut};
use super::precision::{Element, Precision, power_of_two};
use super::reduce::{SIDE_BY_SIDE, add_scaled, dots_with};
use super::row_pass::{RowChunk, TensorRows};
use super::view::{Block, FEW, chunks};
use crate::gradients::store::Real;
use crate::vector::{Kernel, dispatch};

/// RowChunk that are multiplied, then added, while they are in the cache.
const TOGETHER: usize = 16;

/// Parts of a chunk that are worked on side by side, whatever the number of threads.
const PARTS: usize = 16;

impl Block<'_> {
    /// `scores += factor · G x` for at most [`FEW`] columns.
    pub(crate) fn add_scores_of_few(&self, x: &Mat<f64>, factor: f64, scores: MatMut<'_, f64>) {
        if self.stored_as_f32() {
            self.add_scores_by_rows::<f32>(x, factor, scores);
        } else {
            self.add_scores_by_rows::<f64>(x, factor, scores);
        }
    }

    fn add_scores_by_rows<T: Element>(
        &self,
        x: &Mat<f64>,
        factor: f64,
        mut scores: MatMut<'_, f64>,
    ) {
        self.row_pass::<T>(|rows| {
            let out = scores
                .as_mut()
                .subrows_mut(rows.range.start, rows.range.len());
            cut(out, parts(rows.range.len()))
                .into_par_iter()
                .for_each(|(range, out)| {
                    dispatch(Project {
                        rows,
                        range,
                        x,
                        factor,
                        out,
                    });
                });
        });
    }

    /// `x += Σ_i w_i g_i (g_iᵀV)` for at most [`FEW`] columns, with w_i = `weight(i, ‖g_i‖²)`.
    pub(crate) fn add_weighted_fisher_of_few(
        &self,
        v: &Mat<f64>,
        weight: impl Fn(usize, f64) -> f64 + Sync,
        x: &mut Mat<f64>,
    ) {
        match (self.stored_as_f32(), self.precision()) {
            (true, Precision::F32) => self.add_weighted_fisher_by_rows::<f32, f32>(v, weight, x),
            (true, Precision::F64) => self.add_weighted_fisher_by_rows::<f32, f64>(v, weight, x),
            (false, _) => self.add_weighted_fisher_by_rows::<f64, f64>(v, weight, x),
        }
    }

    fn add_weighted_fisher_by_rows<T: Element + Into<A>, A: Sum>(
        &self,
        v: &Mat<f64>,
        weight: impl Fn(usize, f64) -> f64 + Sync,
        x: &mut Mat<f64>,
    ) {
        self.row_pass::<T>(|rows| {
            let sums: Vec<Mat<f64>> = parts(rows.range.len())
                .collect::<Vec<_>>()
                .into_par_iter()
                .map(|range| {
                    let mut sum = Mat::zeros(v.nrows(), v.ncols());
                    dispatch(Weigh {
                        rows,
                        range,
                        v,
                        weight: &weight,
                        x: sum.as_mut(),
                        sums: PhantomData::<A>,
                    });
                    sum
                })
                .collect();
            sums.iter().for_each(|sum| *x += sum);
        });
    }

    fn stored_as_f32(&self) -> bool {
        self.segments()
            .iter()
            .all(|s| self.store().as_f32(s.tensor).is_some())
    }
}

/// The rows of a chunk in [`PARTS`] parts.
fn parts(rows: usize) -> impl Iterator<Item = Range<usize>> {
    chunks(rows, rows.div_ceil(PARTS))
}

struct Project<'a, T> {
    rows: &'a RowChunk<'a, T>,
    /// Within the chunk.
    range: Range<usize>,
    x: &'a Mat<f64>,
    factor: f64,
    out: MatMut<'a, f64>,
}

impl<T: Element> Kernel for Project<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self {
            rows,
            range,
            x,
            factor,
            mut out,
        } = self;
        for first in range.clone().step_by(SIDE_BY_SIDE) {
            let group = first..range.end.min(first + SIDE_BY_SIDE);
            for q in 0..x.ncols() {
                let x = column(x.as_ref(), q);
                for part in &rows.segments {
                    let x = &x[part.offset..part.offset + part.dim];
                    let found = dots_of_rows(part, group.clone(), x);
                    for (row, (sum, _)) in group.clone().zip(found) {
                        out[(row - range.start, q)] += factor * sum;
                    }
                }
            }
        }
    }
}

struct Weigh<'a, T, A, W> {
    rows: &'a RowChunk<'a, T>,
    /// Within the chunk.
    range: Range<usize>,
    v: &'a Mat<f64>,
    weight: &'a W,
    x: MatMut<'a, f64>,
    sums: PhantomData<A>,
}

impl<T: Element + Into<A>, A: Sum, W: Fn(usize, f64) -> f64> Kernel for Weigh<'_, T, A, W> {
    #[inline(always)]
    fn run(self) {
        let Self {
            rows,
            range,
            v,
            weight,
            mut x,
            sums: _,
        } = self;
        for first in range.clone().step_by(TOGETHER) {
            let together = first..range.end.min(first + TOGETHER);
            let mut weights = [[0.0; TOGETHER]; FEW];
            let mut norms = [0.0; TOGETHER];
            for at in (0..together.len()).step_by(SIDE_BY_SIDE) {
                let group = first + at..together.end.min(first + at + SIDE_BY_SIDE);
                for (q, weights) in weights.iter_mut().enumerate().take(v.ncols()) {
                    let v = column(v.as_ref(), q);
                    for part in &rows.segments {
                        let v = &v[part.offset..part.offset + part.dim];
                        let found = dots_of_rows(part, group.clone(), v);
                        for (i, (sum, squares)) in (at..at + group.len()).zip(found) {
                            weights[i] += sum;
                            if q == 0 {
                                norms[i] += squares;
                            }
                        }
                    }
                }
            }
            for (at, row) in together.clone().enumerate() {
                let weight = weight(rows.range.start + row, norms[at]);
                for weights in &mut weights {
                    weights[at] *= weight;
                }
            }
            for (q, weights) in weights.iter().enumerate().take(v.ncols()) {
                let x = contiguous_mut(x.as_mut().col_mut(q));
                for part in &rows.segments {
                    let x = &mut x[part.offset..part.offset + part.dim];
                    add_rows::<T, A>(x, part, together.clone(), weights);
                }
            }
        }
    }
}

/// `x += Σ weight · row`, a stretch of x that stays in the cache after another; four rows at a time, which are
/// added up in A, with the weights brought near 1 by a power of two.
#[inline(always)]
fn add_rows<T: Copy + Into<A> + Into<f64>, A: Sum>(
    x: &mut [f64],
    part: &TensorRows<'_, T>,
    rows: Range<usize>,
    weights: &[f64; TOGETHER],
) {
    const STRETCH: usize = 1024;
    let scale = power_of_two(
        weights
            .iter()
            .fold(0.0, |max, weight| weight.abs().max(max)),
    );
    let mut scaled = [A::of_f64(0.0); TOGETHER];
    for (scaled, weight) in scaled.iter_mut().zip(weights) {
        *scaled = A::of_f64(weight / scale);
    }
    let mut begin = 0;
    for x in x.chunks_mut(STRETCH) {
        let end = begin + x.len();
        let mut row = rows.start;
        while row + 4 <= rows.end {
            let scaled = &scaled[row - rows.start..][..4];
            let (a, b) = (&part.row(row)[begin..end], &part.row(row + 1)[begin..end]);
            let (c, d) = (
                &part.row(row + 2)[begin..end],
                &part.row(row + 3)[begin..end],
            );
            for ((((x, &a), &b), &c), &d) in x.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                let (a, b): (A, A) = (a.into(), b.into());
                let (c, d): (A, A) = (c.into(), d.into());
                let sum = (scaled[0] * a + scaled[1] * b) + (scaled[2] * c + scaled[3] * d);
                *x += scale * sum.into();
            }
            row += 4;
        }
        while row < rows.end {
            add_scaled(x, weights[row - rows.start], &part.row(row)[begin..end]);
            row += 1;
        }
        begin = end;
    }
}

/// What four rows are added up in.
trait Sum: Real + Into<f64> + Mul<Output = Self> + Add<Output = Self> {}

impl<A: Real + Into<f64> + Mul<Output = A> + Add<Output = A>> Sum for A {}

/// [`dots_with`] of at most [`SIDE_BY_SIDE`] rows of a tensor.
#[inline(always)]
fn dots_of_rows<T: Copy + Into<f64>>(
    part: &TensorRows<'_, T>,
    rows: Range<usize>,
    b: &[f64],
) -> [(f64, f64); SIDE_BY_SIDE] {
    if rows.len() == SIDE_BY_SIDE {
        return dots_with([0, 1, 2, 3].map(|i| part.row(rows.start + i)), b);
    }
    let mut found = [(0.0, 0.0); SIDE_BY_SIDE];
    for (found, row) in found.iter_mut().zip(rows) {
        [*found] = dots_with([part.row(row)], b);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four rows at a time, the rest one by one, over two stretches: against plain loops.
    fn check<A: Sum>(tolerance: f64)
    where
        f32: Into<A>,
    {
        let (count, dim) = (7, 1030);
        let values: Vec<f32> = (0..count * dim).map(|i| (i as f32 * 0.37).sin()).collect();
        let part = TensorRows {
            offset: 0,
            dim,
            values: &values,
        };
        // weights far below the range of f32
        let mut weights = [0.0; TOGETHER];
        for (i, weight) in weights.iter_mut().enumerate().take(count) {
            *weight = (1.0 + i as f64) * 1e-60;
        }
        let mut x = vec![1e-60; dim];
        add_rows::<f32, A>(&mut x, &part, 0..count, &weights);
        for (j, &found) in x.iter().enumerate() {
            let expected = 1.0
                + (0..count)
                    .map(|i| (1.0 + i as f64) * f64::from(values[i * dim + j]))
                    .sum::<f64>();
            assert!(
                (found * 1e60 - expected).abs() < tolerance,
                "{j}: {found} {expected}"
            );
        }
    }

    /// RowChunk side by side and one alone, with numbers left over: the same sums, those of plain loops.
    #[test]
    fn rows_are_multiplied_side_by_side() {
        let (rows, dim) = (5, 77);
        let values: Vec<f32> = (0..rows * dim).map(|i| (i as f32 * 0.37).sin()).collect();
        let b: Vec<f64> = (0..dim).map(|i| (i as f64 * 0.11).cos()).collect();
        let part = TensorRows {
            offset: 0,
            dim,
            values: &values,
        };
        for first in 0..2 {
            let found = dots_of_rows(&part, first..first + SIDE_BY_SIDE, &b);
            for (row, found) in (first..).zip(found) {
                assert_eq!(dots_of_rows(&part, row..row + 1, &b)[0], found);
                let a = part.row(row).iter().map(|&a| f64::from(a));
                let sum: f64 = a.clone().zip(&b).map(|(a, b)| a * b).sum();
                let square: f64 = a.map(|a| a * a).sum();
                // the order of 77 terms of at most 1
                assert!((found.0 - sum).abs() < 77.0 * f64::EPSILON, "{row}");
                assert!(
                    (found.1 - square).abs() < 77.0 * f64::EPSILON * square,
                    "{row}"
                );
            }
        }
    }

    #[test]
    fn rows_are_added_four_at_a_time() {
        // sums of weights up to 28, in units of the type's rounding
        check::<f32>(28.0 * f64::from(f32::EPSILON));
        check::<f64>(28.0 * 4.0 * f64::EPSILON);
    }
}
