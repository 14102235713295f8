//! Under large damping the error falls as λ⁻³.

use super::case::Case;
use super::claim::{Claim, Finding, Info};
use super::second_order_lower;
use crate::metrics::slope::growth;

/// ‖D − E‖ = λ⁻³‖C₂‖ (1 + O(1/λ)): slope −3 in λ on log–log axes.
///
/// Measured at four λ from 10 to 300 times max ‖g_i‖². The allowed deviation is exact, not asymptotic: by the
/// two second-order bounds, h = λ³‖D − E‖/‖C₂‖ lies in [h_low, 1] with h_low = 1/((1 + ‖F‖/λ)²(1 + max ‖g‖²/λ)); a
/// fitted slope is linear in the logarithms, so it deviates from −3 by at most Σ_k |w_k| |ln h_low(λ_k)| over the
/// points whose weight has the same sign.
pub struct LargeDamping;

static INFO: Info = Info {
    name: "large_damping",
    title: "Cubic decay in λ",
    statement: "‖D − E‖ = λ⁻³ ‖C₂‖ + O(λ⁻⁴)",
    measures: "|slope of ln ‖D − E‖ on ln λ + 3|, held against what the bracket of second order allows",
    source: "this project",
};

/// λ in units of max ‖g_i‖².
const MULTIPLES: [f64; 4] = [10.0, 31.0, 96.0, 300.0];

impl Claim for LargeDamping {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, case: &Case) -> Finding {
        let (mut points, mut low) = (Vec::new(), Vec::new());
        let mut tolerance = 0.0f64;
        for multiple in MULTIPLES {
            let lambda = multiple * case.largest_norm();
            let there = match case.at(lambda) {
                Ok(there) => there,
                Err(error) => return error.into(),
            };
            let gap = there.gap().norm();
            let rounding = there.rounding() + super::second_order::rounding(&there);
            if gap <= 100.0 * rounding {
                return Finding::not_testable(format!(
                    "at λ = {multiple} max ‖g‖² the error, {gap:.1e} in units of 1/λ, is near its rounding"
                ));
            }
            tolerance = tolerance.max(rounding / gap);
            points.push((lambda, gap / lambda));
            // λ³‖D − E‖/‖C₂‖ from below
            let square = lambda.powi(2) / there.spread_norm();
            low.push((second_order_lower::bound(&there) * square).ln());
        }
        let Some(slope) = growth(&points) else {
            return Finding::not_testable("the points have no slope");
        };
        let logs: Vec<f64> = points.iter().map(|(x, _)| x.ln()).collect();
        let centre = logs.iter().sum::<f64>() / logs.len() as f64;
        let spread: f64 = logs.iter().map(|x| (x - centre).powi(2)).sum();
        let (mut up, mut down) = (0.0f64, 0.0f64);
        for (x, low) in logs.iter().zip(&low) {
            let part = (x - centre) / spread * low;
            if part > 0.0 {
                up += part;
            } else {
                down -= part;
            }
        }
        // every |w_k| is at most 1/√spread
        tolerance *= 2.0 * logs.len() as f64 / spread.sqrt();
        Finding::at_most((slope.value + 3.0).abs(), up.max(down), tolerance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::testing::{cases, holds_everywhere, is_violated, wrong_damping, wrong_sign};

    #[test]
    fn holds_and_spoiled_operators_are_found_out() {
        holds_everywhere(&LargeDamping);
        let case = &cases()[4];
        let finding = LargeDamping.check(case);
        // the bracket is narrow: a slope of −2 or −4 is far outside
        assert!(
            finding.bound < 0.2 && finding.measured < finding.bound,
            "{finding:?}"
        );
        is_violated(&LargeDamping, &wrong_sign(case));
        is_violated(&LargeDamping, &wrong_damping(case, 1.1));
    }
}
