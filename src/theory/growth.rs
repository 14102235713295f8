//! How the error grows with the size of the block.

use faer::Mat;

use super::case::Case;
use super::claim::{Claim, Finding, Info};

/// With entries bounded by √M and λ fixed, ‖D − E‖ ≤ 2M²d²/λ³ at every size d: the growth that Theorem 1 allows.
///
/// Measured within a case: the same examples, the same λ and the M of the whole block, with an eighth, a quarter,
/// half and all of the columns, evenly spaced. Over so short a range a fitted exponent decides nothing: it can
/// exceed 2 where columns differ in size, far below the bound. By the [ceiling](super::ceiling) the growth ends once
/// ‖F‖ passes λ.
pub struct Growth;

static INFO: Info = Info {
    name: "growth_in_d",
    title: "Growth with the block's size",
    statement: "‖D − E‖ ≤ 2M²d²/λ³ at every d, for fixed λ and M",
    measures: "the largest share of the bound that nested subsets of the columns use, held against 1",
    source: "Kwon et al. 2024 (arXiv 2310.00902), Theorem 1",
};

/// The columns are cut to these fractions.
const SHARES: [usize; 4] = [8, 4, 2, 1];

impl Claim for Growth {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, case: &Case) -> Finding {
        let d = case.dim();
        if d < 2 * SHARES[0] {
            return Finding::not_testable(format!(
                "d = {d} is less than {}: too few columns to cut in eight",
                2 * SHARES[0]
            ));
        }
        let largest = case.gradients().norm_max().powi(2);
        let (mut measured, mut tolerance) = (0.0f64, 0.0f64);
        for share in SHARES {
            let size = d / share;
            let columns = Mat::from_fn(case.examples(), size, |i, j| {
                case.gradients()[(i, j * d / size)]
            });
            let part = match case.of(columns) {
                Ok(part) => part,
                Err(error) => return error.into(),
            };
            let bound = 2.0 * (largest * size as f64 / case.lambda()).powi(2);
            let used = part.gap().norm() / bound;
            // a NaN stays one
            measured = if used > measured || used.is_nan() {
                used
            } else {
                measured
            };
            tolerance = tolerance.max(part.rounding() / bound);
        }
        Finding::at_most(measured, 1.0, tolerance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::testing::{holds_everywhere, is_violated, wrong_damping, wrong_sign};

    /// Two orthogonal sign vectors, also on evenly spaced columns.
    fn signs(d: usize) -> Case {
        let g = Mat::from_fn(2, d, |i, j| if i == 1 && j >= d / 2 { -1.0 } else { 1.0 });
        Case::new(g, None, 1e5).unwrap()
    }

    #[test]
    fn holds_and_its_rate_is_reached_up_to_the_constant() {
        holds_everywhere(&Growth);
        // d²/4 against 2d² at every size, less the terms of order d/λ
        let finding = Growth.check(&signs(128));
        assert!((finding.measured - 0.125).abs() < 1e-3, "{finding:?}");
    }

    #[test]
    fn a_spoiled_operator_is_found_out() {
        is_violated(&Growth, &wrong_sign(&signs(32)));
        is_violated(&Growth, &wrong_damping(&signs(32), 0.9));
    }
}
