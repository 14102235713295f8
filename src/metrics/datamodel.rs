//! The linear datamodeling score (Park et al., 2023, arXiv 2303.14186): do summed influences predict the loss
//! after training on a subset?

use ndarray::{Array2, ArrayView2, Axis};
use rand::seq::SliceRandom;

use super::hierarchical::{Correlation, Pair, mean_over_queries};
use super::interval::Interval;
use super::retraining::Subsets;
use super::value::Estimate;
use crate::random::{Rng, rng};

/// Splits of the seeds into halves that the ceiling is averaged over.
const SPLITS: usize = 10;

/// Predicted losses `[subsets, m]` up to a constant: p(S, q) = Σ_{k∈S} I(k, q). Influence is positive where
/// an example is harmful, that is where training on it raises the loss, so p rises with the loss.
pub fn predicted(scores: ArrayView2<f64>, kept: &[Vec<bool>]) -> Array2<f64> {
    let m = scores.len_of(Axis(0));
    Array2::from_shape_fn((kept.len(), m), |(s, q)| {
        let row = scores.row(q);
        let pairs = row.iter().zip(&kept[s]);
        pairs
            .filter(|(_, kept)| **kept)
            .map(|(score, _)| score)
            .sum()
    })
}

/// Spearman's ρ over the subsets of [`predicted`] and the loss (mean over seeds), mean over queries.
///
/// `scores` is `[m, n]`. The interval is the bootstrap over subsets and queries; the noise of retraining is
/// in it, since every subset carries its own.
pub fn lds(scores: ArrayView2<f64>, subsets: &Subsets, seed: u64) -> Estimate {
    let purpose = format!("lds/{}", subsets.percent);
    let rng = &mut rng(seed, "metrics", &purpose);
    mean_over_queries(&pairs(scores, subsets), Correlation::Spearman, rng)
}

/// For every query, [`predicted`] and measured losses over the subsets.
pub fn pairs(scores: ArrayView2<f64>, subsets: &Subsets) -> Vec<Option<Vec<Pair>>> {
    let predicted = predicted(scores, &subsets.kept);
    let Some(measured) = subsets.losses.mean_axis(Axis(1)) else {
        return vec![None; predicted.len_of(Axis(1))];
    };
    predicted
        .axis_iter(Axis(1))
        .zip(measured.axis_iter(Axis(1)))
        .map(|(p, l)| {
            let pair = Pair::new(p.to_vec(), l.to_vec(), Correlation::Spearman);
            Some(vec![pair])
        })
        .collect()
}

/// What retraining noise leaves of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ceiling {
    /// Spearman's ρ over subsets between the mean losses of two halves of the seeds, mean over queries and
    /// splits, its interval over subsets and queries.
    pub split_half: Estimate,
    /// √R with R = c·ρ/(1 + (c−1)·ρ), the reliability of the mean over all S seeds by Spearman and Brown
    /// (1910), c = S/⌊S/2⌋: what a method could reach that predicts every expected loss. 0 for ρ ≤ 0.
    pub ceiling: Estimate,
}

/// What the seed of a cell draws for the ceiling.
pub(super) fn ceiling_rng(subsets: &Subsets, seed: u64) -> Rng {
    let purpose = format!("noise ceiling/{}", subsets.percent);
    rng(seed, "metrics", &purpose)
}

/// For every query, the mean losses of two halves of the seeds over the subsets, for several splits into halves.
/// `None` with fewer than two seeds.
pub(super) fn halves(subsets: &Subsets, rng: &mut Rng) -> Vec<Option<Vec<Pair>>> {
    let (_, seeds, m) = subsets.losses.dim();
    let half = seeds / 2;
    if half == 0 {
        return vec![None; m];
    }
    let mut order: Vec<usize> = (0..seeds).collect();
    let splits: Vec<[Array2<f64>; 2]> = (0..SPLITS)
        .filter_map(|_| {
            order.shuffle(rng);
            let mean = |chosen: &[usize]| subsets.losses.select(Axis(1), chosen).mean_axis(Axis(1));
            Some([mean(&order[..half])?, mean(&order[half..2 * half])?])
        })
        .collect();
    (0..m)
        .map(|q| {
            let pair = |[a, b]: &[Array2<f64>; 2]| {
                let (a, b) = (a.column(q).to_vec(), b.column(q).to_vec());
                Pair::new(a, b, Correlation::Spearman)
            };
            Some(splits.iter().map(pair).collect())
        })
        .collect()
}

