//! The few products that every method is written with.
//!
//! Query gradients V and their images X are `[d, m]`, coefficients and scores `[n, m]`: **one query a
//! column**, stored by columns. G is never copied whole: f32 products view it in the store, f64 products
//! widen it panel by panel into a small buffer.
//!
//! Both products with G are cut into tiles of the result, each worked on by one thread from start to end:
//! no thread ever waits for another inside a product, and no number depends on how many there are.

use std::ops::Range;

use faer::{Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::block::{Block, Slab, chunks};
use super::element::{Element, column, column_grain, contiguous_mut};
use super::moments::sum_of_squares;
use crate::config::influence::Precision;

/// All threads of the pool.
pub(super) fn parallel() -> Par {
    Par::rayon(0)
}

impl Block<'_> {
    /// G V, `[n, m]`: the product of every example with every query. 2·m·n·d flops.
    pub(super) fn project(&self, v: &Mat<f64>) -> Mat<f64> {
        let mut c = Mat::zeros(self.rows(), v.ncols());
        self.add_scores(v, 1.0, c.as_mut());
        c
    }

    /// `scores += factor · G X`, `[n, m]`. 2·m·n·d flops.
    pub(super) fn add_scores(&self, x: &Mat<f64>, factor: f64, scores: MatMut<'_, f64>) {
        match self.precision() {
            Precision::F32 => self.add_scores_in::<f32>(x, factor, scores),
            Precision::F64 => self.add_scores_in::<f64>(x, factor, scores),
        }
    }

    fn add_scores_in<T: Element>(&self, x: &Mat<f64>, factor: f64, scores: MatMut<'_, f64>) {
        let x = T::narrow(x.as_ref());
        let factor = factor * x.scale();
        let tiles = cut(scores, chunks(self.rows(), self.tiles().project_rows));
        let slabs = self.slabs(self.tiles().project_columns);
        self.run(
            tiles,
            &slabs,
            |rows, slabs, mut out, panel: &mut Panel<T>| {
                for slab in slabs {
                    let x = x.mat().subrows(slab.offset, slab.columns.len());
                    let (g, scratch) = panel.read(self, slab, rows.clone());
                    T::add_product(out.as_mut(), g, x, factor, scratch);
                }
            },
        );
    }

    /// Gᵀ C, `[d, m]`: for every query the sum of the examples, weighted by its column of C. 2·m·n·d flops.
    pub(super) fn expand(&self, c: &Mat<f64>) -> Mat<f64> {
        match self.precision() {
            Precision::F32 => self.expand_in::<f32>(c),
            Precision::F64 => self.expand_in::<f64>(c),
        }
    }

    fn expand_in<T: Element>(&self, c: &Mat<f64>) -> Mat<f64> {
        let mut x = Mat::zeros(self.dim(), c.ncols());
        let c = T::narrow(c.as_ref());
        let scale = c.scale();
        let slabs = self.slabs(self.tiles().expand_columns);
        let tiles = cut(
            x.as_mut(),
            slabs
                .iter()
                .map(|slab| slab.offset..slab.offset + slab.columns.len()),
        );
        let tiles = tiles
            .into_iter()
            .zip(&slabs)
            .map(|((_, out), slab)| (slab.clone(), out))
            .collect();
        let rows: Vec<_> = chunks(self.rows(), self.tiles().expand_rows).collect();
        self.run(tiles, &rows, |slab, rows, mut out, panel: &mut Panel<T>| {
            for rows in rows {
                let c = c.mat().subrows(rows.start, rows.len());
                let (g, scratch) = panel.read(self, slab, rows.clone());
                T::add_product(out.as_mut(), g.transpose(), c, scale, scratch);
            }
        });
        x
    }

    /// Works on every tile of a result in parallel, adding up `terms` in order. When there are few tiles, the
    /// terms are cut into parts that are worked on side by side and added up in order; how, depends on sizes
    /// only.
    fn run<T: Element, Place: Sync + Send, Term: Sync>(
        &self,
        tiles: Vec<(Place, MatMut<'_, f64>)>,
        terms: &[Term],
        work: impl Fn(&Place, &[Term], MatMut<'_, f64>, &mut Panel<T>) + Sync,
    ) {
        let parts = (self.tiles().tasks / tiles.len().max(1)).clamp(1, terms.len().max(1));
        let terms_a_part = terms.len().div_ceil(parts).max(1);
        tiles
            .into_par_iter()
            .for_each_init(Panel::new, |panel, (place, mut out)| {
                if parts == 1 {
                    return work(&place, terms, out, panel);
                }
                let sums: Vec<Mat<f64>> = terms
                    .par_chunks(terms_a_part)
                    .map_init(Panel::new, |panel, terms| {
                        let mut sum = Mat::zeros(out.nrows(), out.ncols());
                        work(&place, terms, sum.as_mut(), panel);
                        sum
                    })
                    .collect();
                sums.iter().for_each(|sum| out += sum);
            });
    }

    /// F V = Gᵀ G V / n, `[d, m]`. 4·m·n·d flops.
    pub(super) fn fisher_times(&self, v: &Mat<f64>) -> Mat<f64> {
        let mut c = self.project(v);
        let weight = 1.0 / self.rows() as f64;
        scale_rows(&mut c, |_| weight);
        self.expand(&c)
    }

    /// The residual matrix V − (F + λI)X, `[d, m]`, in f64, and the largest ‖·‖/‖v‖ over the queries
    /// (NaN when any is). A query of zeros has residual 0 when its image is zero too.
    pub(super) fn residual(&self, v: &Mat<f64>, x: &Mat<f64>, lambda: f64) -> (Mat<f64>, f64) {
        let mut r = self.with_precision(Precision::F64).fisher_times(x);
        let relative = (0..v.ncols()).map(|j| {
            let (v, x) = (column(v.as_ref(), j), column(x.as_ref(), j));
            let r = contiguous_mut(r.as_mut().col_mut(j));
            for ((r, v), x) in r.iter_mut().zip(v).zip(x) {
                *r = v - *r - lambda * x;
            }
            let (r, v) = (sum_of_squares(r).sqrt(), sum_of_squares(v).sqrt());
            if r == 0.0 { 0.0 } else { r / v }
        });
        let worst = relative.fold(0.0, |worst: f64, r| {
            if r.is_nan() || worst.is_nan() {
                f64::NAN
            } else {
                worst.max(r)
            }
        });
        (r, worst)
    }
}

/// `x[j] = combine(v[j], x[j])` entry by entry, in parallel over columns.
pub(super) fn combine(v: &Mat<f64>, x: &mut Mat<f64>, combine: impl Fn(f64, f64) -> f64 + Sync) {
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
pub(super) fn scale_rows(c: &mut Mat<f64>, weight: impl Fn(usize) -> f64 + Sync) {
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
pub(super) fn cut(
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

/// A thread's reused memory.
struct Panel<T> {
    widened: Vec<T>,
    scratch: Vec<T>,
}

impl<T: Element> Panel<T> {
    fn new() -> Self {
        Self {
            widened: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// A panel of G, `[rows, columns]`, and the scratch: a view of the store when it holds this very type,
    /// else converted.
    fn read<'s>(
        &'s mut self,
        block: &Block<'s>,
        slab: &Slab,
        rows: Range<usize>,
    ) -> (MatRef<'s, T>, &'s mut Vec<T>) {
        let (store, columns) = (block.store(), &slab.columns);
        let dim = store.tensors()[slab.tensor].dim();
        if let Some(all) = store.as_f32(slab.tensor).and_then(T::view) {
            let whole = MatRef::from_row_major_slice(
                &all[rows.start * dim..rows.end * dim],
                rows.len(),
                dim,
            );
            return (
                whole.subcols(columns.start, columns.len()),
                &mut self.scratch,
            );
        }
        self.widened
            .resize(rows.len() * columns.len(), T::of_f32(0.0));
        for (row, out) in rows
            .clone()
            .zip(self.widened.chunks_exact_mut(columns.len()))
        {
            store.read_row(slab.tensor, row, columns.clone(), out);
        }
        (
            MatRef::from_row_major_slice(&self.widened, rows.len(), columns.len()),
            &mut self.scratch,
        )
    }
}
