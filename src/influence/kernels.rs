//! The few products that every method is written with.
//!
//! Query gradients V and their images X are `[d, m]`, **one query a column**; coefficients C are `[m, n]`,
//! one training example a column; both are stored by columns. G is never copied whole: f32 products view
//! it in the store, f64 products widen it panel by panel into one small buffer. Everything is
//! multi-threaded, and nothing depends on the number of threads.

use std::ops::Range;

use faer::{Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::block::{Block, Slab, chunks};
use super::element::{Element, Narrowed, column, column_grain, contiguous_mut};
use crate::config::influence::Precision;

/// Memory of the rows gathered for one Gram matrix.
const GRAM_BYTES: usize = 8 << 20;
/// Memory of the rows widened for one Fisher update.
const FISHER_BYTES: usize = 16 << 20;

/// All threads of the pool.
pub(super) fn parallel() -> Par {
    Par::rayon(0)
}

impl Block<'_> {
    /// C = VᵀGᵀ, `[m, n]`: the product of every query with every example. 2·m·n·d flops.
    pub(super) fn project(&self, v: &Mat<f64>) -> Mat<f64> {
        let mut c = Mat::zeros(v.ncols(), self.rows());
        self.add_scores(v, 1.0, c.as_mut());
        c
    }

    /// `scores += factor · XᵀGᵀ`, `[m, n]`. 2·m·n·d flops.
    pub(super) fn add_scores(&self, x: &Mat<f64>, factor: f64, scores: MatMut<'_, f64>) {
        match self.precision() {
            Precision::F32 => self.add_scores_in::<f32>(x, factor, scores),
            Precision::F64 => self.add_scores_in::<f64>(x, factor, scores),
        }
    }

    fn add_scores_in<T: Element>(&self, x: &Mat<f64>, factor: f64, mut scores: MatMut<'_, f64>) {
        let x = T::narrow(x.as_ref());
        let mut work = Work::<T>::new(self);
        for rows in self.panel_rows::<T>() {
            work.project(&x, rows.clone(), factor, scores.as_mut().subcols_mut(rows.start, rows.len()));
        }
    }

    /// GᵀCᵀ, `[d, m]`: for every query the sum of the examples, weighted by its row of C. 2·m·n·d flops.
    pub(super) fn expand(&self, c: &Mat<f64>) -> Mat<f64> {
        match self.precision() {
            Precision::F32 => self.expand_in::<f32>(c),
            Precision::F64 => self.expand_in::<f64>(c),
        }
    }

    fn expand_in<T: Element>(&self, c: &Mat<f64>) -> Mat<f64> {
        let mut x = Mat::zeros(self.dim(), c.nrows());
        let mut work = Work::<T>::new(self);
        for rows in self.panel_rows::<T>() {
            let part = T::narrow(c.as_ref().subcols(rows.start, rows.len()));
            work.expand(&part, rows, x.as_mut());
        }
        x
    }

    /// Gᵀ diag(w) G V, `[d, m]`, with w given by example: F V for w = 1/n. 4·m·n·d flops, and the
    /// gradients are widened once for both products.
    pub(super) fn weighted_fisher(&self, v: &Mat<f64>, weight: impl Fn(usize) -> f64) -> Mat<f64> {
        match self.precision() {
            Precision::F32 => self.weighted_fisher_in::<f32>(v, weight),
            Precision::F64 => self.weighted_fisher_in::<f64>(v, weight),
        }
    }

    fn weighted_fisher_in<T: Element>(&self, v: &Mat<f64>, weight: impl Fn(usize) -> f64) -> Mat<f64> {
        let narrow = T::narrow(v.as_ref());
        let mut out = Mat::zeros(self.dim(), v.ncols());
        let mut work = Work::<T>::new(self);
        for rows in self.panel_rows::<T>() {
            let mut c = Mat::zeros(v.ncols(), rows.len());
            work.project(&narrow, rows.clone(), 1.0, c.as_mut());
            for (j, row) in rows.clone().enumerate() {
                let weight = weight(row);
                contiguous_mut(c.as_mut().col_mut(j)).iter_mut().for_each(|value| *value *= weight);
            }
            work.expand(&T::narrow(c.as_ref()), rows, out.as_mut());
        }
        out
    }

    /// F V = Gᵀ G V / n, `[d, m]`.
    pub(super) fn fisher_times(&self, v: &Mat<f64>) -> Mat<f64> {
        let weight = 1.0 / self.rows() as f64;
        self.weighted_fisher(v, |_| weight)
    }

    /// Lower triangle of the Gram matrix H Hᵀ, `[b, b]`, of the given rows. b²·d flops.
    pub(super) fn gram(&self, rows: &[usize], par: Par) -> Mat<f64> {
        match self.precision() {
            Precision::F32 => self.gram_in::<f32>(rows, par),
            Precision::F64 => self.gram_in::<f64>(rows, par),
        }
    }

    fn gram_in<T: Element>(&self, rows: &[usize], par: Par) -> Mat<f64> {
        let mut gram = Mat::zeros(rows.len(), rows.len());
        let (mut gathered, mut scratch) = (Vec::new(), Vec::new());
        let width = (GRAM_BYTES / (rows.len().max(1) * size_of::<T>())).clamp(256, 4096);
        for Slab { tensor, columns, .. } in self.slabs(width) {
            gathered.resize(rows.len() * columns.len(), T::of_f32(0.0));
            let read = |(&row, out): (&usize, &mut [T])| self.store().read_row(tensor, row, columns.clone(), out);
            match par {
                Par::Seq => rows.iter().zip(gathered.chunks_exact_mut(columns.len())).for_each(read),
                _ => rows.par_iter().zip(gathered.par_chunks_exact_mut(columns.len())).with_min_len(8).for_each(read),
            }
            let h = MatRef::from_row_major_slice(&gathered, rows.len(), columns.len());
            T::add_square(gram.as_mut(), h, &mut scratch, par);
        }
        gram
    }

    /// Lower triangle of the Fisher matrix F = GᵀG/n, `[d, d]`, in f64. n·d² flops.
    pub(super) fn fisher(&self) -> Mat<f64> {
        let (n, d) = (self.rows(), self.dim());
        let mut fisher = Mat::zeros(d, d);
        let mut panel = Vec::new();
        let mut scratch = Vec::new();
        for rows in chunks(n, (FISHER_BYTES / (8 * d.max(1))).clamp(64, 4096)) {
            panel.resize(rows.len() * d, 0.0);
            panel.par_chunks_exact_mut(d).zip(rows.clone()).with_min_len(column_grain(d)).for_each(|(out, row)| {
                for s in self.segments() {
                    self.store().read_row(s.tensor, row, 0..s.dim, &mut out[s.offset..s.offset + s.dim]);
                }
            });
            let transposed = MatRef::from_column_major_slice(&panel, d, rows.len());
            f64::add_square(fisher.as_mut(), transposed, &mut scratch, parallel());
        }
        let weight = 1.0 / n as f64;
        fisher.as_mut().par_col_iter_mut().for_each(|c| contiguous_mut(c).iter_mut().for_each(|value| *value *= weight));
        fisher
    }

    /// ‖g_i‖² of every example, in f64. One pass over G.
    pub(super) fn squared_norms(&self) -> Vec<f64> {
        let mut norms = vec![0.0; self.rows()];
        norms.par_iter_mut().enumerate().with_min_len(column_grain(self.dim())).for_each(|(row, norm)| {
            for s in self.segments() {
                *norm += match self.store().as_f32(s.tensor) {
                    Some(all) => sum_of_squares(&all[row * s.dim..(row + 1) * s.dim]),
                    None => {
                        let mut values = vec![0.0f64; s.dim];
                        self.store().read_row(s.tensor, row, 0..s.dim, &mut values);
                        sum_of_squares(&values)
                    }
                };
            }
        });
        norms
    }

    /// Σ_i g_ij² of every column j, in f64. One pass over G.
    pub(super) fn column_squares(&self) -> Vec<f64> {
        let slabs: Vec<Slab> = self.slabs(256).collect();
        let parts: Vec<Vec<f64>> = slabs
            .into_par_iter()
            .map(|Slab { tensor, columns, .. }| {
                let mut sums = vec![0.0; columns.len()];
                let mut values = vec![0.0f64; columns.len()];
                for row in 0..self.rows() {
                    self.store().read_row(tensor, row, columns.clone(), &mut values);
                    sums.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value * value);
                }
                sums
            })
            .collect();
        parts.concat()
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
        let worst = relative.fold(0.0, |worst: f64, r| if r.is_nan() || worst.is_nan() { f64::NAN } else { worst.max(r) });
        (r, worst)
    }
}

