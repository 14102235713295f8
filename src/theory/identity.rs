//! The error, exactly.

use faer::{Mat, Scale};

use super::case::Case;
use super::claim::{Claim, Finding, Info};
use super::spectral::extremes;

/// D − E = (1/n) Σ_i E (F − g_i g_iᵀ) A_i⁻¹ (F − g_i g_iᵀ) E with A_i = g_i g_iᵀ + λI.
///
/// Proof: with Ā = F + λI and Δ_i = Ā − A_i, A_i⁻¹ = Ā⁻¹ + A_i⁻¹Δ_iĀ⁻¹; put it into itself:
/// A_i⁻¹ = Ā⁻¹ + Ā⁻¹Δ_iĀ⁻¹ + Ā⁻¹Δ_iA_i⁻¹Δ_iĀ⁻¹. The mean of Δ_i is 0.
pub struct Identity;

static INFO: Info = Info {
    name: "identity",
    title: "Second-order identity",
    statement: "D − E = (1/n) Σ_i E (F − g_i g_iᵀ) A_i⁻¹ (F − g_i g_iᵀ) E",
    measures: "λ times the norm of the difference of the two sides, held against 0",
    source: "this project",
};

/// The right-hand side times X, from products with G alone. With y = Ex, p = Fy, N_i = ‖g_i‖²:
/// Δ_i y = p − (g_i·y) g_i, A_i⁻¹Δ_i y = (p − c_i g_i)/λ with c_i = g_i·y + (g_i·p − N_i g_i·y)/(λ + N_i), and
/// the mean of Δ_i(p − c_i g_i) is Fp − F (1/n) Σ c_i g_i − (1/n) Σ (g_i·p − c_i N_i) g_i.
fn right_side(case: &Case, x: &Mat<f64>) -> Mat<f64> {
    let (n, lambda, norms) = (case.examples(), case.lambda(), case.squared_norms());
    let y = case.exact_times(x);
    let p = case.fisher_vector_product(&y);
    let (a, b) = (case.rows() * &y, case.rows() * &p);
    let c = Mat::from_fn(n, x.ncols(), |i, j| {
        a[(i, j)] + (b[(i, j)] - norms[i] * a[(i, j)]) / (lambda + norms[i])
    });
    let e = Mat::from_fn(n, x.ncols(), |i, j| b[(i, j)] - norms[i] * c[(i, j)]);
    let mean = |c: &Mat<f64>| case.rows().transpose() * c * Scale(1.0 / n as f64);
    let sum = case.fisher_vector_product(&(&p - mean(&c))) - mean(&e);
    case.exact_times(&sum) * Scale(1.0 / lambda)
}

impl Claim for Identity {
    fn info(&self) -> &'static Info {
        &INFO
    }

    /// The right side passes through two more solves, each of which multiplies the rounding by κ.
    fn check(&self, case: &Case) -> Finding {
        let difference = |x: &Mat<f64>| case.swapped_less_exact(x) - right_side(case, x);
        let measured = case.with_outside(extremes(case.span(), &difference)).norm();
        let condition = 1.0 + case.fisher_norm() / case.lambda();
        let largest = 1.0 + case.largest_norm() / case.lambda();
        let tolerance = case.rounding() * condition.max(largest);
        if tolerance > 0.01 * case.gap().norm() && case.examples() > 1 {
            return Finding::not_testable(format!(
                "rounding at condition {condition:.1e} could be {tolerance:.1e}, more than a hundredth of the error"
            ));
        }
        Finding::at_most(measured, 0.0, tolerance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::testing::{cases, holds_everywhere, is_violated, wrong_damping, wrong_sign};

    #[test]
    fn holds_to_rounding_and_a_spoiled_operator_is_found_out() {
        holds_everywhere(&Identity);
        let case = &cases()[4];
        is_violated(&Identity, &wrong_sign(case));
        is_violated(&Identity, &wrong_damping(case, 1.0 + 1e-6));
    }
}
