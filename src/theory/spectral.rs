//! The two ends of a symmetric operator's spectrum.

use faer::{Mat, Side};
use rand_distr::{Distribution, StandardNormal};

use crate::random::rng;

/// Up to this size an operator is written out and its eigenvalues are computed; above it, Lanczos.
pub const DENSE: usize = 512;

/// Steps of Lanczos at most.
const STEPS: usize = 300;
/// Steps between two looks at the Ritz values.
const LOOK: usize = 10;
/// Both ends have converged when their residuals are below this share of the norm.
const CONVERGED: f64 = 1e-10;

/// Smallest and largest eigenvalue of a symmetric operator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extremes {
    /// The smallest eigenvalue.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// Residual of the two: an eigenvalue lies no further from each. 0 of a dense decomposition, whose
    /// rounding is the caller's to know.
    pub error: f64,
}

impl Extremes {
    /// The spectral norm.
    pub fn norm(&self) -> f64 {
        if self.low.is_nan() || self.high.is_nan() {
            return f64::NAN;
        }
        self.low.abs().max(self.high.abs())
    }
}

/// A linear operator: X `[size, k]` in, `[size, k]` out.
pub type Product<'a> = &'a dyn Fn(&Mat<f64>) -> Mat<f64>;

/// The ends of the spectrum of a symmetric operator of this size: dense up to [`DENSE`], else by Lanczos.
/// NaN when the operator makes numbers that are not finite.
pub fn extremes(size: usize, product: Product<'_>) -> Extremes {
    if size <= DENSE {
        dense(size, product)
    } else {
        lanczos(size, product)
    }
}

/// All eigenvalues of the operator written out: one product with the identity and size³ flops.
pub fn dense(size: usize, product: Product<'_>) -> Extremes {
    let a = product(&Mat::identity(size, size));
    let symmetric = Mat::from_fn(size, size, |i, j| 0.5 * (a[(i, j)] + a[(j, i)]));
    let finite = (0..size).all(|j| (0..size).all(|i| symmetric[(i, j)].is_finite()));
    let ends = finite
        .then(|| symmetric.self_adjoint_eigenvalues(Side::Lower).ok())
        .flatten()
        .and_then(|values| Some((*values.first()?, *values.last()?)));
    let (low, high) = ends.unwrap_or((f64::NAN, f64::NAN));
    Extremes {
        low,
        high,
        error: 0.0,
    }
}

/// Lanczos from a fixed Gaussian start, every vector made orthogonal to all others twice: at most
/// [`STEPS`] products with one vector each, until both ends have residuals below 1e-10 of the norm.
///
/// A Ritz value never lies outside the spectrum, so that a norm is never overstated; by the residual it is
/// understated by no more than `error`, but for an eigenvector that the start misses (Parlett, The Symmetric
/// Eigenvalue Problem, 1980).
pub fn lanczos(size: usize, product: Product<'_>) -> Extremes {
    let mut random = rng(0, "theory", "lanczos_start");
    let mut fresh = || Mat::from_fn(size, 1, |_, _| StandardNormal.sample(&mut random));
    let steps = STEPS.min(size);
    let mut basis = Mat::<f64>::zeros(size, steps);
    let mut tridiagonal = Mat::<f64>::zeros(steps, steps);
    let mut next = unit(fresh());
    let mut ends = Extremes {
        low: f64::NAN,
        high: f64::NAN,
        error: f64::INFINITY,
    };
    for step in 0..steps {
        basis.as_mut().col_mut(step).copy_from(next.col(0));
        let mut w = product(&next);
        let mut alpha = 0.0;
        let known = basis.as_ref().subcols(0, step + 1);
        for _ in 0..2 {
            let parts = known.transpose() * &w;
            w -= known * &parts;
            alpha += parts[(step, 0)];
        }
        tridiagonal[(step, step)] = alpha;
        let beta = w.norm_l2();
        if !(alpha.is_finite() && beta.is_finite()) {
            return Extremes {
                low: f64::NAN,
                high: f64::NAN,
                error: f64::NAN,
            };
        }
        let last = step + 1 == steps;
        if last || (step + 1) % LOOK == 0 {
            ends = ritz(
                &tridiagonal,
                step + 1,
                if last && steps == size { 0.0 } else { beta },
            );
            if ends.error <= CONVERGED * ends.norm() {
                break;
            }
        }
        if last {
            break;
        }
        let scale = tridiagonal.norm_max();
        if beta > f64::EPSILON * size as f64 * scale {
            tridiagonal[(step + 1, step)] = beta;
            tridiagonal[(step, step + 1)] = beta;
            next = unit(w);
        } else {
            // an invariant space: go on outside it
            let mut start = fresh();
            for _ in 0..2 {
                let parts = known.transpose() * &start;
                start -= known * &parts;
            }
            next = unit(start);
        }
    }
    ends
}

