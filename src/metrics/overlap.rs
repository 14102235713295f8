//! Overlap of the most harmful examples.

use ndarray::{ArrayView2, Axis};

use super::rank::{all_finite, top_membership};
use super::value::Estimate;

/// Share of the training examples that counts as the most harmful.
pub const TOP_SHARE: f64 = 0.1;

/// k = ⌈[`TOP_SHARE`] · n⌉, at least 1.
pub fn top_count(n: usize) -> usize {
    ((TOP_SHARE * n as f64).ceil() as usize).max(1)
}

/// Share of the k most harmful examples by the exact scores that are among the method's k most
/// harmful; with ties, its expectation when both break them at random.
///
/// `None` when either holds a NaN or an infinity, the lengths differ, or there is nothing to choose
/// (k = 0 or n = 0).
pub fn overlap(scores: &[f64], exact: &[f64], k: usize) -> Option<f64> {
    if scores.len() != exact.len()
        || scores.is_empty()
        || k == 0
        || !all_finite(scores)
        || !all_finite(exact)
    {
        return None;
    }
    let k = k.min(scores.len());
    let both = top_membership(scores, k)
        .into_iter()
        .zip(top_membership(exact, k))
        .map(|(a, b)| a * b)
        .sum::<f64>();
    Some(both / k as f64)
}

/// Mean over the queries (rows of `[m, n]`) of [`overlap`] at [`top_count`], with its t-interval.
pub fn mean_over_queries(scores: ArrayView2<f64>, exact: ArrayView2<f64>) -> Estimate {
    let k = top_count(scores.ncols());
    let rows = scores.axis_iter(Axis(0)).zip(exact.axis_iter(Axis(0)));
    Estimate::mean(
        &rows
            .map(|(row, reference)| overlap(&row.to_vec(), &reference.to_vec(), k))
            .collect::<Vec<_>>(),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::metrics::rank::{ascending, tests::tied};

    #[test]
    fn equals_the_intersection_of_sets_without_ties() {
        let (a, b) = (tied(200, 100_000_000, "a"), tied(200, 100_000_000, "b"));
        for k in [1, 20, 150, 200] {
            let top = |values: &[f64]| {
                ascending(values)
                    .into_iter()
                    .rev()
                    .take(k)
                    .collect::<HashSet<_>>()
            };
            let expected = top(&a).intersection(&top(&b)).count() as f64 / k as f64;
            assert!((overlap(&a, &b, k).expect("defined") - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn constant_scores_do_no_better_than_chance() {
        let exact: Vec<f64> = (0..50).map(f64::from).collect();
        assert!((overlap(&[1.0; 50], &exact, 5).expect("defined") - 0.1).abs() < 1e-12);
    }

    #[test]
    fn undefined_cases() {
        assert_eq!(overlap(&[1.0, f64::NAN], &[1.0, 2.0], 1), None);
        assert_eq!(overlap(&[], &[], 1), None);
        assert_eq!(overlap(&[1.0], &[1.0, 2.0], 1), None);
        assert_eq!((top_count(3), top_count(10), top_count(11)), (1, 1, 2));
    }
}
