//! Ranks with ties.

/// Whether every value is finite.
pub fn all_finite(values: &[f64]) -> bool {
    values.iter().all(|value| value.is_finite())
}

/// Indices of the values in ascending order; equal values keep their order.
pub fn ascending(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    order
}

/// Mid-ranks from 1: equal values share the mean of their ranks. −0 and 0 are equal.
///
/// O(n log n). The values must be finite.
pub fn mid_ranks(values: &[f64]) -> Vec<f64> {
    // −0 sorts before 0 by `total_cmp` yet is equal to it; adding 0 makes both +0.
    let values: Vec<f64> = values.iter().map(|value| value + 0.0).collect();
    let order = ascending(&values);
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0;
    for group in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = below as f64 + (group.len() + 1) as f64 / 2.0;
        for &index in group {
            ranks[index] = rank;
        }
        below += group.len();
    }
    ranks
}

/// For each value, the probability that it is among the `k` largest when ties are broken at random:
/// 1 above the k-th value, 0 below it, and the share of places left for those equal to it.
///
/// The sum is k (for k ≤ n). The values must be finite.
pub fn top_membership(values: &[f64], k: usize) -> Vec<f64> {
    let k = k.min(values.len());
    if k == 0 {
        return vec![0.0; values.len()];
    }
    let mut copy: Vec<f64> = values.iter().map(|value| value + 0.0).collect();
    let position = copy.len() - k;
    let threshold = *copy.select_nth_unstable_by(position, f64::total_cmp).1;
    let above = values.iter().filter(|&&value| value > threshold).count();
    let equal = values.iter().filter(|&&value| value == threshold).count();
    let share = (k - above) as f64 / equal as f64;
    let membership = |&value: &f64| {
        if value > threshold {
            1.0
        } else if value == threshold {
            share
        } else {
            0.0
        }
    };
    values.iter().map(membership).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use rand::RngExt;

    use super::*;
    use crate::random::rng;

    /// Small integers, so that there are many ties.
    pub(crate) fn tied(n: usize, levels: u32, purpose: &str) -> Vec<f64> {
        let mut rng = rng(11, "metrics tests", purpose);
        (0..n)
            .map(|_| f64::from(rng.random_range(0..levels)) - 2.0)
            .collect()
    }

    /// O(n²): rank = 1 + number below + half the number of the others that are equal.
    fn slow_ranks(values: &[f64]) -> Vec<f64> {
        let count =
            |test: &dyn Fn(f64) -> bool| values.iter().filter(|&&value| test(value)).count() as f64;
        values
            .iter()
            .map(|&x| 1.0 + count(&|y| y < x) + (count(&|y| y == x) - 1.0) / 2.0)
            .collect()
    }

    #[test]
    fn ranks_equal_the_slow_ones() {
        for levels in [1, 3, 20, 1_000_000] {
            let values = tied(157, levels, "ranks");
            assert_eq!(mid_ranks(&values), slow_ranks(&values));
        }
        assert_eq!(mid_ranks(&[0.0, -0.0]), [1.5, 1.5]);
        assert!(mid_ranks(&[]).is_empty());
    }

    #[test]
    fn membership_shares_the_places_left_among_ties() {
        assert_eq!(
            top_membership(&[5.0, 1.0, 3.0, 3.0, 3.0], 2),
            [1.0, 0.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0]
        );
        assert_eq!(top_membership(&[1.0, 2.0], 5), [1.0, 1.0]);
        assert_eq!(top_membership(&[1.0, 2.0], 0), [0.0, 0.0]);
        let values = tied(90, 7, "membership");
        for k in [1, 9, 45, 90] {
            assert!((top_membership(&values, k).iter().sum::<f64>() - k as f64).abs() < 1e-10);
        }
    }
}
