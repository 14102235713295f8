//! Average precision, with a stratified bootstrap interval.

use rand::RngExt;

use super::interval::{Interval, bootstrap};
use super::rank::{all_finite, ascending};
use crate::random::{Rng, rng};

/// Σ_t (R_t − R_{t−1}) P_t over the distinct scores t in descending order, with precision P_t and
/// recall R_t of "score ≥ t" (no interpolation; as scikit-learn's `average_precision_score`).
///
/// `None` when the lengths differ, a score is not finite, or there is no positive.
pub fn average_precision(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let levels = Levels::new(scores, positive)?;
    of_counts(&levels.positives, &levels.negatives)
}

/// [`average_precision`] with the percentile interval of a bootstrap that resamples the positives and
/// the negatives each among themselves, so that their numbers stay.
pub fn average_precision_bootstrap(
    scores: &[f64],
    positive: &[bool],
    seed: u64,
) -> Option<(f64, Option<Interval>)> {
    let levels = Levels::new(scores, positive)?;
    let value = of_counts(&levels.positives, &levels.negatives)?;
    let mut rng = rng(seed, "metrics", "average_precision");
    let interval = bootstrap(&mut rng, |rng| {
        let (positives, negatives) = levels.resample(rng);
        of_counts(&positives, &negatives)
    });
    Some((value, interval))
}

/// Numbers of positives and negatives at each distinct score, descending: a resample is then a
/// matter of counting, without sorting again.
struct Levels {
    positives: Vec<usize>,
    negatives: Vec<usize>,
    /// Level of every positive, then of every negative.
    level_of: [Vec<usize>; 2],
}

impl Levels {
    fn new(scores: &[f64], positive: &[bool]) -> Option<Self> {
        if scores.len() != positive.len() || !all_finite(scores) || !positive.contains(&true) {
            return None;
        }
        let scores: Vec<f64> = scores.iter().map(|score| score + 0.0).collect();
        let mut order = ascending(&scores);
        order.reverse();
        let mut levels = Self {
            positives: Vec::new(),
            negatives: Vec::new(),
            level_of: [Vec::new(), Vec::new()],
        };
        for (level, group) in order.chunk_by(|&a, &b| scores[a] == scores[b]).enumerate() {
            let positives = group.iter().filter(|&&index| positive[index]).count();
            levels.positives.push(positives);
            levels.negatives.push(group.len() - positives);
            levels.level_of[0].extend(std::iter::repeat_n(level, positives));
            levels.level_of[1].extend(std::iter::repeat_n(level, group.len() - positives));
        }
        Some(levels)
    }

    fn resample(&self, rng: &mut Rng) -> (Vec<usize>, Vec<usize>) {
        let mut draw = |members: &[usize]| {
            let mut counts = vec![0; self.positives.len()];
            for _ in 0..members.len() {
                counts[members[rng.random_range(0..members.len())]] += 1;
            }
            counts
        };
        (draw(&self.level_of[0]), draw(&self.level_of[1]))
    }
}

fn of_counts(positives: &[usize], negatives: &[usize]) -> Option<f64> {
    let total: usize = positives.iter().sum();
    let (mut found, mut inspected, mut sum) = (0, 0, 0.0);
    for (p, q) in positives.iter().zip(negatives) {
        found += p;
        inspected += p + q;
        if *p > 0 {
            sum += *p as f64 * found as f64 / inspected as f64;
        }
    }
    (total > 0).then(|| sum / total as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::rank::tests::tied;

    /// O(n²): precision at each positive's own threshold, averaged over the positives.
    fn slow(scores: &[f64], labels: &[bool]) -> f64 {
        let precision = |t: f64| {
            let at = |wanted: bool| {
                scores
                    .iter()
                    .zip(labels)
                    .filter(|(s, l)| **s >= t && (**l || !wanted))
                    .count() as f64
            };
            at(true) / at(false)
        };
        let positives: Vec<f64> = scores
            .iter()
            .zip(labels)
            .filter(|(_, l)| **l)
            .map(|(s, _)| precision(*s))
            .collect();
        positives.iter().sum::<f64>() / positives.len() as f64
    }

    #[test]
    fn equals_sklearn() {
        // scikit-learn 1.9: average_precision_score(labels, scores)
        let scores = [0.1, 0.4, 0.35, 0.8, 0.4, 0.9, 0.2, 0.8, 0.55, 0.05];
        let labels = [
            false, false, true, true, true, true, false, false, true, false,
        ];
        assert!(
            (average_precision(&scores, &labels).expect("defined") - 0.7595238095238095).abs()
                < 1e-14
        );
    }

    #[test]
    fn equals_the_slow_one_with_ties() {
        for levels in [1, 4, 1_000_000] {
            let scores = tied(97, levels, "scores");
            let labels: Vec<bool> = tied(97, 5, "labels").iter().map(|x| *x > 1.0).collect();
            assert!(
                (average_precision(&scores, &labels).expect("positives") - slow(&scores, &labels))
                    .abs()
                    < 1e-13
            );
        }
    }

    #[test]
    fn interval_covers_the_value_and_is_reproducible() {
        let scores = tied(300, 1_000_000, "scores");
        let labels: Vec<bool> = scores
            .iter()
            .zip(tied(300, 1_000_000, "noise"))
            .map(|(a, b)| a + b > 1.2e6)
            .collect();
        let run = |seed| average_precision_bootstrap(&scores, &labels, seed).expect("positives");
        let (value, interval) = run(1);
        let interval = interval.expect("defined in every resample");
        assert!(
            interval.low < value && value < interval.high && interval.high - interval.low < 0.4,
            "{interval:?}"
        );
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn undefined_cases() {
        assert_eq!(average_precision(&[1.0, 2.0], &[false, false]), None);
        assert_eq!(average_precision(&[1.0, f64::NAN], &[true, false]), None);
        assert_eq!(average_precision(&[1.0, 2.0], &[true, true]), Some(1.0));
    }
}
