//! Swapping inverse and mean errs to one side: D ⪰ E.

use super::case::Case;
use super::claim::{Claim, Finding, Info};

/// The inverse is operator convex: the mean of inverses is above the inverse of the mean, D ⪰ E. So
/// vᵀDv ≥ vᵀEv for every v: DataInf overstates every self-influence in size.
///
/// Proof: for A, B ≻ 0 the function t ↦ (A + tB)⁻¹ has second derivative 2 M B M B M ⪰ 0 with M = (A + tB)⁻¹
/// (Bhatia, Matrix Analysis, 1997, V.1); a mean of n is by induction.
pub struct Jensen;

static INFO: Info = Info {
    name: "jensen",
    title: "One-sided error",
    statement: "D ⪰ E: the mean of inverses is above the inverse of the mean",
    measures: "−λ·λ_min(D − E), held against 0",
    source: "operator Jensen; for DataInf: this project",
};

impl Claim for Jensen {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, case: &Case) -> Finding {
        Finding::at_most(-case.gap().low, 0.0, case.rounding())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::testing::{cases, holds_everywhere, is_violated, random, wrong_damping};

    #[test]
    fn holds_and_is_tight_for_one_example() {
        holds_everywhere(&Jensen);
        let one = Case::new(random(1, 5, 1), None, 0.3).unwrap();
        let finding = Jensen.check(&one);
        assert!(finding.measured.abs() <= finding.tolerance, "{finding:?}");
    }

    #[test]
    fn too_large_a_damping_is_found_out() {
        for case in cases() {
            is_violated(&Jensen, &wrong_damping(&case, 3.0));
        }
    }
}