/// `x[j] = combine(v[j], x[j])` entry by entry, in parallel over columns.
pub(super) fn combine(v: &Mat<f64>, x: &mut Mat<f64>, combine: impl Fn(f64, f64) -> f64 + Sync) {
    let grain = column_grain(v.nrows());
    x.as_mut().par_col_iter_mut().with_min_len(grain).enumerate().for_each(|(j, x)| {
        for (x, &v) in contiguous_mut(x).iter_mut().zip(column(v.as_ref(), j)) {
            *x = combine(v, *x);
        }
    });
}

/// Σ v² in f64, in eight running sums so that it can be vectorised; in a fixed order.
pub(super) fn sum_of_squares<T: Copy + Into<f64>>(values: &[T]) -> f64 {
    let (eights, rest) = values.as_chunks::<8>();
    let mut sums = [0.0f64; 8];
    for eight in eights {
        for (sum, &value) in sums.iter_mut().zip(eight) {
            let value: f64 = value.into();
            *sum += value * value;
        }
    }
    let tail: f64 = rest.iter().map(|&value| value.into()).map(|value: f64| value * value).sum();
    sums.iter().sum::<f64>() + tail
}

/// Reused memory of a run of products over one block.
struct Work<'a, T> {
    block: &'a Block<'a>,
    panel: Vec<T>,
    loaded: Option<(Slab, Range<usize>)>,
    scratch: Vec<T>,
}