/// The root of the reliability of the mean over S ≥ 2 seeds, from Spearman's ρ between halves of them.
pub(super) fn from_halves(rho: f64, seeds: usize) -> f64 {
    let c = seeds as f64 / (seeds / 2) as f64;
    (c * rho / (1.0 + (c - 1.0) * rho)).max(0.0).sqrt()
}

/// The noise ceiling of the score on these subsets. Undefined with fewer than two seeds.
pub fn noise_ceiling(subsets: &Subsets, seed: u64) -> Ceiling {
    let mut rng = ceiling_rng(subsets, seed);
    let queries = halves(subsets, &mut rng);
    let split_half = mean_over_queries(&queries, Correlation::Spearman, &mut rng);
    let of = |rho| from_halves(rho, subsets.losses.len_of(Axis(1)));
    let ceiling = Estimate {
        value: split_half.value.map(of),
        interval: split_half.interval.map(|i| Interval {
            low: of(i.low),
            high: of(i.high),
        }),
        ..split_half
    };
    Ceiling {
        split_half,
        ceiling,
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use rand::RngExt;

    use super::*;

    /// Losses of an additive world: Σ_{k∈S} w(k, q) + noise of this size (uniform, standard deviation 1).
    fn world(noise: f64, seeds: usize) -> (Array2<f64>, Subsets) {
        let (m, n, count) = (8, 40, 100);
        let mut rng = rng(5, "datamodel", "world");
        let mut unit = || (rng.random::<f64>() - 0.5) * 12f64.sqrt();
        let w = Array2::from_shape_fn((m, n), |_| unit());
        let kept: Vec<Vec<bool>> = (0..count)
            .map(|_| {
                let keys: Vec<f64> = (0..n).map(|_| unit()).collect();
                let order = crate::metrics::rank::ascending(&keys);
                let mut kept = vec![false; n];
                order[..n / 2].iter().for_each(|&k| kept[k] = true);
                kept
            })
            .collect();
        let p = predicted(w.view(), &kept);
        let losses =
            Array3::from_shape_fn((count, seeds, m), |(s, _, q)| p[[s, q]] + noise * unit());
        (
            w,
            Subsets {
                percent: 50,
                kept,
                losses,
            },
        )
    }

    #[test]
    fn the_truth_itself_scores_one_and_its_opposite_minus_one() {
        let (w, subsets) = world(0.0, 2);
        let found = lds(w.view(), &subsets, 1);
        assert!((found.value.expect("defined") - 1.0).abs() < 1e-12);
        assert_eq!((found.cases, found.undefined), (8, 0));
        let against = lds((-&w).view(), &subsets, 1);
        assert!((against.value.expect("defined") + 1.0).abs() < 1e-12);
        let ceiling = noise_ceiling(&subsets, 1).ceiling;
        assert!((ceiling.value.expect("defined") - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_truth_under_noise_reaches_the_ceiling_and_no_more() {
        // the sums have a standard deviation of √(40/4) = 3.2; noise 6 over 5 seeds makes 2.7
        let (w, subsets) = world(6.0, 5);
        let value = lds(w.view(), &subsets, 1).value.expect("defined");
        let Ceiling {
            split_half,
            ceiling,
        } = noise_ceiling(&subsets, 1);
        let (low, high) = ceiling
            .interval
            .map(|i| (i.low, i.high))
            .expect("an interval");
        let reached = ceiling.value.expect("defined");
        // the deviation of ρ over 100 subsets is about 0.07, of the mean over 8 queries 0.025
        assert!((value - reached).abs() < 0.1, "{value} {reached}");
        assert!(low < reached && reached < high && reached < 0.95);
        assert!(split_half.value.expect("defined") < reached);
    }

    #[test]
    fn chance_scores_nothing_and_pure_noise_has_no_ceiling() {
        let (w, subsets) = world(0.0, 2);
        let other = Array2::from_shape_fn(w.dim(), |(q, k)| ((q * 31 + k * 17) as f64 * 0.7).sin());
        let found = lds(other.view(), &subsets, 1);
        let interval = found.interval.expect("an interval");
        assert!(interval.low < 0.0 && interval.high > 0.0, "{found:?}");
        let (_, noise) = world(1e6, 4);
        let ceiling = noise_ceiling(&noise, 1);
        assert!(
            ceiling.split_half.value.expect("defined").abs() < 0.1,
            "{ceiling:?}"
        );
    }

    #[test]
    fn a_score_that_is_nan_spoils_its_query_alone() {
        let (mut w, subsets) = world(0.0, 2);
        w[[2, 0]] = f64::NAN;
        let found = lds(w.view(), &subsets, 1);
        assert_eq!((found.cases, found.undefined), (8, 1));
        assert!((found.value.expect("seven queries") - 1.0).abs() < 1e-12);
    }
}