/// The outermost Ritz values of the leading `used` steps and the larger of their residuals.
fn ritz(tridiagonal: &Mat<f64>, used: usize, beta: f64) -> Extremes {
    let small = tridiagonal.submatrix(0, 0, used, used).to_owned();
    let Ok(pairs) = small.self_adjoint_eigen(Side::Lower) else {
        return Extremes {
            low: f64::NAN,
            high: f64::NAN,
            error: f64::NAN,
        };
    };
    let (values, vectors) = (pairs.S().column_vector(), pairs.U());
    let residual = |k: usize| beta * vectors[(used - 1, k)].abs();
    Extremes {
        low: values[0],
        high: values[used - 1],
        error: residual(0).max(residual(used - 1)),
    }
}

fn unit(mut w: Mat<f64>) -> Mat<f64> {
    let norm = w.norm_l2();
    w *= faer::Scale(1.0 / norm);
    w
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A symmetric matrix with eigenvalues of both signs over five decades.
    fn matrix(size: usize) -> Mat<f64> {
        let mut random = rng(3, "test", "matrix");
        let g = Mat::<f64>::from_fn(size, size, |_, j| {
            let z: f64 = StandardNormal.sample(&mut random);
            z * (1.0 + j as f64).powi(-2)
        });
        let a = &g * g.transpose();
        Mat::from_fn(size, size, |i, j| {
            a[(i, j)] - if i == j { 0.1 } else { 0.0 }
        })
    }

    #[test]
    fn matrix_free_equals_dense() {
        for size in [1, 2, 7, 40, 200] {
            let a = matrix(size);
            let product = |x: &Mat<f64>| &a * x;
            let (exact, found) = (dense(size, &product), lanczos(size, &product));
            let tolerance = 1e-12 * exact.norm() + found.error;
            assert!(found.error <= 1e-9 * exact.norm(), "{size}: {found:?}");
            assert!(
                (exact.high - found.high).abs() <= tolerance,
                "{size}: {exact:?} {found:?}"
            );
            assert!(
                (exact.low - found.low).abs() <= tolerance,
                "{size}: {exact:?} {found:?}"
            );
        }
    }

    #[test]
    fn repeated_eigenvalues_and_zero_end() {
        let identity = |x: &Mat<f64>| x.clone();
        let ends = lanczos(600, &identity);
        assert!((ends.low - 1.0).abs() < 1e-12 && (ends.high - 1.0).abs() < 1e-12);
        let zero = |x: &Mat<f64>| Mat::zeros(x.nrows(), x.ncols());
        assert_eq!(lanczos(600, &zero).norm(), 0.0);
    }

    #[test]
    fn what_is_not_a_number_is_not_hidden() {
        let broken = |x: &Mat<f64>| Mat::from_fn(x.nrows(), x.ncols(), |_, _| f64::NAN);
        assert!(dense(4, &broken).norm().is_nan());
        assert!(lanczos(4, &broken).norm().is_nan());
    }
}
