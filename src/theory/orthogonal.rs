//! Orthogonal gradients: the error in closed form, and as large as it can be.

use faer::Mat;

use super::case::Case;
use super::claim::{Claim, Finding, Info};

/// For k mutually orthogonal gradients with N_i = ‖g_i‖²,
/// λ‖D − E‖ = max_i [ (N_i/k)/(λ + N_i/k) − (1/k) N_i/(λ + N_i) ].
///
/// Proof: both operators are diagonal in the basis g_i/‖g_i‖: E has 1/(λ + N_i/k), and in D only the i-th term
/// differs from 1/λ. As λ/N → 0 this tends to 1 − 1/k: with the default damping (N/λ about 10 d) orthogonal
/// gradients put DataInf at its [ceiling](super::ceiling).
///
/// Measured on up to 16 orthogonal vectors with the norms of the case's first examples.
pub struct Orthogonal;

static INFO: Info = Info {
    name: "orthogonal",
    title: "Orthogonal gradients",
    statement: "λ‖D − E‖ = max_i [(N_i/k)/(λ + N_i/k) − (N_i/k)/(λ + N_i)] for k orthogonal gradients",
    measures: "|λ‖D − E‖ − the closed form|, held against 0",
    source: "this project",
};

/// The closed form for norms N at λ.
fn closed(norms: &[f64], lambda: f64) -> f64 {
    let k = norms.len() as f64;
    norms
        .iter()
        .map(|n| (n / k) / (lambda + n / k) - (n / k) / (lambda + n))
        .fold(0.0, f64::max)
}

impl Claim for Orthogonal {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, case: &Case) -> Finding {
        let count = case.examples().min(16);
        let norms = &case.squared_norms()[..count];
        let rows = Mat::from_fn(
            count,
            count,
            |i, j| if i == j { norms[i].sqrt() } else { 0.0 },
        );
        let orthogonal = match case.of(rows) {
            Ok(orthogonal) => orthogonal,
            Err(error) => return error.into(),
        };
        let difference = orthogonal.gap().norm() - closed(norms, case.lambda());
        Finding::at_most(difference.abs(), 0.0, orthogonal.rounding())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::testing::{cases, holds_everywhere, is_violated, wrong_damping};

    #[test]
    fn holds_and_tends_to_the_ceiling() {
        holds_everywhere(&Orthogonal);
        assert!((closed(&[1e9; 10], 1.0) - 0.9).abs() < 1e-6);
    }

    #[test]
    fn a_spoiled_operator_is_found_out() {
        for case in cases() {
            is_violated(&Orthogonal, &wrong_damping(&case, 0.9));
        }
    }
}
