//! Theorem 1 of the paper, with the constant of its proof.

use super::case::Case;
use super::claim::{Claim, Finding, Info};

/// ‖D − E‖ ≤ 2M²d²/λ³ with M = max_i ‖g_i‖_∞²: the constant behind O(d²).
///
/// Proof (of the paper): ‖g_i g_iᵀ − F‖ ≤ d ‖g_i g_iᵀ − F‖_max ≤ dM up to a constant, and the second-order term
/// of the inverse. The [second-order bound](super::second_order) gives it without the 2: ‖C₂‖ ≤ max ‖g_i‖⁴ ≤
/// M²d².
pub struct Theorem;

static INFO: Info = Info {
    name: "theorem_1",
    title: "Theorem 1",
    statement: "‖D − E‖ ≤ 2M²d²/λ³ with M = max_i ‖g_i‖_∞²",
    measures: "λ‖D − E‖, held against 2M²d²/λ²",
    source: "Kwon et al. 2024 (arXiv 2310.00902), Theorem 1",
};

/// 2M²d²/λ²: the bound in units of 1/λ.
pub(super) fn bound(case: &Case) -> f64 {
    let largest = case.gradients().norm_max().powi(2);
    2.0 * (largest * case.dim() as f64 / case.lambda()).powi(2)
}

impl Claim for Theorem {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, case: &Case) -> Finding {
        Finding::at_most(case.gap().norm(), bound(case), case.rounding())
    }
}

#[cfg(test)]
mod tests {
    use faer::Mat;

    use super::*;
    use crate::theory::testing::{holds_everywhere, is_violated, wrong_damping, wrong_sign};

    /// Two orthogonal sign vectors: ‖C₂‖ = d²/4.
    fn signs(d: usize) -> Mat<f64> {
        Mat::from_fn(2, d, |i, j| if i == 1 && j >= d / 2 { -1.0 } else { 1.0 })
    }

    #[test]
    fn holds_and_its_rate_is_reached_up_to_the_constant() {
        holds_everywhere(&Theorem);
        for d in [8, 32, 128] {
            let finding = Theorem.check(&Case::new(signs(d), None, 1e4).unwrap());
            let ratio = finding.measured / finding.bound;
            // d²/4 against 2d², less the terms of order d/λ
            assert!((ratio - 0.125).abs() < 0.005, "{d}: {ratio}");
        }
    }

    #[test]
    fn a_spoiled_operator_is_found_out() {
        let case = Case::new(signs(32), None, 1e4).unwrap();
        is_violated(&Theorem, &wrong_sign(&case));
        is_violated(&Theorem, &wrong_damping(&case, 0.9));
    }
}
