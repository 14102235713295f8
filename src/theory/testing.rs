//! Cases for the tests of the claims.

use faer::Mat;
use rand_distr::{Distribution, StandardNormal};

use super::case::{Case, Swap};
use super::claim::{Claim, Outcome};
use crate::random::rng;

/// A Gaussian matrix.
pub fn random(rows: usize, columns: usize, seed: u64) -> Mat<f64> {
    let mut random = rng(seed, "theory", "test");
    Mat::from_fn(rows, columns, |_, _| StandardNormal.sample(&mut random))
}

/// λ = c · tr F/d.
pub fn damping(g: &Mat<f64>, factor: f64) -> f64 {
    factor * g.squared_norm_l2() / (g.nrows() * g.ncols()) as f64
}

/// Cases with n above and below d, rows of very different norms, small and large damping.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, d) in [(1, 6), (24, 10), (7, 40), (33, 33)] {
        for factor in [0.01, 0.1, 10.0] {
            let mut g = random(n, d, (n + d) as u64);
            for i in 0..n {
                let scale = 0.1 * (1.3f64).powi(i as i32 % 11);
                (0..d).for_each(|j| g[(i, j)] *= scale / (1.0 + j as f64));
            }
            let lambda = damping(&g, factor);
            cases.push(Case::new(g, Some(random(4, d, 9)), lambda).unwrap());
        }
    }
    cases
}

/// The same case with a D whose sum has the wrong sign.
pub fn wrong_sign(case: &Case) -> Case {
    spoiled(
        case,
        Swap {
            damping: 1.0,
            sign: -1.0,
        },
    )
}

/// The same case with a D whose λ is `factor` times the right one.
pub fn wrong_damping(case: &Case, factor: f64) -> Case {
    spoiled(
        case,
        Swap {
            damping: factor,
            sign: 1.0,
        },
    )
}

fn spoiled(case: &Case, swap: Swap) -> Case {
    Case::with_swap(
        case.gradients().clone(),
        case.queries().cloned(),
        case.lambda(),
        swap,
    )
    .unwrap()
}

/// The claim holds on all cases (or cannot be tested), and on at least one it is tested.
pub fn holds_everywhere(claim: &dyn Claim) {
    let mut tested = 0;
    for case in cases() {
        let finding = claim.check(&case);
        let place = (case.examples(), case.dim(), case.lambda());
        assert!(
            finding.outcome != Outcome::Violated,
            "{}: {place:?} {finding:?}",
            claim.info().name
        );
        tested += usize::from(finding.outcome == Outcome::Holds);
    }
    assert!(tested > 0, "{} was never tested", claim.info().name);
}

/// A spoiled case is found out.
pub fn is_violated(claim: &dyn Claim, case: &Case) {
    let finding = claim.check(case);
    assert_eq!(
        finding.outcome,
        Outcome::Violated,
        "{}: {finding:?}",
        claim.info().name
    );
    assert!(finding.margin < 0.0, "{}: {finding:?}", claim.info().name);
}
