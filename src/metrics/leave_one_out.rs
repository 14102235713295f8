//! Does influence say what leaving an example out does to the loss?
//!
//! The truth of example k for query q is the paired mean over S seeds
//!
//! ```text
//! T(k, q) = (1/S) Σ_s [ L_s(q; all) − L_s(q; all but k) ],
//! ```
//!
//! positive where the example is harmful (the loss is lower without it), as influence is: to first order
//! T = I/n. Both losses of a pair come from the same seed, so that what is common to them cancels.
//!
//! What is left of the noise is measured: for a query, noise = mean_k var_s/S is the variance of T(k, q) by
//! seeds, signal = var_k(T) − noise what the examples differ by beyond it. Where signal/noise is below a least
//! ratio (1: noise exceeds signal) a correlation would say nothing, and the query is undefined.

use ndarray::{Array2, ArrayView2, Axis};

use super::hierarchical::{Correlation, Pair, mean_over_queries};
use super::retraining::LeaveOneOut;
use super::value::Estimate;
use crate::random::rng;

/// T, `[examples, m]`.
pub fn truth(losses: &LeaveOneOut) -> Array2<f64> {
    let (examples, seeds, m) = losses.without.dim();
    Array2::from_shape_fn((examples, m), |(k, q)| {
        let pairs = (0..seeds).map(|s| losses.full[[s, q]] - losses.without[[k, s, q]]);
        pairs.sum::<f64>() / seeds as f64
    })
}

/// Signal and noise of a query, as variances of T over the examples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signal {
    /// Beyond noise; may be negative by chance.
    pub signal: f64,
    /// By seeds.
    pub noise: f64,
}

impl Signal {
    /// signal/noise; infinite where there is no noise at all, 0 where there is neither.
    pub fn ratio(&self) -> f64 {
        match (self.signal > 0.0, self.noise > 0.0) {
            (true, false) => f64::INFINITY,
            (false, false) => 0.0,
            _ => self.signal / self.noise,
        }
    }

    /// √(signal/(signal + noise)): the correlation that the expected truth has with the measured one.
    pub fn ceiling(&self) -> f64 {
        let total = self.signal + self.noise;
        if total > 0.0 {
            (self.signal.max(0.0) / total).sqrt()
        } else {
            0.0
        }
    }
}

/// The variance of T(k, q) by seeds, var_s/S.
pub(super) fn noise(losses: &LeaveOneOut, truth: ArrayView2<f64>, k: usize, q: usize) -> f64 {
    let seeds = losses.full.len_of(Axis(0));
    let square = |s: usize| {
        let paired = losses.full[[s, q]] - losses.without[[k, s, q]];
        (paired - truth[[k, q]]).powi(2)
    };
    (0..seeds).map(square).sum::<f64>() / (seeds as f64 - 1.0) / seeds as f64
}

/// Signal and noise of every query; NaN with fewer than two seeds or examples.
pub fn signals(losses: &LeaveOneOut) -> Vec<Signal> {
    let truth = truth(losses);
    let (examples, _, m) = losses.without.dim();
    (0..m)
        .map(|q| {
            let noise: f64 = (0..examples)
                .map(|k| noise(losses, truth.view(), k, q))
                .sum::<f64>()
                / examples as f64;
            let column = truth.column(q);
            let mean = column.sum() / examples as f64;
            let total: f64 =
                column.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / (examples as f64 - 1.0);
            Signal {
                signal: total - noise,
                noise,
            }
        })
        .collect()
}

/// Correlation over the left-out examples of the scores with T, mean over queries; queries below the least
/// ratio of signal to noise are undefined.
///
/// `scores` is `[m, n]`. The interval is the bootstrap over examples and queries.
pub fn correlation(
    scores: ArrayView2<f64>,
    losses: &LeaveOneOut,
    kind: Correlation,
    seed: u64,
) -> Estimate {
    let queries = pairs(scores, losses, kind);
    mean_over_queries(&queries, kind, &mut rng(seed, "metrics", "leave one out"))
}

