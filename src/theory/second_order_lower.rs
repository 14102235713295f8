//! The error from below.

use super::case::Case;
use super::claim::{Claim, Finding, Info};

/// ‖D − E‖ ≥ ‖C₂‖/((λ + ‖F‖)² (λ + max ‖g_i‖²)).
///
/// Proof: in the [identity](super::identity) every A_i⁻¹ ⪰ I/(λ + max ‖g_i‖²), so D − E ⪰ E C₂ E/(λ + max ‖g‖²);
/// and max_x xᵀE C₂ E x/xᵀx = max_y yᵀC₂y/‖E⁻¹y‖² ≥ ‖C₂‖/(λ + ‖F‖)². With the second-order bound it holds the
/// error in a bracket that closes as λ grows.
pub struct SecondOrderLower;

static INFO: Info = Info {
    name: "second_order_lower",
    title: "Error from below",
    statement: "‖D − E‖ ≥ ‖C₂‖/((λ + ‖F‖)² (λ + max ‖g_i‖²))",
    measures: "the lower bound times λ, held against λ‖D − E‖",
    source: "this project",
};

/// The lower bound in units of 1/λ.
pub(super) fn bound(case: &Case) -> f64 {
    let lambda = case.lambda();
    let (fisher, largest) = (case.fisher_norm(), case.largest_norm());
    lambda * case.spread_norm() / ((lambda + fisher).powi(2) * (lambda + largest))
}

impl Claim for SecondOrderLower {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, case: &Case) -> Finding {
        let tolerance = case.rounding() + super::second_order::rounding(case);
        Finding::at_most(bound(case), case.gap().norm(), tolerance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::testing::{holds_everywhere, is_violated, random, wrong_damping};

    #[test]
    fn holds_and_is_tight_under_large_damping() {
        holds_everywhere(&SecondOrderLower);
        let case = Case::new(random(20, 8, 3), None, 5e4).unwrap();
        let finding = SecondOrderLower.check(&case);
        assert!(finding.margin > 0.0 && finding.margin < 3e-3, "{finding:?}");
    }

    #[test]
    fn an_operator_without_the_error_is_found_out() {
        // λ of D so that D − E loses its first-order part: E itself in place of D would be the extreme
        let case = Case::new(random(20, 8, 3), None, 500.0).unwrap();
        let first = 1.0 + bound(&case) / 2.0;
        is_violated(&SecondOrderLower, &wrong_damping(&case, first));
    }
}
