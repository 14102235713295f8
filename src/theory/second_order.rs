//! The theorem's bound before it is loosened to d².

use super::case::Case;
use super::claim::{Claim, Finding, Info};

/// ‖D − E‖ ≤ λ⁻³ ‖C₂‖ with C₂ = (1/n) Σ ‖g_i‖² g_i g_iᵀ − F².
///
/// Proof: in the [identity](super::identity) every A_i⁻¹ ⪯ I/λ, so D − E ⪯ λ⁻¹ E C₂ E, and ‖E‖ ≤ 1/λ. Equal in
/// the limit of large λ.
pub struct SecondOrder;

static INFO: Info = Info {
    name: "second_order",
    title: "Second-order bound",
    statement: "‖D − E‖ ≤ λ⁻³ ‖(1/n) Σ ‖g_i‖² g_i g_iᵀ − F²‖",
    measures: "λ‖D − E‖, held against ‖C₂‖/λ²",
    source: "Kwon et al. 2024 (arXiv 2310.00902), proof of Theorem 1, before ‖·‖ ≤ d ‖·‖_max: this project",
};

/// ‖C₂‖/λ²: the bound in units of 1/λ.
pub(super) fn bound(case: &Case) -> f64 {
    case.spread_norm() / case.lambda().powi(2)
}

/// What rounding can add to [`bound`]: ε max(n, r) of the two terms that C₂ is the difference of.
pub(super) fn rounding(case: &Case) -> f64 {
    let terms = case.examples().max(case.span()) as f64;
    8.0 * f64::EPSILON * terms * case.largest_norm() * case.fisher_norm() / case.lambda().powi(2)
}

impl Claim for SecondOrder {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, case: &Case) -> Finding {
        Finding::at_most(
            case.gap().norm(),
            bound(case),
            case.rounding() + rounding(case),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::testing::{
        holds_everywhere, is_violated, random, wrong_damping, wrong_sign,
    };

    #[test]
    fn holds_and_is_tight_under_large_damping() {
        holds_everywhere(&SecondOrder);
        let case = Case::new(random(20, 8, 3), None, 5e4).unwrap();
        let finding = SecondOrder.check(&case);
        assert!(finding.margin > 0.0 && finding.margin < 3e-3, "{finding:?}");
    }

    #[test]
    fn a_spoiled_operator_is_found_out() {
        let case = Case::new(random(20, 8, 3), None, 500.0).unwrap();
        is_violated(&SecondOrder, &wrong_sign(&case));
        is_violated(&SecondOrder, &wrong_damping(&case, 1.01));
    }
}