/// For every query its scores and T over the left-out examples; `None` below the least ratio of signal to noise.
pub fn pairs(
    scores: ArrayView2<f64>,
    losses: &LeaveOneOut,
    kind: Correlation,
) -> Vec<Option<Vec<Pair>>> {
    let truth = truth(losses);
    let signals = signals(losses);
    scores
        .axis_iter(Axis(0))
        .zip(truth.axis_iter(Axis(1)))
        .zip(&signals)
        .map(|((row, truth), signal)| {
            let own = losses.examples.iter().map(|&k| row[k]).collect();
            (signal.ratio() >= losses.min_snr).then(|| vec![Pair::new(own, truth.to_vec(), kind)])
        })
        .collect()
}

/// Mean over the queries of [`Signal::ceiling`], with its t-interval; queries below the least ratio are
/// undefined.
pub fn noise_ceiling(losses: &LeaveOneOut) -> Estimate {
    let signals = signals(losses);
    let of = |s: &Signal| (s.ratio() >= losses.min_snr).then(|| s.ceiling());
    Estimate::mean(&signals.iter().map(of).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use rand::RngExt;

    use super::*;

    /// Influences `[m, n]`, and losses that follow them with a common part a seed and noise of this size.
    fn world(signal: f64, noise: f64) -> (Array2<f64>, LeaveOneOut) {
        let (m, n, seeds) = (6, 50, 4);
        let mut rng = rng(9, "leave one out", "world");
        let mut unit = || (rng.random::<f64>() - 0.5) * 12f64.sqrt();
        let influence = Array2::from_shape_fn((m, n), |_| unit());
        // seeds differ far more from one another than an example makes
        let full = Array2::from_shape_fn((seeds, m), |_| 2.0 + 100.0 * unit());
        let without = Array3::from_shape_fn((n, seeds, m), |(k, s, q)| {
            full[[s, q]] - signal * influence[[q, k]] + noise * unit()
        });
        let examples = (0..n).collect();
        (
            influence,
            LeaveOneOut {
                examples,
                full,
                without,
                min_snr: 1.0,
            },
        )
    }

    #[test]
    fn harmful_is_positive_and_pairs_cancel_the_seeds() {
        let (influence, losses) = world(0.01, 0.001);
        for kind in [Correlation::Pearson, Correlation::Spearman] {
            let found = correlation(influence.view(), &losses, kind, 1);
            assert_eq!((found.cases, found.undefined), (6, 0));
            let value = found.value.expect("defined");
            let low = found.interval.expect("an interval").low;
            assert!(value > 0.98 && low > 0.95, "{found:?}");
            let against = correlation((-&influence).view(), &losses, kind, 1);
            assert!(against.value.expect("defined") < -0.98);
        }
        // noise 0.001 over 4 seeds: variance 2.5e-7 against the signal's 1e-4
        for signal in signals(&losses) {
            assert!((200.0..800.0).contains(&signal.ratio()), "{signal:?}");
        }
    }

    #[test]
    fn the_ceiling_is_what_the_truth_reaches() {
        let (influence, losses) = world(0.01, 0.01);
        let reached = correlation(influence.view(), &losses, Correlation::Pearson, 1)
            .value
            .expect("defined");
        let ceiling = noise_ceiling(&losses).value.expect("defined");
        // √(1/(1 + 1/4)) = 0.894; the deviation of r over 50 examples is 0.03, of the mean over 6 queries 0.012
        assert!(
            (ceiling - 0.894).abs() < 0.05 && (reached - ceiling).abs() < 0.05,
            "{reached} {ceiling}"
        );
    }

    #[test]
    fn pure_noise_is_undefined() {
        let (influence, losses) = world(0.0, 1.0);
        let found = correlation(influence.view(), &losses, Correlation::Spearman, 1);
        assert_eq!(
            (found.value, found.interval, found.cases, found.undefined),
            (None, None, 6, 6)
        );
        let open = LeaveOneOut {
            min_snr: -1.0,
            ..losses
        };
        let ungated = correlation(influence.view(), &open, Correlation::Spearman, 1);
        assert!(ungated.value.expect("no gate").abs() < 0.2);
    }

    #[test]
    fn a_part_of_the_examples_is_read_at_its_own_columns() {
        let (influence, mut losses) = world(0.01, 0.0);
        let some = [40, 3, 17, 22, 9];
        losses.without = losses.without.select(Axis(0), &some);
        losses.examples = some.to_vec();
        let found = correlation(influence.view(), &losses, Correlation::Pearson, 1).value;
        assert!((found.expect("defined") - 1.0).abs() < 1e-6, "{found:?}");
    }
}
