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
//! Write D_ks for the difference of a pair, so that T is its mean over seeds. The noise of T is measured by the two-way
//! interaction of example and seed:
//!
//! ```text
//! noise  = Σ_ks (D_ks − D̄_k − D̄_s + D̄)² / ((K − 1)(S − 1) S),    signal = var_k(T) − noise,
//! ```
//!
//! with K examples and S seeds. Whatever a seed adds to all examples alike, such as the draw of the run on everything,
//! is in D̄_s: it shifts T(k, q) for all k together, moves no correlation over k, and is not noise. Both are variances
//! of T over the examples and unbiased where the interaction has the same variance for all pairs. With one example or
//! one seed there is no interaction to measure, and the query is undefined.
//!
//! Where signal/noise is below a least ratio (1: noise exceeds signal) a correlation would say nothing, and the query
//! is undefined.

use ndarray::{Array2, ArrayView2, Axis};

use super::hierarchical::{Correlation, Pair, mean_over_queries};
use super::retraining::LeaveOneOut;
use super::value::Estimate;
use crate::random::rng;

/// D, `[examples, seeds]`: what leaving each example out saves query q.
pub(super) fn differences(losses: &LeaveOneOut, q: usize) -> Array2<f64> {
    let without = losses.without.index_axis(Axis(2), q);
    &losses.full.column(q) - &without
}

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
    /// What T varies by because the seeds are few.
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

/// Signal and noise from D `[examples, seeds]`, where example k stands `weights[k]` times when they are given; `None`
/// with fewer than two examples or seeds.
pub(super) fn signal(d: ArrayView2<f64>, weights: Option<&[f64]>) -> Option<Signal> {
    let (examples, seeds) = d.dim();
    let weight = |k: usize| weights.map_or(1.0, |weights| weights[k]);
    let total: f64 = (0..examples).map(weight).sum();
    if total < 2.0 || seeds < 2 {
        return None;
    }
    let of_example = d.mean_axis(Axis(1))?;
    let mean_of = |at: &dyn Fn(usize) -> f64| -> f64 {
        (0..examples).map(|k| weight(k) * at(k)).sum::<f64>() / total
    };
    let of_seed: Vec<f64> = (0..seeds).map(|s| mean_of(&|k| d[[k, s]])).collect();
    let mean = mean_of(&|k| of_example[k]);
    let interaction = |k: usize| -> f64 {
        let one = |s: usize| (d[[k, s]] - of_example[k] - of_seed[s] + mean).powi(2);
        (0..seeds).map(one).sum()
    };
    let (own, all) = (total - 1.0, seeds as f64);
    let noise = mean_of(&interaction) * total / (own * (all - 1.0) * all);
    let variance = mean_of(&|k| (of_example[k] - mean).powi(2)) * total / own;
    Some(Signal {
        signal: variance - noise,
        noise,
    })
}

/// Signal and noise of every query; `None` with fewer than two seeds or examples.
pub fn signals(losses: &LeaveOneOut) -> Vec<Option<Signal>> {
    let queries = 0..losses.without.len_of(Axis(2));
    queries
        .map(|q| signal(differences(losses, q).view(), None))
        .collect()
}

/// Whether a query says enough: its ratio is known and not below the least.
pub(super) fn speaks(signal: Option<Signal>, losses: &LeaveOneOut) -> bool {
    signal.is_some_and(|signal| signal.ratio() >= losses.min_snr)
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

/// For every query its scores and T over the left-out examples; `None` where the query is undefined.
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
            speaks(*signal, losses).then(|| vec![Pair::new(own, truth.to_vec(), kind)])
        })
        .collect()
}

