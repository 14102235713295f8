//! What a claim is, and what checking one finds.

use super::case::{Case, TheoryError};

/// What a claim says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its name in settings and results.
    pub name: &'static str,
    /// Heading.
    pub title: &'static str,
    /// The statement as a formula.
    pub statement: &'static str,
    /// What is measured, and held against what.
    pub measures: &'static str,
    /// Where it comes from.
    pub source: &'static str,
}

/// A statement about every block of gradients at every λ > 0.
pub trait Claim: Sync {
    /// What it says.
    fn info(&self) -> &'static Info;

    /// Measures one case and holds it against the bound.
    fn check(&self, case: &Case) -> Finding;
}

/// What became of a check.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The measurement keeps the bound.
    Holds,
    /// It breaks the bound by more than rounding.
    Violated,
    /// This case cannot tell, and why.
    NotTestable(String),
}

/// A measurement beside its bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What was measured, in the units that [`Info::measures`] names.
    pub measured: f64,
    /// What it is held against.
    pub bound: f64,
    /// How far the bound is kept: 1 − measured/bound where the bound is positive, else bound − measured.
    /// Negative beyond the tolerance is a violation.
    pub margin: f64,
    /// What rounding (or the interval of a fit) may add to `measured`.
    pub tolerance: f64,
    /// The verdict.
    pub outcome: Outcome,
}

impl Finding {
    /// measured ≤ bound + tolerance. Numbers that are not finite cannot be compared and say so.
    pub fn at_most(measured: f64, bound: f64, tolerance: f64) -> Self {
        let margin = if bound > 0.0 {
            1.0 - measured / bound
        } else {
            bound - measured
        };
        let outcome = if !(measured.is_finite() && bound.is_finite() && tolerance.is_finite()) {
            Outcome::NotTestable(format!(
                "not finite: measured {measured:e}, bound {bound:e}, tolerance {tolerance:e}"
            ))
        } else if measured <= bound + tolerance {
            Outcome::Holds
        } else {
            Outcome::Violated
        };
        Self {
            measured,
            bound,
            margin,
            tolerance,
            outcome,
        }
    }

    /// This case cannot tell.
    pub fn not_testable(why: impl Into<String>) -> Self {
        Self {
            measured: f64::NAN,
            bound: f64::NAN,
            margin: f64::NAN,
            tolerance: f64::NAN,
            outcome: Outcome::NotTestable(why.into()),
        }
    }
}

impl From<TheoryError> for Finding {
    fn from(error: TheoryError) -> Self {
        Self::not_testable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_none_is_no_verdict() {
        for (measured, bound) in [(f64::NAN, 1.0), (1.0, f64::NAN), (f64::INFINITY, 1.0)] {
            assert!(matches!(
                Finding::at_most(measured, bound, 0.0).outcome,
                Outcome::NotTestable(_)
            ));
        }
        assert_eq!(Finding::at_most(1.1, 1.0, 0.2).outcome, Outcome::Holds);
        assert_eq!(Finding::at_most(1.3, 1.0, 0.2).outcome, Outcome::Violated);
    }
}
