//! The second-order bound seen through the exact inverse.

use super::case::Case;
use super::claim::{Claim, Finding, Info};
use super::spectral::extremes;

/// ‖D − E‖ ≤ λ⁻¹ ‖E C₂ E‖ ≤ λ⁻³ ‖C₂‖.
///
/// Proof: in the [identity](super::identity), A_i⁻¹ ⪯ I/λ alone. What the second-order bound gives away when it
/// replaces E by 1/λ is kept: directions with much Fisher count little.
pub struct SecondOrderInner;

static INFO: Info = Info {
    name: "second_order_inner",
    title: "Second-order bound through E",
    statement: "‖D − E‖ ≤ λ⁻¹ ‖E C₂ E‖, which is at most λ⁻³ ‖C₂‖",
    measures: "λ‖D − E‖, held against ‖E C₂ E‖",
    source: "this project",
};

/// ‖E C₂ E‖: the bound in units of 1/λ.
pub(super) fn bound(case: &Case) -> f64 {
    let product = |x: &faer::Mat<f64>| case.exact_times(&case.spread_times(&case.exact_times(x)));
    extremes(case.span(), &product).norm()
}

impl Claim for SecondOrderInner {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, case: &Case) -> Finding {
        let tolerance = case.rounding() + super::second_order::rounding(case);
        Finding::at_most(case.gap().norm(), bound(case), tolerance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::second_order;
    use crate::theory::testing::{cases, holds_everywhere, is_violated, random, wrong_sign};

    #[test]
    fn holds_and_is_never_above_the_plain_bound() {
        holds_everywhere(&SecondOrderInner);
        for case in cases() {
            let slack = 1e-9 * second_order::bound(&case) + second_order::rounding(&case);
            assert!(bound(&case) <= second_order::bound(&case) + slack);
        }
        let case = Case::new(random(20, 8, 3), None, 5e4).unwrap();
        let finding = SecondOrderInner.check(&case);
        assert!(finding.margin > 0.0 && finding.margin < 3e-3, "{finding:?}");
    }

    #[test]
    fn a_spoiled_operator_is_found_out() {
        let case = Case::new(random(20, 8, 3), None, 500.0).unwrap();
        is_violated(&SecondOrderInner, &wrong_sign(&case));
    }
}
