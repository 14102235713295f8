//! All claims on one block, and what became of a claim over many of them.

use faer::Mat;

use super::bounds::Measured;
use super::case::{Case, TheoryError};
use super::claim::{Claim, Finding, Outcome};

/// What was found on one block.
pub struct Checked {
    /// λ = c · ‖G‖²/(n d).
    pub lambda: f64,
    /// The findings of all claims, in their order, or why none could be checked.
    pub outcome: Result<Findings, TheoryError>,
}

/// What was found on a block that claims can be checked on.
pub struct Findings {
    /// One finding per claim.
    pub claims: Vec<Finding>,
    /// The measured error beside its bounds.
    pub measured: Measured,
    /// (b, λ‖D_b − E‖) for groups of b examples.
    pub groups: Vec<(usize, f64)>,
}

/// Checks claims on gradients `[n, d]` and queries `[m, d]` with damping c; `violated` hears of every violation.
///
/// # Errors
/// Those of `violated`.
pub fn check<E>(
    claims: &[&dyn Claim],
    (gradients, queries): (Mat<f64>, Option<Mat<f64>>),
    damping: f64,
    mut violated: impl FnMut(&dyn Claim, &Case, &Finding) -> Result<(), E>,
) -> Result<Checked, E> {
    let (n, d) = (gradients.nrows(), gradients.ncols());
    let lambda = damping * gradients.squared_norm_l2() / (n * d) as f64;
    let outcome = match Case::new(gradients, queries, lambda) {
        Ok(case) => {
            let mut found = Vec::with_capacity(claims.len());
            for claim in claims {
                let finding = claim.check(&case);
                if finding.outcome == Outcome::Violated {
                    violated(*claim, &case, &finding)?;
                }
                found.push(finding);
            }
            Ok(Findings {
                claims: found,
                measured: Measured::of(&case),
                groups: case.group_errors(),
            })
        }
        Err(error) => Err(error),
    };
    Ok(Checked { lambda, outcome })
}

/// A claim over many cases.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Cases on which it holds.
    pub held: usize,
    /// Cases on which it is violated.
    pub violated: usize,
    /// Cases that cannot tell.
    pub untested: usize,
    /// Why, of the first case that cannot tell.
    pub reason: Option<String>,
    /// Where it came nearest to its bound, or broke it by most, and what was found there.
    pub worst: Option<(String, Finding)>,
}

impl Tally {
    /// Counts the finding of one case.
    pub fn count(&mut self, place: impl FnOnce() -> String, finding: &Finding) {
        match &finding.outcome {
            Outcome::Holds => self.held += 1,
            Outcome::Violated => self.violated += 1,
            Outcome::NotTestable(why) => return self.untestable(why),
        }
        // a violation is worse than any margin
        let rank = |finding: &Finding| (finding.outcome != Outcome::Violated, finding.margin);
        let worst = self.worst.as_ref().map(|(_, worst)| rank(worst));
        if worst.is_none_or(|worst| rank(finding) < worst) {
            self.worst = Some((place(), finding.clone()));
        }
    }

    /// Counts a case that cannot tell.
    pub fn untestable(&mut self, why: &str) {
        self.untested += 1;
        self.reason.get_or_insert_with(|| why.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::CLAIMS;

    #[test]
    fn a_violation_is_worse_than_a_narrow_hold() {
        let mut tally = Tally::default();
        let mut count = |place: &str, measured: f64| {
            tally.count(|| place.to_owned(), &Finding::at_most(measured, 1.0, 0.0));
        };
        count("narrow", 0.999);
        count("wide", 0.1);
        count("broken", 1.001);
        count("more broken", 2.0);
        tally.count(String::new, &Finding::not_testable("no query"));
        assert_eq!((tally.held, tally.violated, tally.untested), (2, 2, 1));
        assert_eq!(tally.reason.as_deref(), Some("no query"));
        assert_eq!(tally.worst.expect("counted").0, "more broken");
    }

    #[test]
    fn a_block_without_gradients_is_an_outcome_of_its_own() {
        let none = |_: &dyn Claim, _: &Case, _: &Finding| Err("violated");
        let zeros = check(CLAIMS, (Mat::zeros(3, 2), None), 0.1, none).expect("nothing violated");
        assert!(matches!(zeros.outcome, Err(TheoryError::Damping { .. })));
        let ones = check(CLAIMS, (Mat::identity(3, 3), None), 0.1, none).expect("theorems");
        assert!((ones.lambda - 0.1 / 3.0).abs() < 1e-16);
        let found = ones.outcome.expect("checked");
        assert_eq!(found.claims.len(), CLAIMS.len());
    }
}
