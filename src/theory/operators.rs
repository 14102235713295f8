//! The operators of a case, as products with vectors of the span: none is ever written out here.

use std::ops::Range;

use faer::linalg::solvers::Solve as _;
use faer::{Mat, MatRef, Scale, Side};

use super::case::Case;

impl Case {
    /// F X = Gᵀ(G X)/n, X `[r, k]`.
    pub(super) fn fisher_vector_product(&self, x: &Mat<f64>) -> Mat<f64> {
        self.weighted(x, |_| 1.0)
    }

    /// (1/n) Σ_i w_i g_i g_iᵀ X.
    pub(super) fn weighted(&self, x: &Mat<f64>, weight: impl Fn(usize) -> f64) -> Mat<f64> {
        let n = self.examples() as f64;
        let mut c = self.rows() * x;
        scale_rows(&mut c, |i| weight(i) / n);
        self.rows().transpose() * &c
    }

    /// C₂ X with C₂ = (1/n) Σ_i ‖g_i‖² g_i g_iᵀ − F².
    pub(super) fn spread_times(&self, x: &Mat<f64>) -> Mat<f64> {
        let norms = self.squared_norms();
        self.weighted(x, |i| norms[i]) - self.fisher_vector_product(&self.fisher_vector_product(x))
    }

    /// E X = (F + λI)⁻¹X.
    pub(super) fn exact_times(&self, x: &Mat<f64>) -> Mat<f64> {
        self.exact().solve(x)
    }

    /// D X = (1/n) Σ_i (g_i g_iᵀ + λI)⁻¹X, each by Sherman–Morrison.
    pub(super) fn swapped_times(&self, x: &Mat<f64>) -> Mat<f64> {
        let lambda = self.swap().damping * self.lambda();
        let (norms, sign) = (self.squared_norms(), self.swap().sign);
        let taken = self.weighted(x, |i| sign / (lambda + norms[i]));
        (x - taken) * Scale(1.0 / lambda)
    }

    /// What D is on everything orthogonal to the gradients: 1/λ.
    pub(super) fn swapped_outside(&self) -> f64 {
        1.0 / self.lambda() / self.swap().damping
    }

    /// (D − E) X.
    pub(super) fn swapped_less_exact(&self, x: &Mat<f64>) -> Mat<f64> {
        self.swapped_times(x) - self.exact_times(x)
    }

    /// D_b X: the mean over groups of b consecutive examples of (F_group + λI)⁻¹X, each weighted by its size.
    /// `None` where a group's b×b matrix is not positive definite to rounding.
    pub(super) fn grouped_times(&self, x: &Mat<f64>, size: usize) -> Option<Mat<f64>> {
        if size == 1 {
            return Some(self.swapped_times(x));
        }
        let (n, lambda) = (self.examples(), self.lambda());
        let mut taken = Mat::<f64>::zeros(x.nrows(), x.ncols());
        for group in groups(n, size) {
            let b = group.len() as f64;
            let h: MatRef<'_, f64> = self.rows().as_ref().subrows(group.start, group.len());
            let mut gram = h * h.transpose();
            (0..group.len()).for_each(|i| gram[(i, i)] += b * lambda);
            let mut c = gram.llt(Side::Lower).ok()?.solve(h * x);
            c *= Scale(b / n as f64);
            taken += h.transpose() * &c;
        }
        Some((x - taken) * Scale(1.0 / lambda))
    }
}

/// 0..n in consecutive groups, the last one perhaps smaller.
fn groups(n: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n)
        .step_by(size)
        .map(move |start| start..(start + size).min(n))
}

fn scale_rows(c: &mut Mat<f64>, weight: impl Fn(usize) -> f64) {
    for j in 0..c.ncols() {
        for i in 0..c.nrows() {
            c[(i, j)] *= weight(i);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradients::store::{GradientStore, TensorInfo};
    use crate::influence::{Block, BlockLayout, Blocks, MethodSpec, Precision};
    use crate::theory::testing::random;

    /// The operator of a method of the bench, `[d, d]`.
    fn of_method(spec: &str, g: &Mat<f64>, lambda: f64) -> Mat<f64> {
        let (n, d) = (g.nrows(), g.ncols());
        let values = (0..n)
            .flat_map(|i| (0..d).map(move |j| g[(i, j)] as f32))
            .collect();
        let store =
            GradientStore::from_memory(n, vec![(TensorInfo::new("block", [d]), values)]).unwrap();
        let layout = BlockLayout::new(store.tensors(), Blocks::PerMatrix);
        let block = Block::new(&store, &layout.blocks()[0], Precision::F64, d, 0);
        let spec: MethodSpec = spec.parse().unwrap();
        let prepared = spec.method().prepare(&block, lambda).unwrap();
        prepared.apply(&Mat::identity(d, d)).unwrap().x
    }

    #[test]
    fn the_operators_are_those_of_the_methods() {
        for (n, d) in [(12, 7), (6, 15)] {
            // whole numbers, so that storing them as f32 loses nothing
            let g = random(n, d, 4);
            let g = Mat::from_fn(n, d, |i, j| (4.0 * g[(i, j)]).round());
            let case = Case::new(g.clone(), Some(Mat::identity(d, d)), 0.7).unwrap();
            // coordinates of the span in the basis of the block, and what the span leaves out
            let q = case.query_rows().unwrap();
            let outside = Mat::<f64>::identity(d, d) - q * q.transpose();
            let lift = |x: Mat<f64>| q * x * q.transpose() + &outside * Scale(1.0 / 0.7);
            let identity = Mat::identity(case.span(), case.span());
            let pairs = [
                ("exact", case.exact_times(&identity)),
                ("datainf", case.swapped_times(&identity)),
                (
                    "datainf:group_size=4,shuffle=false",
                    case.grouped_times(&identity, 4).unwrap(),
                ),
            ];
            for (spec, here) in pairs {
                let difference = (lift(here) - of_method(spec, &g, 0.7)).norm_max();
                assert!(difference < 1e-13, "{spec} {n} {d}: {difference:e}");
            }
        }
    }

    #[test]
    fn one_group_is_exact() {
        let case = Case::new(random(9, 5, 2), None, 0.2).unwrap();
        let x = Mat::identity(5, 5);
        let difference = case.grouped_times(&x, 9).unwrap() - case.exact_times(&x);
        assert!(difference.norm_max() < 1e-13);
    }
}
