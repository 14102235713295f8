//! Why DataInf resembles Hessian-free inside a block.

use faer::Mat;

use super::case::Case;
use super::claim::{Claim, Finding, Info};

/// λD = I − P with P = (1/n) Σ g_i g_iᵀ/(λ + ‖g_i‖²) and 0 ≤ tr P < 1: what DataInf takes off the identity has
/// less than one eigenvalue's worth in d dimensions.
///
/// Proof: tr P = (1/n) Σ ‖g_i‖²/(λ + ‖g_i‖²). So DataInf is v/λ less at most one direction's worth: for a query
/// in a random direction E[vᵀ(I − λD)v]/‖v‖² = tr P/d < 1/d. With the default damping ‖g_i‖²/λ is about 10 d and P
/// nearly the mean of unit projectors.
pub struct HessianFree;

static INFO: Info = Info {
    name: "hessian_free",
    title: "Nearness to Hessian-free with weights 1/λ",
    statement: "λD = I − P with 0 ⪯ P and tr P < 1",
    measures: "tr(I − λD) over all d dimensions, held against 1 (and 0 from below)",
    source: "this project",
};

/// tr(I − λD).
pub(super) fn taken(case: &Case) -> f64 {
    let (lambda, span) = (case.lambda(), case.span());
    let inside: f64 = (0..span)
        .step_by(256)
        .map(|first| {
            let width = (span - first).min(256);
            let x = Mat::from_fn(span, width, |i, j| f64::from(u8::from(i == first + j)));
            let y = case.swapped_times(&x);
            (0..width)
                .map(|j| 1.0 - lambda * y[(first + j, j)])
                .sum::<f64>()
        })
        .sum();
    inside + (case.dim() - span) as f64 * (1.0 - lambda * case.swapped_outside())
}

impl Claim for HessianFree {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, case: &Case) -> Finding {
        let taken = taken(case);
        let tolerance = 8.0 * f64::EPSILON * (case.examples() + case.dim()) as f64;
        if taken < -tolerance {
            return Finding::at_most(-taken, 0.0, tolerance);
        }
        Finding::at_most(taken, 1.0, tolerance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::testing::{
        cases, holds_everywhere, is_violated, random, wrong_damping, wrong_sign,
    };

    #[test]
    fn holds_and_is_approached_as_damping_falls() {
        holds_everywhere(&HessianFree);
        let finding = HessianFree.check(&Case::new(random(6, 9, 1), None, 1e-6).unwrap());
        assert!(finding.margin > 0.0 && finding.margin < 1e-5, "{finding:?}");
    }

    #[test]
    fn spoiled_operators_are_found_out() {
        for case in cases() {
            is_violated(&HessianFree, &wrong_sign(&case));
            is_violated(&HessianFree, &wrong_damping(&case, 3.0));
        }
    }
}
