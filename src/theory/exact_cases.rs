//! Where DataInf is exact.

use faer::Mat;

use super::case::Case;
use super::claim::{Claim, Finding, Info};

/// D = E for one example, and for examples that agree up to sign: all g_i g_iᵀ are then equal, and a mean of
/// equal inverses is the inverse of the mean. Conversely D = E at any one λ makes them equal: in the
/// [identity](super::identity) every term is ⪰ 0, so all Δ_i E = 0.
///
/// Measured on the case's longest gradient, alone and as up to 8 copies of alternating sign.
pub struct ExactCases;

static INFO: Info = Info {
    name: "exact_cases",
    title: "Exact cases",
    statement: "D = E when n = 1, and when all g_i = ±g",
    measures: "λ‖D − E‖ for the longest gradient alone and for copies of it with alternating signs, held against 0",
    source: "this project",
};

impl Claim for ExactCases {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, case: &Case) -> Finding {
        let norms = case.squared_norms();
        let longest = (0..norms.len())
            .max_by(|&i, &j| norms[i].total_cmp(&norms[j]))
            .unwrap_or(0);
        let (mut measured, mut tolerance) = (0.0f64, 0.0f64);
        for copies in [1, case.examples().min(8)] {
            let gradients = Mat::from_fn(copies, case.dim(), |i, j| {
                let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
                sign * case.gradients()[(longest, j)]
            });
            let copies = match case.of(gradients) {
                Ok(copies) => copies,
                Err(error) => return error.into(),
            };
            let gap = copies.gap().norm();
            // a NaN stays one
            measured = if gap > measured || gap.is_nan() {
                gap
            } else {
                measured
            };
            tolerance = tolerance.max(copies.rounding());
        }
        Finding::at_most(measured, 0.0, tolerance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::testing::{cases, holds_everywhere, is_violated, wrong_damping, wrong_sign};

    #[test]
    fn holds_and_spoiled_operators_are_found_out() {
        holds_everywhere(&ExactCases);
        for case in cases() {
            is_violated(&ExactCases, &wrong_sign(&case));
            is_violated(&ExactCases, &wrong_damping(&case, 1.0 + 1e-4));
        }
    }
}
