//! One block of gradients with its damping: what every claim is checked on.

use std::sync::OnceLock;

use faer::linalg::solvers::Llt;
use faer::{Mat, Side};
use thiserror::Error;

use super::spectral::{Extremes, extremes};

/// A block that no claim can be checked on.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum TheoryError {
    /// Damping that is none.
    #[error(
        "λ = {found} is not positive and finite: the gradients of this block are zero or overflow"
    )]
    Damping {
        /// What was found.
        found: f64,
    },
    /// A NaN or infinity.
    #[error("the gradient of example {row} is {value} at column {column}")]
    NotFinite {
        /// Example.
        row: usize,
        /// Column.
        column: usize,
        /// What was found.
        value: f64,
    },
    /// No gradient at all.
    #[error("the block is {rows} × {columns}: it has no gradients")]
    Empty {
        /// Examples.
        rows: usize,
        /// Columns.
        columns: usize,
    },
    /// A factorisation that breaks down.
    #[error("F + λI of size {size} is not positive definite to rounding at λ = {lambda:e}")]
    NotPositiveDefinite {
        /// Size.
        size: usize,
        /// λ.
        lambda: f64,
    },
}

/// What D is computed with: λ times `damping`, and `sign` before the sum. Both are 1; the tests of a claim
/// spoil them to see it fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Swap {
    pub damping: f64,
    pub sign: f64,
}

/// One block: G `[n, d]`, λ, and perhaps queries V `[m, d]`.
///
/// All operators act as 1/λ on what is orthogonal to every gradient, where D − E is 0. So they are kept in
/// an orthonormal basis of the gradients' span, of r = min(n, d) dimensions: with n < d, Gᵀ = QR and the rows
/// of Rᵀ `[n, r]` are the gradients in the basis Q; otherwise G itself.
#[derive(Debug)]
pub struct Case {
    gradients: Mat<f64>,
    queries: Option<Mat<f64>>,
    lambda: f64,
    rows: Mat<f64>,
    query_rows: Option<Mat<f64>>,
    squared_norms: Vec<f64>,
    swap: Swap,
    exact: Llt<f64>,
    gap: OnceLock<Extremes>,
    fisher: OnceLock<Extremes>,
    spread: OnceLock<Extremes>,
}

impl Case {
    /// A case of gradients `[n, d]`, queries `[m, d]` and λ.
    ///
    /// # Errors
    /// No gradients, a NaN or infinity among them, λ not positive and finite, F + λI not positive definite to
    /// rounding.
    pub fn new(
        gradients: Mat<f64>,
        queries: Option<Mat<f64>>,
        lambda: f64,
    ) -> Result<Self, TheoryError> {
        let swap = Swap {
            damping: 1.0,
            sign: 1.0,
        };
        Self::with_swap(gradients, queries, lambda, swap)
    }

    pub(super) fn with_swap(
        gradients: Mat<f64>,
        queries: Option<Mat<f64>>,
        lambda: f64,
        swap: Swap,
    ) -> Result<Self, TheoryError> {
        let (n, d) = (gradients.nrows(), gradients.ncols());
        if n == 0 || d == 0 {
            return Err(TheoryError::Empty {
                rows: n,
                columns: d,
            });
        }
        for matrix in std::iter::once(&gradients).chain(&queries) {
            for column in 0..d {
                for row in 0..matrix.nrows() {
                    let value = matrix[(row, column)];
                    if !value.is_finite() {
                        return Err(TheoryError::NotFinite { row, column, value });
                    }
                }
            }
        }
        let (rows, query_rows) = if n < d {
            let qr = gradients.transpose().qr();
            let rows = qr.thin_R().transpose().to_owned();
            let query_rows = queries.as_ref().map(|v| v * qr.compute_thin_Q());
            (rows, query_rows)
        } else {
            (gradients.clone(), queries.clone())
        };
        Self::in_span(gradients, queries, rows, query_rows, lambda, swap)
    }

    fn in_span(
        gradients: Mat<f64>,
        queries: Option<Mat<f64>>,
        rows: Mat<f64>,
        query_rows: Option<Mat<f64>>,
        lambda: f64,
        swap: Swap,
    ) -> Result<Self, TheoryError> {
        if !(lambda.is_finite() && lambda > 0.0) {
            return Err(TheoryError::Damping { found: lambda });
        }
        let squared_norms = (0..rows.nrows())
            .map(|i| rows.row(i).iter().map(|g| g * g).sum())
            .collect();
        let size = rows.ncols();
        let mut matrix = rows.transpose() * &rows;
        let n = rows.nrows() as f64;
        matrix *= faer::Scale(1.0 / n);
        (0..size).for_each(|i| matrix[(i, i)] += lambda);
        let exact = matrix
            .llt(Side::Lower)
            .map_err(|_| TheoryError::NotPositiveDefinite { size, lambda })?;
        Ok(Self {
            gradients,
            queries,
            lambda,
            rows,
            query_rows,
            squared_norms,
            swap,
            exact,
            gap: OnceLock::new(),
            fisher: OnceLock::new(),
            spread: OnceLock::new(),
        })
    }

    /// The same gradients at another λ.
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    pub fn at(&self, lambda: f64) -> Result<Self, TheoryError> {
        Self::in_span(
            self.gradients.clone(),
            self.queries.clone(),
            self.rows.clone(),
            self.query_rows.clone(),
            lambda,
            self.swap,
        )
    }