/// Mean over the queries of [`Signal::ceiling`], with its t-interval; queries below the least ratio are
/// undefined.
pub fn noise_ceiling(losses: &LeaveOneOut) -> Estimate {
    let signals = signals(losses);
    let of = |s: &Option<Signal>| s.filter(|_| speaks(*s, losses)).map(|s| s.ceiling());
    Estimate::mean(&signals.iter().map(of).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};
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
        for signal in signals(&losses).into_iter().flatten() {
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
    fn what_all_examples_share_is_no_noise() {
        // both seeds say that the examples differ by 2
        let losses = LeaveOneOut {
            examples: vec![0, 1],
            full: array![[0.0], [2.0]],
            without: array![[[1.0], [1.0]], [[-1.0], [-1.0]]],
            min_snr: 1.0,
        };
        let found = signals(&losses)[0].expect("two examples and two seeds");
        assert_eq!(
            (found.noise, found.signal, found.ceiling()),
            (0.0, 2.0, 1.0)
        );
        assert_eq!(noise_ceiling(&losses).value, Some(1.0));
    }

    #[test]
    fn a_noisy_run_on_everything_does_not_hide_the_signal() {
        const SEEDS: usize = 5;
        // T over the examples has variance 1, and each run a variance of 5/2: noise 1/2, ratio 2. Per query the variance
        // of T, 3/2, is known to √(2/99) = 14 %, over 200 queries to 1 %: the ratio to 0.05
        let deviation = 2.5f64.sqrt();
        for shared in [0.0, 100.0] {
            let mut rng = rng(12, "leave one out", "noisy");
            let mut unit = || (rng.random::<f64>() - 0.5) * 12f64.sqrt();
            let (k, m) = (100, 200);
            // what a seed gives to both runs of a pair
            let common = Array2::from_shape_fn((SEEDS, m), |_| shared * unit());
            let full = common.mapv(|common| common + deviation * unit());
            let influence = Array2::from_shape_fn((k, m), |_| unit());
            let without = Array3::from_shape_fn((k, SEEDS, m), |(k, s, q)| {
                common[[s, q]] - influence[[k, q]] + deviation * unit()
            });
            let losses = LeaveOneOut {
                examples: (0..k).collect(),
                full,
                without,
                min_snr: 1.0,
            };
            let found: Vec<Signal> = signals(&losses).into_iter().flatten().collect();
            let sum = |of: fn(&Signal) -> f64| found.iter().map(of).sum::<f64>();
            let ratio = sum(|s| s.signal) / sum(|s| s.noise);
            assert!((ratio - 2.0).abs() < 0.2, "{ratio}");
            // the variance by seeds alone, mean over the examples, counts the run on everything as well
            let by_seeds: f64 = (0..m)
                .map(|q| differences(&losses, q).var_axis(Axis(1), 1.0).sum())
                .sum::<f64>()
                / (k * SEEDS) as f64;
            let total = sum(|s| s.signal + s.noise);
            let old = (total - by_seeds) / by_seeds;
            assert!((old - 0.5).abs() < 0.1, "{old}");
            // √(2/3), and what the expected truth reaches over 100 examples
            let ceiling = noise_ceiling(&losses);
            let ceiling = ceiling.value.expect("most are above the gate");
            let reached = correlation(influence.t(), &losses, Correlation::Pearson, 1);
            let reached = reached.value.expect("most are above the gate");
            assert!(
                (ceiling - 0.816).abs() < 0.02 && (reached - ceiling).abs() < 0.02,
                "{ceiling} {reached}"
            );
        }
    }

    #[test]
    fn repeated_examples_count_like_weights() {
        let (_, losses) = world(0.01, 0.02);
        let d = differences(&losses, 3);
        let weights: Vec<f64> = (0..50).map(|k| f64::from(k % 3)).collect();
        let repeated: Vec<usize> = (0..50)
            .flat_map(|k| std::iter::repeat_n(k, k % 3))
            .collect();
        let found = signal(d.view(), Some(&weights)).expect("many");
        let expected = signal(d.select(Axis(0), &repeated).view(), None).expect("many");
        // sums of 250 numbers near 1e-4, taken of differences of losses near 100
        assert!((found.noise - expected.noise).abs() < 1e-12 * 1e-4_f64.max(expected.noise));
        assert!((found.signal - expected.signal).abs() < 1e-12);
    }

    #[test]
    fn one_example_or_one_seed_has_no_interaction() {
        let (influence, losses) = world(0.01, 0.001);
        let one_seed = LeaveOneOut {
            full: losses.full.select(Axis(0), &[0]),
            without: losses.without.select(Axis(1), &[0]),
            ..losses.clone()
        };
        let one_example = LeaveOneOut {
            examples: vec![7],
            without: losses.without.select(Axis(0), &[7]),
            ..losses
        };
        for mut losses in [one_seed, one_example] {
            losses.min_snr = 0.0;
            assert_eq!(signals(&losses), [None; 6]);
            let found = correlation(influence.view(), &losses, Correlation::Pearson, 1);
            for found in [found, noise_ceiling(&losses)] {
                assert_eq!((found.value, found.cases, found.undefined), (None, 6, 6));
            }
        }
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
