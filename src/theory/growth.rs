//! How the error grows with the size of the block.

use faer::Mat;

use super::case::Case;
use super::claim::{Claim, Finding, Info};
use crate::metrics::slope::growth;

/// At fixed λ and bounded entries ‖D − E‖ grows no faster than d²: the exponent of Theorem 1.
///
/// Measured within a case: the same examples and the same λ, with an eighth, a quarter, half and all of the
/// columns, evenly spaced; the exponent is the slope of ln ‖D − E‖ on ln d. By the
/// [ceiling](super::ceiling) it tends to 0 once ‖F‖ passes λ.
pub struct Growth;

static INFO: Info = Info {
    name: "growth_in_d",
    title: "Growth with the block's size",
    statement: "‖D − E‖ = O(d²) at fixed λ and bounded entries",
    measures: "lower end of the 95 % interval of the slope of ln ‖D − E‖ on ln d over nested columns, held against 2",
    source: "Kwon et al. 2024 (arXiv 2310.00902), Theorem 1",
};

/// The exponent that the theorem allows.
const EXPONENT: f64 = 2.0;

/// Shares of the columns.
const SHARES: [usize; 4] = [8, 4, 2, 1];

/// (d, ‖D − E‖ in units of 1/λ) over nested subsets of the columns; `None` where a subset cannot be taken.
pub(super) fn points(case: &Case) -> Option<Vec<(f64, f64)>> {
    let d = case.dim();
    if d < 2 * SHARES[0] {
        return None;
    }
    SHARES
        .iter()
        .map(|share| {
            let size = d / share;
            let columns = Mat::from_fn(case.examples(), size, |i, j| {
                case.gradients()[(i, j * d / size)]
            });
            let part = case.of(columns).ok()?;
            let gap = part.gap().norm();
            (gap > 100.0 * part.rounding()).then_some((size as f64, gap))
        })
        .collect()
}

fn judge(points: &[(f64, f64)]) -> Finding {
    let Some(interval) = growth(points).and_then(|slope| slope.interval) else {
        return Finding::not_testable("the points have no slope with an interval");
    };
    Finding::at_most(interval.low, EXPONENT, 1e-6)
}

impl Claim for Growth {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, case: &Case) -> Finding {
        match points(case) {
            Some(points) => judge(&points),
            None if case.dim() < 2 * SHARES[0] => Finding::not_testable(format!(
                "d = {} is less than {}: too few columns to cut in eight",
                case.dim(),
                2 * SHARES[0]
            )),
            None => Finding::not_testable(
                "on a subset of the columns the error is 0 to rounding (one example, or zeros)",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::claim::Outcome;
    use crate::theory::testing::holds_everywhere;

    #[test]
    fn holds_and_is_tight_for_orthogonal_signs_under_large_damping() {
        holds_everywhere(&Growth);
        let d = 128;
        let signs = Mat::from_fn(2, d, |i, j| if i == 1 && j >= d / 2 { -1.0 } else { 1.0 });
        let case = Case::new(signs, None, 1e6).unwrap();
        let slope = growth(&points(&case).unwrap()).unwrap();
        assert!((slope.value - 2.0).abs() < 1e-3, "{slope:?}");
        assert_eq!(Growth.check(&case).outcome, Outcome::Holds);
    }

    #[test]
    fn a_faster_growth_is_found_out() {
        // entries that grow with their column, which the theorem does not allow: ‖D − E‖ ∝ d⁴
        let power = |p: f64| -> Vec<(f64, f64)> {
            [16.0f64, 32.0, 64.0, 128.0]
                .iter()
                .map(|&d| (d, d.powf(p)))
                .collect()
        };
        assert_eq!(judge(&power(2.1)).outcome, Outcome::Violated);
        assert_eq!(judge(&power(1.9)).outcome, Outcome::Holds);
        assert!(matches!(
            judge(&[(1.0, 1.0)]).outcome,
            Outcome::NotTestable(_)
        ));
    }
}
