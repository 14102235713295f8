//! The few products that every method is written with.
//!
//! Query gradients V and their images X are `[d, m]`, coefficients and scores `[n, m]`: **one query a
//! column**, stored by columns. G is never copied whole: f32 products view it in the store, f64 products
//! widen it chunk by chunk into a small buffer; see [`row_pass`](super::row_pass).
//!
//! Both products with a chunk are cut into tiles of the result, each worked on by one thread from start to
//! end: no thread ever waits for another inside a product, and no number depends on how many there are.

use faer::{Mat, MatMut};

use super::columns::{column, each_column, norms, relative, scale_rows, worst};
use super::precision::{Element, Precision};
use super::view::Block;

impl Block<'_> {
    /// G V, `[n, m]`: the product of every example with every query. 2·m·n·d flops.
    pub(crate) fn matvec(&self, v: &Mat<f64>) -> Mat<f64> {
        let mut c = Mat::zeros(self.rows(), v.ncols());
        self.add_scores(v, 1.0, c.as_mut());
        c
    }

    /// `scores += factor · G X`, `[n, m]`. 2·m·n·d flops.
    pub(crate) fn add_scores(&self, x: &Mat<f64>, factor: f64, scores: MatMut<'_, f64>) {
        if x.ncols() <= self.tiles().few {
            return self.add_scores_of_few(x, factor, scores);
        }
        match self.precision() {
            Precision::F32 => self.add_scores_in::<f32>(x, factor, scores),
            Precision::F64 => self.add_scores_in::<f64>(x, factor, scores),
        }
    }

    fn add_scores_in<T: Element>(&self, x: &Mat<f64>, factor: f64, mut scores: MatMut<'_, f64>) {
        let x = T::narrow(x.as_ref());
        self.row_pass::<T>(|rows| {
            let out = scores
                .as_mut()
                .subrows_mut(rows.range.start, rows.range.len());
            rows.add_project(x.right(), factor, out);
        });
    }

    /// Gᵀ C, `[d, m]`: for every query the sum of the examples, weighted by its column of C. 2·m·n·d flops.
    pub(crate) fn rmatvec(&self, c: &Mat<f64>) -> Mat<f64> {
        match self.precision() {
            Precision::F32 => self.expand_in::<f32>(c),
            Precision::F64 => self.expand_in::<f64>(c),
        }
    }

    fn expand_in<T: Element>(&self, c: &Mat<f64>) -> Mat<f64> {
        let mut x = Mat::zeros(self.dim(), c.ncols());
        let c = T::narrow(c.as_ref());
        self.row_pass::<T>(|rows| {
            rows.add_expand(c.right().subrows(rows.range.clone()), x.as_mut());
        });
        x
    }

    /// `x += Σ_i w_i g_i (g_iᵀV)`, `[d, m]`, with w_i = `weight(i, ‖g_i‖²)`: a Fisher with weights, times V. The
    /// norms are taken only `with_norms`, else they are 0. 4·m·n·d flops, one pass over G: what is projected is
    /// expanded chunk by chunk.
    pub(crate) fn add_weighted_fisher(
        &self,
        v: &Mat<f64>,
        with_norms: bool,
        weight: impl Fn(usize, f64) -> f64 + Sync,
        x: &mut Mat<f64>,
    ) {
        if v.ncols() <= self.tiles().few {
            return self.add_weighted_fisher_of_few(v, weight, x);
        }
        match self.precision() {
            Precision::F32 => self.add_weighted_fisher_in::<f32>(v, with_norms, weight, x),
            Precision::F64 => self.add_weighted_fisher_in::<f64>(v, with_norms, weight, x),
        }
    }

    fn add_weighted_fisher_in<T: Element>(
        &self,
        v: &Mat<f64>,
        with_norms: bool,
        weight: impl Fn(usize, f64) -> f64 + Sync,
        x: &mut Mat<f64>,
    ) {
        let m = v.ncols();
        let narrow = T::narrow(v.as_ref());
        self.row_pass::<T>(|rows| {
            let mut c = Mat::<f64>::zeros(rows.range.len(), m + usize::from(with_norms));
            rows.add_project(narrow.right(), 1.0, c.as_mut());
            let norm = |i| if with_norms { c[(i, m)] } else { 0.0 };
            let weights: Vec<f64> = (0..rows.range.len())
                .map(|i| weight(rows.range.start + i, norm(i)))
                .collect();
            c.truncate(rows.range.len(), m);
            scale_rows(&mut c, |i| weights[i]);
            let c = T::narrow(c.as_ref());
            rows.add_expand(c.right(), x.as_mut());
        });
    }

    /// F V = Gᵀ G V / n, `[d, m]`. 4·m·n·d flops.
    pub(crate) fn fisher_vector_product(&self, v: &Mat<f64>) -> Mat<f64> {
        let weight = 1.0 / self.rows() as f64;
        let mut x = Mat::zeros(self.dim(), v.ncols());
        self.add_weighted_fisher(v, false, |_, _| weight, &mut x);
        x
    }

    /// The residual matrix V − (F + λI)X, `[d, m]`, in f64, and the largest ‖·‖/‖v‖ over the queries
    /// (NaN when any is). A query of zeros has residual 0 when its image is zero too.
    pub(crate) fn residual(&self, v: &Mat<f64>, x: &Mat<f64>, lambda: f64) -> (Mat<f64>, f64) {
        let mut r = self.with_precision(Precision::F64).fisher_vector_product(x);
        each_column(&mut r, |j, r| {
            let (v, x) = (column(v.as_ref(), j), column(x.as_ref(), j));
            for ((r, v), x) in r.iter_mut().zip(v).zip(x) {
                *r = v - *r - lambda * x;
            }
        });
        let worst = worst(relative(&r, &norms(v)));
        (r, worst)
    }
}
