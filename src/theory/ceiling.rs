//! The error has a ceiling that no dimension moves.

use super::case::Case;
use super::claim::{Claim, Finding, Info};

/// ‖D − E‖ ≤ ‖F‖/(λ(λ + ‖F‖)) < 1/λ, whatever n and d are.
///
/// Proof: every (g gᵀ + λI)⁻¹ ⪯ I/λ, hence D ⪯ I/λ and, with D ⪰ E, 0 ⪯ D − E ⪯ I/λ − E, whose eigenvalues
/// are s/(λ(λ + s)) for s of F: increasing in s. Where n < d, ‖E‖ = 1/λ and the relative error is below 1.
pub struct Ceiling;

static INFO: Info = Info {
    name: "ceiling",
    title: "Ceiling without dimension",
    statement: "‖D − E‖ ≤ ‖F‖/(λ(λ + ‖F‖)) < 1/λ",
    measures: "λ‖D − E‖, held against ‖F‖/(λ + ‖F‖)",
    source: "this project",
};

/// ‖F‖/(λ + ‖F‖): the ceiling in units of 1/λ.
pub(super) fn bound(case: &Case) -> f64 {
    let top = case.fisher_norm();
    top / (case.lambda() + top)
}

impl Claim for Ceiling {
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
    use crate::theory::testing::{cases, holds_everywhere, is_violated, wrong_damping, wrong_sign};

    #[test]
    fn holds_and_is_approached_by_one_loud_example_among_many() {
        holds_everywhere(&Ceiling);
        // λ(D − E) = s/(λ + s) − R/(n(λ + R)) on the one direction, s = R/n
        let loud = Mat::from_fn(500, 3, |i, j| if i == 0 && j == 0 { 1e4 } else { 0.0 });
        let finding = Ceiling.check(&Case::new(loud, None, 1.0).unwrap());
        assert!(
            finding.margin > 0.0 && finding.margin < 1.0 / 499.0,
            "{finding:?}"
        );
    }

    #[test]
    fn a_spoiled_operator_is_found_out() {
        for case in cases() {
            is_violated(&Ceiling, &wrong_damping(&case, 0.25));
        }
        // with the wrong sign D exceeds I/λ where the sum is not small
        let case = &cases()[0];
        is_violated(&Ceiling, &wrong_sign(case));
    }
}
