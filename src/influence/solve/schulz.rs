//! Schulz's iteration X ← X(2I − MX) for the inverse of a small dense matrix M `[s, s]` (Schulz 1933).

use faer::Mat;

use super::dense::product;
use crate::influence::block::columns::{column, combine, norms};
use crate::influence::block::reduce::sum_of_squares;

/// An approximate inverse and how it came about.
pub(in crate::influence) struct Inverse {
    pub(in crate::influence) x: Mat<f64>,
    /// ‖I − MX‖_F/√s after each step.
    pub(in crate::influence) history: Vec<f64>,
}

/// At most `steps` of X ← X(2I − MX) from `start`·I, until ‖I − MX‖_F ≤ `tolerance`, or rounding keeps it
/// from falling; with a tolerance of 0, exactly `steps`.
pub(in crate::influence) fn schulz(
    m: &Mat<f64>,
    start: f64,
    steps: usize,
    tolerance: f64,
) -> Inverse {
    let size = m.nrows();
    let mut x = Mat::from_fn(size, size, |i, j| if i == j { start } else { 0.0 });
    let mut y = product(m.as_ref(), x.as_ref());
    let mut history: Vec<f64> = Vec::new();
    for _ in 0..steps {
        // the whole product, though XMX is symmetric: rounding of MX, ε·κ, stays so in the residual M·X(MX) as
        // long as X multiplies it from the left, and becomes ε·κ² when half of the product is mirrored
        let mut next = product(x.as_ref(), y.as_ref());
        combine(&x, &mut next, |x, xmx| 2.0 * x - xmx);
        x = next;
        y = product(m.as_ref(), x.as_ref());
        let now = distance(&y);
        let last = history.last().copied();
        history.push(now);
        // the norm over all directions, not their mean: it bounds the residual of every query, and shows one direction
        // that is still far off. Below 1 each step squares it; one that does not even halve it is rounding
        let whole = now * (size as f64).sqrt();
        let done = whole <= tolerance || (whole < 0.1 && last.is_some_and(|last| now > 0.5 * last));
        if tolerance > 0.0 && (done || !now.is_finite()) {
            break;
        }
    }
    Inverse { x, history }
}

/// ‖I − Y‖_F/√s.
pub(in crate::influence) fn distance(y: &Mat<f64>) -> f64 {
    let squares = (0..y.ncols()).map(|j| {
        let mut y = column(y.as_ref(), j).to_vec();
        y[j] -= 1.0;
        sum_of_squares(&y)
    });
    (squares.sum::<f64>() / y.ncols() as f64).sqrt()
}

/// The whole matrix from its lower triangle.
pub(in crate::influence) fn mirrored(a: Mat<f64>) -> Mat<f64> {
    Mat::from_fn(a.nrows(), a.ncols(), |i, j| a[(i.max(j), i.min(j))])
}

pub(in crate::influence) fn damp(mut a: Mat<f64>, lambda: f64) -> Mat<f64> {
    (0..a.nrows()).for_each(|i| a[(i, i)] += lambda);
    a
}

pub(in crate::influence) fn frobenius(a: &Mat<f64>) -> f64 {
    sum_of_squares(&norms(a)).sqrt()
}

/// The largest sum of magnitudes in a column.
pub(in crate::influence) fn one_norm(a: &Mat<f64>) -> f64 {
    (0..a.ncols())
        .map(|j| column(a.as_ref(), j).iter().map(|v| v.abs()).sum::<f64>())
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_of_two_by_two() {
        let m = Mat::from_fn(2, 2, |i, j| [[3.0, 1.0], [1.0, 2.0]][i][j]);
        let start = 1.0 / one_norm(&m).min(frobenius(&m));
        let found = schulz(&m, start, 100, 1e-14);
        for (i, j, expected) in [(0, 0, 0.4), (0, 1, -0.2), (1, 0, -0.2), (1, 1, 0.6)] {
            assert!((found.x[(i, j)] - expected).abs() < 1e-14);
        }
        assert!(found.history.is_sorted_by(|a, b| a > b) && found.history.len() < 12);
        // by hand: two steps from x for a number m: 1 − mx is squared twice
        let one = Mat::from_fn(1, 1, |_, _| 4.0);
        let twice = schulz(&one, 0.1, 2, 0.0);
        assert!((twice.x[(0, 0)] - (1.0 - 0.6f64.powi(4)) / 4.0).abs() < 1e-16);
        assert!((twice.history[0] - 0.36).abs() < 1e-15 && twice.history.len() == 2);
    }
}
