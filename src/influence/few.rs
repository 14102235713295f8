//! Products with a handful of queries, where the memory's speed is the limit: one row after another, its
//! dot products, norm and weighted sum while it is in the cache. In f64 from the stored numbers on.

use std::ops::Range;

use faer::{Mat, MatMut};
use rayon::prelude::*;

use super::block::{Block, chunks};
use super::element::{Element, column, contiguous_mut};
use super::kernels::cut;
use super::sweep::Rows;
use crate::vector::{Kernel, dispatch};

/// Queries up to which rows are gone through one by one: measured with 1, 2, 4 and 8.
pub(super) const FEW: usize = 4;

/// Parts of a chunk that are worked on side by side, whatever the number of threads.
const PARTS: usize = 16;

impl Block<'_> {
    /// `scores += factor · G x` for at most [`FEW`] columns.
    pub(super) fn add_scores_of_few(&self, x: &Mat<f64>, factor: f64, scores: MatMut<'_, f64>) {
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
        self.sweep::<T>(|rows| {
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

    /// Σ_i w_i g_i (g_iᵀV) for at most [`FEW`] columns, with w_i = `weight(i, ‖g_i‖²)`.
    pub(super) fn weighted_fisher_of_few(
        &self,
        v: &Mat<f64>,
        weight: impl Fn(usize, f64) -> f64 + Sync,
    ) -> Mat<f64> {
        if self.stored_as_f32() {
            self.weighted_fisher_by_rows::<f32>(v, weight)
        } else {
            self.weighted_fisher_by_rows::<f64>(v, weight)
        }
    }

    fn weighted_fisher_by_rows<T: Element>(
        &self,
        v: &Mat<f64>,
        weight: impl Fn(usize, f64) -> f64 + Sync,
    ) -> Mat<f64> {
        let mut x = Mat::zeros(v.nrows(), v.ncols());
        self.sweep::<T>(|rows| {
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
                    });
                    sum
                })
                .collect();
            sums.iter().for_each(|sum| x += sum);
        });
        x
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
    rows: &'a Rows<'a, T>,
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
        for (i, row) in range.enumerate() {
            for q in 0..x.ncols() {
                let x = column(x.as_ref(), q);
                let mut sum = 0.0;
                for part in &rows.segments {
                    sum += dot(part.row(row), &x[part.offset..part.offset + part.dim]).0;
                }
                out[(i, q)] += factor * sum;
            }
        }
    }
}

struct Weigh<'a, T, W> {
    rows: &'a Rows<'a, T>,
    /// Within the chunk.
    range: Range<usize>,
    v: &'a Mat<f64>,
    weight: &'a W,
    x: MatMut<'a, f64>,
}

impl<T: Element, W: Fn(usize, f64) -> f64> Kernel for Weigh<'_, T, W> {
    #[inline(always)]
    fn run(self) {
        let Self {
            rows,
            range,
            v,
            weight,
            mut x,
        } = self;
        let mut products = [0.0; FEW];
        for row in range {
            let mut norm = 0.0;
            for (q, product) in products.iter_mut().enumerate().take(v.ncols()) {
                let v = column(v.as_ref(), q);
                *product = 0.0;
                for part in &rows.segments {
                    let (sum, squares) =
                        dot(part.row(row), &v[part.offset..part.offset + part.dim]);
                    *product += sum;
                    if q == 0 {
                        norm += squares;
                    }
                }
            }
            let weight = weight(rows.range.start + row, norm);
            for (q, product) in products.iter().enumerate().take(v.ncols()) {
                let x = contiguous_mut(x.as_mut().col_mut(q));
                for part in &rows.segments {
                    let x = &mut x[part.offset..part.offset + part.dim];
                    add_multiple(x, part.row(row), weight * product);
                }
            }
        }
    }
}

/// Σ a·b and Σ a², in a fixed order for any width of the vectors.
#[inline(always)]
fn dot<T: Copy + Into<f64>>(a: &[T], b: &[f64]) -> (f64, f64) {
    const LANES: usize = 32;
    let (mut sums, mut squares) = ([0.0f64; LANES], [0.0f64; LANES]);
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            let value: f64 = a[lane].into();
            sums[lane] += value * b[lane];
            squares[lane] += value * value;
        }
    }
    let (mut sum, mut square) = (sums.iter().sum::<f64>(), squares.iter().sum::<f64>());
    for (&a, b) in a_rest.iter().zip(b_rest) {
        let value: f64 = a.into();
        sum += value * b;
        square += value * value;
    }
    (sum, square)
}

/// `x += factor · a`.
#[inline(always)]
fn add_multiple<T: Copy + Into<f64>>(x: &mut [f64], a: &[T], factor: f64) {
    for (x, &a) in x.iter_mut().zip(a) {
        let value: f64 = a.into();
        *x += factor * value;
    }
}
