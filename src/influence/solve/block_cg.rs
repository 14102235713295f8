//! Block conjugate gradients: all queries share one Krylov space, and no matrix is factorised.

use faer::Mat;

use super::cholesky::Cholesky;
use super::dense::{product, thin_qr};
use crate::influence::block::columns::{
    above, column, combine, contiguous_mut, each_column, keep, norms, parallel, relative, worst,
};
use crate::influence::block::reduce::add_scaled;
use crate::influence::block::view::Block;

/// ‖(F+λI)x − v‖/‖v‖ that every query is to reach.
pub(crate) const TOLERANCE: f64 = 1e-10;
/// Iterations at most, restarts included. In exact arithmetic d/m of them suffice.
const MAX_ITERATIONS: usize = 5000;

/// What [`solve`] found.
pub(crate) struct Solution {
    /// X, `[d, m]`.
    pub x: Mat<f64>,
    /// The residual of every query, recomputed from G.
    pub residuals: Vec<f64>,
    /// Iterations, each one product with F of a block.
    pub iterations: usize,
    /// The largest residual after every iteration, of the recurrence; the last is recomputed.
    pub history: Vec<f64>,
}

/// X = (F + λI)⁻¹V by block conjugate gradients, matrix-free.
///
/// Dubrulle's BCGrQ: the residual block is carried as R = QC with orthonormal Q, made anew by a QR each step,
/// and the directions P are combined from Q. Queries that depend on one another (a mean of the others, a repeated
/// one, zeros) only make rows of C vanish, Q stays orthonormal, and PᵀAP stays as well conditioned as A. Queries
/// are solved at unit norm, so that small ones converge as well as large ones. The recurrence's residual is
/// checked against the true one, from which it restarts while that helps.
///
/// Source: Dubrulle 2001, Retooling the method of block conjugate gradients; O'Leary 1980. A step costs
/// 4·s·n·d + 8·s²·d + 2·m·s·d flops with s = min(m, d) and reads the gradients twice; 5·m·d numbers.
pub(crate) fn solve(block: &Block<'_>, v: &Mat<f64>, lambda: f64) -> Solution {
    let sizes = norms(v);
    let mut unit = v.clone();
    each_column(&mut unit, |j, v| {
        if sizes[j] > 0.0 {
            v.iter_mut().for_each(|v| *v /= sizes[j]);
        }
    });
    let ones = vec![1.0; v.ncols()];
    let mut x = Mat::zeros(v.nrows(), v.ncols());
    let mut r = unit.clone();
    let mut residuals: Vec<f64> = sizes
        .iter()
        .map(|&v| f64::from(u8::from(v > 0.0)))
        .collect();
    let mut history = Vec::new();
    loop {
        let open: Vec<usize> = (0..v.ncols())
            .filter(|&j| above(residuals[j], TOLERANCE))
            .collect();
        let before = worst(residuals.iter().copied());
        if open.is_empty() || history.len() >= MAX_ITERATIONS {
            break;
        }
        let step = round(block, keep(&r, &open), lambda, &mut history);
        for (k, &j) in open.iter().enumerate() {
            let step = column(step.as_ref(), k);
            add_scaled(contiguous_mut(x.as_mut().col_mut(j)), 1.0, step);
        }
        r = block.residual(&unit, &x, lambda).0;
        residuals = relative(&r, &ones);
        let now = worst(residuals.iter().copied());
        if let Some(last) = history.last_mut() {
            *last = now;
        }
        // rounding is reached, or worse
        if now.is_nan() || now >= 0.5 * before {
            break;
        }
    }
    each_column(&mut x, |j, x| x.iter_mut().for_each(|x| *x *= sizes[j]));
    Solution {
        x,
        residuals,
        iterations: history.len(),
        history,
    }
}

/// The correction (F + λI)⁻¹R to the tolerance of the recurrence.
fn round(block: &Block<'_>, r: Mat<f64>, lambda: f64, history: &mut Vec<f64>) -> Mat<f64> {
    let mut x = Mat::zeros(r.nrows(), r.ncols());
    let (mut q, mut c) = thin_qr(r);
    let mut p = q.clone();
    while history.len() < MAX_ITERATIONS {
        let mut z = block.fisher_vector_product(&p);
        combine(&p, &mut z, |p, z| z + lambda * p);
        let curvature = product(p.transpose(), z.as_ref());
        // not positive: rounding has taken over, and the true residual decides
        let Ok(factor) = Cholesky::new(curvature, parallel()) else {
            break;
        };
        let mut weights = c.clone();
        factor.solve(weights.as_mut(), parallel());
        x += product(p.as_ref(), weights.as_ref());
        let mut inverse = Mat::identity(q.ncols(), q.ncols());
        factor.solve(inverse.as_mut(), parallel());
        let (next, turn) = thin_qr(q - product(z.as_ref(), inverse.as_ref()));
        c = product(turn.as_ref(), c.as_ref());
        p = &next + product(p.as_ref(), turn.transpose());
        q = next;
        // ‖r_j‖ is the norm of the column of C, Q being orthonormal
        let now = worst(norms(&c));
        history.push(now);
        if now.is_nan() || now <= TOLERANCE {
            break;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influence::block::testing::Axes;

    #[test]
    fn dependent_queries_and_repeated_eigenvalues() {
        let sigma = [9.0, 9.0, 9.0, 4.0, 4.0, 1.0];
        let axes = Axes::new(&sigma, 8);
        // one, its double, one of another size, zeros, the sum of the first and third
        let one = |i: usize| 1.0 + i as f64;
        let other = |i: usize| 1e-6 * (i as f64 - 2.5).powi(2);
        let v = Mat::from_fn(8, 5, |i, j| {
            [one(i), 2.0 * one(i), other(i), 0.0, one(i) + other(i)][j]
        });
        let found = solve(&axes.block(), &v, 0.5);
        for j in 0..5 {
            assert!(found.residuals[j] <= TOLERANCE, "{:e}", found.residuals[j]);
            for i in 0..8 {
                let expected = v[(i, j)] / (sigma.get(i).copied().unwrap_or(0.0) + 0.5);
                assert!((found.x[(i, j)] - expected).abs() <= 1e-6 * expected.abs());
            }
        }
        // four eigenvalues with the zero
        assert!(found.iterations <= 4, "{}", found.iterations);
        assert_eq!(found.history.len(), found.iterations);
    }

    #[test]
    fn more_queries_than_dimensions_take_one_step() {
        let axes = Axes::new(&[3.0, 2.0, 1.0], 3);
        let v = Mat::from_fn(3, 7, |i, j| ((5 * i + 3 * j) % 7) as f64 - 3.0);
        let found = solve(&axes.block(), &v, 0.1);
        assert_eq!(found.iterations, 1);
        assert!(found.residuals.iter().all(|&r| r <= TOLERANCE));
    }
}
