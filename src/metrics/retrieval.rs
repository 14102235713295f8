//! Retrieval of the query's class: do the most helpful examples share it?
//!
//! The paper's two measures for its language and image experiments. Influence is positive for
//! harmful examples, so the most helpful are the most negative.

use ndarray::{ArrayView2, Axis};

use super::auc::auc;
use super::rank::{all_finite, top_membership};
use super::value::Estimate;

/// AUC of the negated influence against "same class as the query".
///
/// `None` when a score is not finite, or no example or every example has the class.
pub fn class_auc(scores: &[f64], same_class: &[bool]) -> Option<f64> {
    auc(&negated(scores), same_class)
}

/// Share of same-class examples among the s most negative, s being their number; with ties, its
/// expectation when they are broken at random.
///
/// `None` when the lengths differ, a score is not finite or no example has the class.
pub fn class_recall(scores: &[f64], same_class: &[bool]) -> Option<f64> {
    let s = same_class.iter().filter(|same| **same).count();
    if scores.len() != same_class.len() || s == 0 || !all_finite(scores) {
        return None;
    }
    let chosen = top_membership(&negated(scores), s);
    Some(
        chosen
            .iter()
            .zip(same_class)
            .filter(|(_, same)| **same)
            .map(|(share, _)| share)
            .sum::<f64>()
            / s as f64,
    )
}

/// For every query (row of `[m, n]`), the share of its class among the k most negative scores, k being the number of
/// queries of its class: what the paper's code for styles prints as recall. With ties, its expectation when they are broken
/// at random; a query is undefined when a score is not finite or there are fewer than k examples.
pub fn published_recalls(
    scores: ArrayView2<f64>,
    train_classes: &[usize],
    query_classes: &[usize],
) -> Vec<Option<f64>> {
    let rows = scores.axis_iter(Axis(0)).zip(query_classes);
    let of = |(row, class): (ndarray::ArrayView1<f64>, &usize)| {
        let k = query_classes.iter().filter(|other| *other == class).count();
        let row = row.to_vec();
        if k > row.len() || !all_finite(&row) {
            return None;
        }
        let chosen = top_membership(&negated(&row), k);
        let same = chosen.iter().zip(train_classes);
        let same = same.filter(|(_, train)| *train == class);
        Some(same.map(|(share, _)| share).sum::<f64>() / k as f64)
    };
    rows.map(of).collect()
}

/// A measure of every query (row of `[m, n]`).
pub fn per_query(
    scores: ArrayView2<f64>,
    train_classes: &[usize],
    query_classes: &[usize],
    measure: fn(&[f64], &[bool]) -> Option<f64>,
) -> Vec<Option<f64>> {
    let rows = scores.axis_iter(Axis(0)).zip(query_classes);
    let of = |(row, class): (ndarray::ArrayView1<f64>, &usize)| {
        let same: Vec<bool> = train_classes.iter().map(|train| train == class).collect();
        measure(&row.to_vec(), &same)
    };
    rows.map(of).collect()
}

/// Mean over the queries (rows of `[m, n]`) with its t-interval.
pub fn mean_over_queries(
    scores: ArrayView2<f64>,
    train_classes: &[usize],
    query_classes: &[usize],
    measure: fn(&[f64], &[bool]) -> Option<f64>,
) -> Estimate {
    Estimate::mean(&per_query(scores, train_classes, query_classes, measure))
}

fn negated(scores: &[f64]) -> Vec<f64> {
    scores.iter().map(|score| -score).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn helpful_examples_of_the_class_are_found() {
        let same = [true, false, true, false];
        assert_eq!(class_auc(&[-3.0, 1.0, -2.0, 0.5], &same), Some(1.0));
        assert_eq!(class_recall(&[-3.0, 1.0, -2.0, 0.5], &same), Some(1.0));
        assert_eq!(class_auc(&[3.0, -1.0, 2.0, -0.5], &same), Some(0.0));
        assert_eq!(class_recall(&[-3.0, -4.0, 2.0, 0.5], &same), Some(0.5));
        // Three share the second of two places, one of them of the class: (1 + 1/3)/2.
        let value = class_recall(&[-3.0, 1.0, 1.0, 1.0], &same).expect("defined");
        assert!((value - 2.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn published_recall_counts_as_many_as_the_class_has_queries() {
        let scores = array![
            [-3.0, -2.0, -1.0, 0.0],
            [0.0, -2.0, -2.0, 5.0],
            [-1.0, f64::NAN, 0.0, 0.0],
            [-4.0, 1.0, -3.0, 2.0]
        ];
        let found = published_recalls(scores.view(), &[0, 1, 0, 1], &[0, 1, 0, 0]);
        // three queries of class 0, one of class 1, whose place two examples share
        let expected = [Some(2.0 / 3.0), Some(0.5), None, Some(2.0 / 3.0)];
        assert_eq!(found, expected);
    }

    #[test]
    fn averages_over_queries_and_counts_the_undefined() {
        let scores = array![
            [-1.0, 0.0, 1.0],
            [1.0, -1.0, f64::NAN],
            [1.0, 0.0, -1.0],
            [0.0, 1.0, 2.0]
        ];
        let estimate = mean_over_queries(scores.view(), &[0, 1, 1], &[0, 1, 0, 7], class_auc);
        assert_eq!(
            (estimate.value, estimate.cases, estimate.undefined),
            (Some(0.5), 4, 2)
        );
    }
}
