//! From operators to scores.

use faer::Mat;

use super::case::Case;
use super::claim::{Claim, Finding, Info};
use super::{ceiling, second_order};

/// |I_D(k, v) − I_E(k, v)| ≤ ‖v‖ ‖g_k‖ ‖D − E‖ for every query v and training example k, within a block.
///
/// Proof: Cauchy–Schwarz on vᵀ(D − E)g. Checked against the smaller of the two bounds on ‖D − E‖ that need no D
/// (the [ceiling](super::ceiling) and [second order](super::second_order)), so that the bound can be had before
/// any score; queries are the training examples themselves where there are none.
pub struct Score;

static INFO: Info = Info {
    name: "score_bound",
    title: "Scores",
    statement: "|I_D − I_E| ≤ ‖v‖ ‖g‖ ‖D − E‖",
    measures: "max λ|vᵀ(D − E)g|/(‖v‖‖g‖) over all pairs, held against min(ceiling, ‖C₂‖/λ²)",
    source: "Cauchy–Schwarz",
};

/// The largest λ|vᵀ(D − E)g|/(‖v‖‖g‖): queries by their part in the span, which is all that counts.
pub(super) fn worst(case: &Case) -> f64 {
    let rows = case.rows();
    let queries = case.query_rows().unwrap_or(rows);
    let lengths = |m: &Mat<f64>| -> Vec<f64> {
        (0..m.nrows())
            .map(|i| m.row(i).iter().map(|v| v * v).sum::<f64>().sqrt())
            .collect()
    };
    let (v_lengths, g_lengths) = (lengths(queries), lengths(rows));
    let scores = queries * case.swapped_less_exact(&rows.transpose().to_owned());
    let mut worst = 0.0f64;
    for (k, g) in g_lengths.iter().enumerate() {
        for (q, v) in v_lengths.iter().enumerate() {
            if g * v > 0.0 {
                let share = case.lambda() * scores[(q, k)].abs() / (g * v);
                worst = if share > worst || share.is_nan() {
                    share
                } else {
                    worst
                };
            }
        }
    }
    worst
}

impl Claim for Score {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, case: &Case) -> Finding {
        let tolerance = case.rounding() + second_order::rounding(case);
        let bound = ceiling::bound(case).min(second_order::bound(case));
        Finding::at_most(worst(case), bound, tolerance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::testing::{cases, holds_everywhere, is_violated, wrong_damping, wrong_sign};

    #[test]
    fn holds_and_is_an_equality_for_orthogonal_gradients() {
        holds_everywhere(&Score);
        // D − E is a multiple of the identity there, and v = g
        let case = Case::new(Mat::identity(6, 6), None, 0.01).unwrap();
        assert!((worst(&case) - case.gap().norm()).abs() < 1e-13);
    }

    #[test]
    fn spoiled_operators_are_found_out() {
        for case in cases() {
            is_violated(&Score, &wrong_damping(&case, 0.1));
        }
        is_violated(&Score, &wrong_sign(&cases()[0]));
    }
}
