//! The detection curve: how many of the flipped labels are found by inspecting the most harmful first.

use super::rank::{all_finite, ascending};
use super::value::Curve;

/// Steps of the curve when there are more examples than that; it has one point more.
pub const STEPS: usize = 100;

/// Share of the flipped examples found (`y`) against the share of all examples inspected (`x`) in
/// descending influence, from (0, 0) to (1, 1), at most [`STEPS`] + 1 points.
///
/// Among equal scores the order is random, and the curve its expectation: a straight line. `None`
/// when the lengths differ, a score is not finite, or nothing is flipped.
pub fn detection_curve(scores: &[f64], flipped: &[bool]) -> Option<Curve> {
    let n = scores.len();
    let total = flipped.iter().filter(|flipped| **flipped).count();
    if n != flipped.len() || total == 0 || !all_finite(scores) {
        return None;
    }
    let scores: Vec<f64> = scores.iter().map(|score| score + 0.0).collect();
    let mut order = ascending(&scores);
    order.reverse();
    // found[i] = expected flipped examples among the first i.
    let mut found = Vec::with_capacity(n + 1);
    found.push(0.0);
    for group in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let share =
            group.iter().filter(|&&index| flipped[index]).count() as f64 / group.len() as f64;
        for _ in group {
            found.push(found[found.len() - 1] + share);
        }
    }
    let steps = n.min(STEPS);
    let x: Vec<f64> = (0..=steps).map(|step| step as f64 / steps as f64).collect();
    let y = (0..=steps).map(|step| {
        let (below, rest) = (step * n / steps, step * n % steps);
        let above = (below + 1).min(n);
        (found[below] + (found[above] - found[below]) * rest as f64 / steps as f64) / total as f64
    });
    Some(Curve {
        name: "detection".to_owned(),
        y: y.collect(),
        x,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{auc::auc, rank::tests::tied};

    #[test]
    fn small_example_by_hand() {
        let curve = detection_curve(&[0.1, 0.9, 0.5, 0.7], &[false, true, true, false])
            .expect("two flipped");
        assert_eq!(curve.x, [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(curve.y, [0.0, 0.5, 0.5, 1.0, 1.0]);
    }

    #[test]
    fn ties_make_the_diagonal() {
        let flipped: Vec<bool> = (0..250).map(|i| i < 50).collect();
        let curve = detection_curve(&[1.0; 250], &flipped).expect("flipped");
        assert_eq!(curve.x.len(), STEPS + 1);
        assert!(
            curve
                .x
                .iter()
                .zip(&curve.y)
                .all(|(x, y)| (x - y).abs() < 1e-12)
        );
    }

    #[test]
    fn area_follows_from_the_auc() {
        // The area under the curve is π/2 + (1 − π)·AUC for a share π of flipped examples; the
        // trapezoids through every example's point are exact.
        let scores = tied(STEPS, 9, "scores");
        let flipped: Vec<bool> = tied(STEPS, 4, "flipped").iter().map(|x| *x > 0.0).collect();
        let curve = detection_curve(&scores, &flipped).expect("flipped");
        let area: f64 = (1..curve.x.len())
            .map(|i| (curve.x[i] - curve.x[i - 1]) * (curve.y[i] + curve.y[i - 1]) / 2.0)
            .sum();
        let share = flipped.iter().filter(|f| **f).count() as f64 / flipped.len() as f64;
        let expected = share / 2.0 + (1.0 - share) * auc(&scores, &flipped).expect("both classes");
        assert!((area - expected).abs() < 1e-12, "{area} {expected}");
    }

    #[test]
    fn undefined_cases() {
        assert_eq!(detection_curve(&[1.0, 2.0], &[false, false]), None);
        assert_eq!(detection_curve(&[1.0, f64::NAN], &[true, false]), None);
        assert_eq!(detection_curve(&[1.0], &[true, false]), None);
    }
}
