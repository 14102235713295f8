//! Area under the ROC curve, with DeLong's interval.

use super::interval::{Interval, normal_interval};
use super::rank::{all_finite, mid_ranks};

/// Probability that a positive scores above a negative, ties counting a half (Mann–Whitney by
/// mid-ranks): AUC = (R₊ − p(p+1)/2)/(p·q) with R₊ the sum of the positives' ranks.
///
/// `None` when the lengths differ, a score is not finite, or a class is empty.
pub fn auc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let (p, q) = counts(scores, positive)?;
    let sum: f64 = mid_ranks(scores)
        .iter()
        .zip(positive)
        .filter(|(_, positive)| **positive)
        .map(|(rank, _)| rank)
        .sum();
    Some((sum - p * (p + 1.0) / 2.0) / (p * q))
}

/// [`auc`] with DeLong's 95 % interval (DeLong, DeLong and Clarke-Pearson, 1988; O(n log n) by
/// mid-ranks after Sun and Xu, 2014).
///
/// The variance is S₊/p + S₋/q with S the sample variances of the positives' and negatives'
/// placements; there is no interval when a class has a single example.
pub fn auc_delong(scores: &[f64], positive: &[bool]) -> Option<(f64, Option<Interval>)> {
    let (p, q) = counts(scores, positive)?;
    let value = auc(scores, positive)?;
    if p < 2.0 || q < 2.0 {
        return Some((value, None));
    }
    let variance = sample_variance(&placements(scores, positive, true, q)) / p
        + sample_variance(&placements(scores, positive, false, p)) / q;
    Some((value, Some(normal_interval(value, variance.sqrt()))))
}

/// [`auc`] and its deviations: one number an example, such that the covariance of the AUCs of two scores is the product
/// of theirs (DeLong, DeLong and Clarke-Pearson, 1988).
///
/// Of a positive (placement − AUC)/√(p(p − 1)), of a negative (placement − AUC)/√(q(q − 1)), the positives first. `None`
/// where [`auc`] is undefined or a class has a single example.
pub fn deviations(scores: &[f64], positive: &[bool]) -> Option<(f64, Vec<f64>)> {
    let (p, q) = counts(scores, positive)?;
    if p < 2.0 || q < 2.0 {
        return None;
    }
    let value = auc(scores, positive)?;
    let of = |class: bool, own: f64, others: f64| {
        let placed = placements(scores, positive, class, others);
        placed
            .into_iter()
            .map(move |placement| (placement - value) / (own * (own - 1.0)).sqrt())
    };
    Some((value, of(true, p, q).chain(of(false, q, p)).collect()))
}

/// Placement of a positive: share of the negatives below it; of a negative: share of the positives above it, as
/// 1 less the share below.
fn placements(scores: &[f64], positive: &[bool], class: bool, others: f64) -> Vec<f64> {
    let overall = mid_ranks(scores);
    let of = |values: &[f64]| -> Vec<f64> {
        let all = values.iter().zip(positive);
        all.filter(|(_, label)| **label == class)
            .map(|(value, _)| *value)
            .collect()
    };
    let own = mid_ranks(&of(scores));
    let below = of(&overall)
        .into_iter()
        .zip(own)
        .map(|(joint, own)| (joint - own) / others);
    below
        .map(|below| if class { below } else { 1.0 - below })
        .collect()
}

/// Numbers of positives and negatives, when the question makes sense.
fn counts(scores: &[f64], positive: &[bool]) -> Option<(f64, f64)> {
    let p = positive.iter().filter(|label| **label).count();
    let q = positive.len() - p;
    (scores.len() == positive.len() && p > 0 && q > 0 && all_finite(scores))
        .then_some((p as f64, q as f64))
}

fn sample_variance(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / (values.len() - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::rank::tests::tied;

    const SCORES: [f64; 10] = [0.1, 0.4, 0.35, 0.8, 0.4, 0.9, 0.2, 0.8, 0.55, 0.05];
    const LABELS: [bool; 10] = [
        false, false, true, true, true, true, false, false, true, false,
    ];

    /// 1 for a positive above a negative, ½ for a tie.
    fn kernel(positive: f64, negative: f64) -> f64 {
        if positive > negative {
            1.0
        } else if positive == negative {
            0.5
        } else {
            0.0
        }
    }

    fn split(scores: &[f64], labels: &[bool]) -> (Vec<f64>, Vec<f64>) {
        let of = |class| {
            scores
                .iter()
                .zip(labels)
                .filter(|(_, label)| **label == class)
                .map(|(s, _)| *s)
                .collect()
        };
        (of(true), of(false))
    }

    /// O(p·q): all pairs; DeLong's structural components by their definition.
    fn slow(scores: &[f64], labels: &[bool]) -> (f64, f64) {
        let (positives, negatives) = split(scores, labels);
        let (p, q) = (positives.len() as f64, negatives.len() as f64);
        let v10: Vec<f64> = positives
            .iter()
            .map(|&x| negatives.iter().map(|&y| kernel(x, y)).sum::<f64>() / q)
            .collect();
        let v01: Vec<f64> = negatives
            .iter()
            .map(|&y| positives.iter().map(|&x| kernel(x, y)).sum::<f64>() / p)
            .collect();
        let value = v10.iter().sum::<f64>() / p;
        let spread = |v: &[f64]| {
            v.iter().map(|x| (x - value).powi(2)).sum::<f64>()
                / (v.len() as f64 - 1.0)
                / v.len() as f64
        };
        (value, spread(&v10) + spread(&v01))
    }

    #[test]
    fn equals_sklearn() {
        // scikit-learn 1.9: roc_auc_score(LABELS, SCORES)
        assert!((auc(&SCORES, &LABELS).expect("defined") - 0.8).abs() < 1e-14);
    }

    #[test]
    fn equals_all_pairs_with_ties() {
        for levels in [2, 6, 100_000] {
            let scores = tied(83, levels, "scores");
            let labels: Vec<bool> = tied(83, 3, "labels").iter().map(|x| *x > -1.0).collect();
            let (value, variance) = slow(&scores, &labels);
            let (fast, interval) = auc_delong(&scores, &labels).expect("both classes");
            let expected = normal_interval(value, variance.sqrt());
            let interval = interval.expect("many of both classes");
            assert!((fast - value).abs() < 1e-13);
            assert!(
                (interval.low - expected.low).abs() < 1e-12
                    && (interval.high - expected.high).abs() < 1e-12
            );
        }
    }

    #[test]
    fn extremes_and_undefined_cases() {
        assert_eq!(auc(&[1.0, 2.0], &[false, true]), Some(1.0));
        assert_eq!(auc(&[1.0, 1.0, 1.0], &[false, true, true]), Some(0.5));
        assert_eq!(auc(&[1.0, 2.0], &[true, true]), None);
        assert_eq!(auc(&[1.0, f64::NAN], &[true, false]), None);
        assert_eq!(auc_delong(&[1.0, 2.0], &[false, true]), Some((1.0, None)));
    }
}
