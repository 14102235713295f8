//! Groups lead from DataInf to exact without a detour.

use faer::Mat;

use super::case::Case;
use super::claim::{Claim, Finding, Info};
use super::spectral::{Extremes, extremes};

/// With D_b the mean over groups of b examples of (F_group + λI)⁻¹, for nested groups
/// E = D_n ⪯ D_2b ⪯ D_b ⪯ D_1 = D: the error falls with b in every direction.
///
/// Proof: a group of 2b is the mean of its two halves, so that operator Jensen holds inside each group; the
/// mean over groups keeps the order. Groups are consecutive, sizes double, and a last smaller group is
/// weighted by its size.
pub struct Groups;

static INFO: Info = Info {
    name: "groups",
    title: "Monotone groups",
    statement: "E ⪯ D_2b ⪯ D_b ⪯ D_1 for nested groups",
    measures: "−λ·min_b λ_min(D_b − D_2b), held against 0",
    source: "this project",
};

/// 1, 2, 4, … below n, then n.
pub fn sizes(n: usize) -> Vec<usize> {
    let mut sizes: Vec<usize> = std::iter::successors(Some(1), |b| Some(2 * b))
        .take_while(|&b| b < n)
        .collect();
    sizes.push(n);
    sizes
}

impl Case {
    /// λ‖D_b − E‖ for each of [`sizes`]: from DataInf at b = 1 to 0 at b = n. NaN where a group cannot be
    /// solved.
    pub fn group_errors(&self) -> Vec<(usize, f64)> {
        let against = |b| between(self, b, None).norm() * self.lambda();
        let mut errors: Vec<(usize, f64)> = sizes(self.examples())
            .into_iter()
            .map(|b| {
                (
                    b,
                    if b == 1 {
                        self.gap().norm()
                    } else {
                        against(b)
                    },
                )
            })
            .collect();
        // one group is F + λI itself
        if let Some(last) = errors.last_mut().filter(|last| last.0 > 1) {
            last.1 = 0.0;
        }
        errors
    }
}

/// The ends of D_b − D_c, or of D_b − E.
fn between(case: &Case, b: usize, c: Option<usize>) -> Extremes {
    let lost = |x: &Mat<f64>| Mat::from_fn(x.nrows(), x.ncols(), |_, _| f64::NAN);
    let product = |x: &Mat<f64>| {
        let first = case.grouped_times(x, b);
        let second = match c {
            Some(c) => case.grouped_times(x, c),
            None => Some(case.exact_times(x)),
        };
        first
            .zip(second)
            .map_or_else(|| lost(x), |(first, second)| first - second)
    };
    extremes(case.span(), &product)
}

impl Claim for Groups {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, case: &Case) -> Finding {
        let sizes = sizes(case.examples());
        if sizes.len() < 2 {
            return Finding::not_testable("one example has one group");
        }
        let lows = sizes.windows(2).map(|pair| {
            // the last step is to exact, solved the other way round
            let next = (pair[1] < case.examples()).then_some(pair[1]);
            between(case, pair[0], next).low
        });
        let low = lows.fold(
            f64::INFINITY,
            |a, b| if b < a || b.is_nan() { b } else { a },
        );
        // groups see fewer examples and so larger norms
        let condition =
            (case.lambda() + case.largest_norm()) / (case.lambda() + case.fisher_norm());
        Finding::at_most(-case.lambda() * low, 0.0, case.rounding() * condition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::testing::{cases, holds_everywhere, is_violated, random, wrong_damping};

    #[test]
    fn sizes_double_and_end_at_n() {
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(6), [1, 2, 4, 6]);
        assert_eq!(sizes(8), [1, 2, 4, 8]);
    }

    #[test]
    fn holds_and_the_error_falls_to_nothing() {
        holds_everywhere(&Groups);
        for case in cases() {
            let errors = case.group_errors();
            assert!(
                errors
                    .windows(2)
                    .all(|w| w[1].1 <= w[0].1 + case.rounding())
            );
        }
        // equal examples: every group is the whole, nothing is lost at any size
        let g = random(1, 5, 1);
        let equal = Case::new(Mat::from_fn(8, 5, |_, j| g[(0, j)]), None, 0.2).unwrap();
        let finding = Groups.check(&equal);
        assert!(finding.measured.abs() <= finding.tolerance, "{finding:?}");
    }

    #[test]
    fn a_spoiled_operator_is_found_out() {
        let case = &cases()[4];
        is_violated(&Groups, &wrong_damping(case, 3.0));
    }
}