impl<'a, T: Element> Work<'a, T> {
    fn new(block: &'a Block<'a>) -> Self {
        Self { block, panel: Vec::new(), loaded: None, scratch: Vec::new() }
    }

    /// `out += factor · V Gᵀ` over the given examples, `[m, rows]`.
    fn project(&mut self, v: &Narrowed<'_, T>, rows: Range<usize>, factor: f64, mut out: MatMut<'_, f64>) {
        let factor = factor * v.scale();
        for slab in self.block.panel_slabs() {
            let v = v.mat().subrows(slab.offset, slab.columns.len());
            let g = view(self.block, &mut self.panel, &mut self.loaded, slab, rows.clone());
            T::add_product(out.as_mut(), v.transpose(), g.transpose(), factor, &mut self.scratch, parallel());
        }
    }

    /// `out += Gᵀ Cᵀ` over the given examples, C `[m, rows]`, out `[d, m]`.
    fn expand(&mut self, c: &Narrowed<'_, T>, rows: Range<usize>, mut out: MatMut<'_, f64>) {
        // backwards, so that the slab that `project` ended with is still there
        for slab in self.block.panel_slabs().rev() {
            let out = out.as_mut().subrows_mut(slab.offset, slab.columns.len());
            let g = view(self.block, &mut self.panel, &mut self.loaded, slab, rows.clone());
            T::add_product(out, g.transpose(), c.mat().transpose(), c.scale(), &mut self.scratch, parallel());
        }
    }
}

/// A panel of G, `[rows, columns]`: a view of the store when it holds this very type, else converted into
/// `panel`, unless it is there already.
fn view<'m, T: Element>(
    block: &Block<'m>,
    panel: &'m mut Vec<T>,
    loaded: &mut Option<(Slab, Range<usize>)>,
    slab: Slab,
    rows: Range<usize>,
) -> MatRef<'m, T> {
    let store = block.store();
    let dim = store.tensors()[slab.tensor].dim();
    if let Some(all) = store.as_f32(slab.tensor).and_then(T::view) {
        let whole = MatRef::from_row_major_slice(&all[rows.start * dim..rows.end * dim], rows.len(), dim);
        return whole.subcols(slab.columns.start, slab.columns.len());
    }
    let shape = (rows.len(), slab.columns.len());
    let wanted = Some((slab, rows));
    if *loaded != wanted {
        *loaded = wanted;
        if let Some((slab, rows)) = loaded {
            panel.resize(shape.0 * shape.1, T::of_f32(0.0));
            store.read_panel(slab.tensor, rows.clone(), slab.columns.clone(), panel);
        }
    }
    MatRef::from_row_major_slice(panel, shape.0, shape.1)
}

#[cfg(test)]
mod tests;
