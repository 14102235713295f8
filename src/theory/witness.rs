//! The smallest case at hand that still violates a claim.

use faer::Mat;

use super::case::Case;
use super::claim::{Claim, Outcome};

/// Halves the examples, then the columns, as long as the claim stays violated: what is left is easier to
/// look at. λ is kept. Gradients `[n', d']` and queries `[m, d']`.
pub fn smallest(claim: &dyn Claim, case: &Case) -> (Mat<f64>, Option<Mat<f64>>) {
    let violated = |g: &Mat<f64>, v: &Option<Mat<f64>>| {
        Case::with_swap(g.clone(), v.clone(), case.lambda(), case.swap())
            .is_ok_and(|case| claim.check(&case).outcome == Outcome::Violated)
    };
    let (mut g, mut v) = (case.gradients().clone(), case.queries().cloned());
    loop {
        let rows = g.nrows() / 2;
        let first = g.subrows(0, rows).to_owned();
        let second = g.subrows(rows, g.nrows() - rows).to_owned();
        match [first, second]
            .into_iter()
            .find(|half| rows > 0 && violated(half, &v))
        {
            Some(half) => g = half,
            None => break,
        }
    }
    loop {
        let columns = g.ncols() / 2;
        let half = g.subcols(0, columns).to_owned();
        let queries = v.as_ref().map(|v| v.subcols(0, columns).to_owned());
        if columns == 0 || !violated(&half, &queries) {
            break;
        }
        (g, v) = (half, queries);
    }
    (g, v)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::CLAIMS;
    use crate::theory::testing::{cases, wrong_damping};

    #[test]
    fn a_witness_shrinks_and_still_violates() {
        let case = wrong_damping(&cases()[4], 3.0);
        let jensen = CLAIMS[0];
        let (g, v) = smallest(jensen, &case);
        assert_eq!(
            (g.nrows(), g.ncols()),
            (1, 1),
            "D with 3λ is below E everywhere"
        );
        assert_eq!(v.map(|v| v.ncols()), Some(1));
    }
}