    /// Other gradients at the same λ, without queries.
    pub(super) fn of(&self, gradients: Mat<f64>) -> Result<Self, TheoryError> {
        Self::with_swap(gradients, None, self.lambda, self.swap)
    }

    /// Examples n.
    pub fn examples(&self) -> usize {
        self.gradients.nrows()
    }

    /// Size d of the block.
    pub fn dim(&self) -> usize {
        self.gradients.ncols()
    }

    /// Dimensions r = min(n, d) that the operators are kept in.
    pub fn span(&self) -> usize {
        self.rows.ncols()
    }

    /// λ.
    pub fn lambda(&self) -> f64 {
        self.lambda
    }

    /// G, `[n, d]`.
    pub fn gradients(&self) -> &Mat<f64> {
        &self.gradients
    }

    /// V, `[m, d]`.
    pub fn queries(&self) -> Option<&Mat<f64>> {
        self.queries.as_ref()
    }

    /// G in the span, `[n, r]`.
    pub(super) fn rows(&self) -> &Mat<f64> {
        &self.rows
    }

    /// V in the span, `[m, r]`: the parts orthogonal to all gradients are gone.
    pub(super) fn query_rows(&self) -> Option<&Mat<f64>> {
        self.query_rows.as_ref()
    }

    /// ‖g_i‖².
    pub(super) fn squared_norms(&self) -> &[f64] {
        &self.squared_norms
    }

    /// max ‖g_i‖².
    pub(super) fn largest_norm(&self) -> f64 {
        self.squared_norms.iter().copied().fold(0.0, f64::max)
    }

    pub(super) fn swap(&self) -> Swap {
        self.swap
    }

    pub(super) fn exact(&self) -> &Llt<f64> {
        &self.exact
    }

    /// The ends of D − E, in units of 1/λ.
    pub fn gap(&self) -> Extremes {
        *self.gap.get_or_init(|| {
            self.with_outside(extremes(self.span(), &|x| self.swapped_less_exact(x)))
        })
    }

    /// The ends of an operator that is D − E outside the span, in units of 1/λ.
    pub(super) fn with_outside(&self, inside: Extremes) -> Extremes {
        let ends = Extremes {
            low: self.lambda * inside.low,
            high: self.lambda * inside.high,
            error: self.lambda * inside.error,
        };
        if self.span() == self.dim() || ends.norm().is_nan() {
            return ends;
        }
        let outside = 1.0 / self.swap.damping - 1.0;
        Extremes {
            low: ends.low.min(outside),
            high: ends.high.max(outside),
            ..ends
        }
    }

    /// ‖F‖.
    pub fn fisher_norm(&self) -> f64 {
        let ends = self
            .fisher
            .get_or_init(|| extremes(self.span(), &|x| self.fisher_vector_product(x)));
        ends.norm()
    }

    /// ‖C₂‖ = ‖(1/n) Σ ‖g_i‖² g_i g_iᵀ − F²‖.
    pub fn spread_norm(&self) -> f64 {
        let ends = self
            .spread
            .get_or_init(|| extremes(self.span(), &|x| self.spread_times(x)));
        ends.norm()
    }

    /// What rounding can add to an operator's eigenvalue, in units of 1/λ: 8 ε max(n, r) κ with
    /// κ = (λ + ‖F‖)/λ, and the residual where D − E was seen by Lanczos. A Cholesky solve with a matrix of
    /// condition κ is backward stable, so that its error is of the order ε r κ times the inverse's norm 1/λ, and a
    /// sum over n examples adds ε n (Higham, Accuracy and Stability of Numerical Algorithms, 2002).
    pub fn rounding(&self) -> f64 {
        let terms = self.examples().max(self.span()) as f64;
        let condition = 1.0 + self.fisher_norm() / self.lambda;
        8.0 * f64::EPSILON * terms * condition + self.gap().error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::testing::random;

    #[test]
    fn the_span_keeps_products_and_norms() {
        let (g, v) = (random(5, 12, 1), random(3, 12, 2));
        let case = Case::new(g.clone(), Some(v.clone()), 0.3).unwrap();
        assert_eq!((case.span(), case.dim(), case.examples()), (5, 12, 5));
        let (here, there) = (case.rows() * case.rows().transpose(), &g * g.transpose());
        assert!((&here - &there).norm_max() < 1e-13);
        let here = case.query_rows().unwrap() * case.rows().transpose();
        assert!((&here - &v * g.transpose()).norm_max() < 1e-13);
    }

    #[test]
    fn what_cannot_be_checked_is_said() {
        let mut g = random(3, 4, 1);
        assert_eq!(
            Case::new(g.clone(), None, 0.0).unwrap_err(),
            TheoryError::Damping { found: 0.0 }
        );
        g[(2, 1)] = f64::INFINITY;
        assert!(matches!(
            Case::new(g, None, 1.0),
            Err(TheoryError::NotFinite {
                row: 2,
                column: 1,
                ..
            })
        ));
        assert!(matches!(
            Case::new(Mat::zeros(0, 3), None, 1.0),
            Err(TheoryError::Empty { .. })
        ));
    }
}
