//! 95 % confidence intervals: Student's t of a mean, normal, Fisher's z of a correlation, and the
//! percentile bootstrap.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use crate::random::Rng;

/// Confidence level of every interval.
pub const LEVEL: f64 = 0.95;

/// Resamples of a bootstrap.
pub const RESAMPLES: usize = 1000;

/// A 95 % interval, `low ≤ high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl From<Interval> for (f64, f64) {
    fn from(Interval { low, high }: Interval) -> Self {
        (low, high)
    }
}

/// Mean of the values; `None` of none.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// x̄ ± t₀.₉₇₅(k−1) · s/√k over k independent values; `None` for k < 2.
pub fn t_interval(values: &[f64]) -> Option<Interval> {
    let half = t_half_width(values)?;
    let centre = mean(values)?;
    Some(Interval {
        low: centre - half,
        high: centre + half,
    })
}

/// Half the width of [`t_interval`].
pub fn t_half_width(values: &[f64]) -> Option<f64> {
    let k = values.len();
    if k < 2 {
        return None;
    }
    let centre = mean(values)?;
    let variance = values
        .iter()
        .map(|value| (value - centre).powi(2))
        .sum::<f64>()
        / (k - 1) as f64;
    let t = StudentsT::new(0.0, 1.0, (k - 1) as f64)
        .ok()?
        .inverse_cdf(0.5 + LEVEL / 2.0);
    Some(t * (variance / k as f64).sqrt())
}

/// centre ± z₀.₉₇₅ · `standard_error`.
pub fn normal_interval(centre: f64, standard_error: f64) -> Interval {
    let half = normal_quantile() * standard_error;
    Interval {
        low: centre - half,
        high: centre + half,
    }
}

/// Interval of a correlation of n pairs on Fisher's scale: tanh(artanh r ± z₀.₉₇₅ · √(c/(n−3))).
///
/// `inflation` c is 1 for Pearson and 1.06 for Spearman (Fieller, Hartley and Pearson, 1957).
/// `None` for n < 4; r = ±1 has an interval of width 0.
pub fn fisher_z(r: f64, n: usize, inflation: f64) -> Option<Interval> {
    if n < 4 || !r.is_finite() {
        return None;
    }
    let r = r.clamp(-1.0, 1.0);
    let half = normal_quantile() * (inflation / (n - 3) as f64).sqrt();
    let z = r.atanh();
    Some(Interval {
        low: (z - half).tanh(),
        high: (z + half).tanh(),
    })
}

/// Percentile bootstrap: `draw` returns the statistic of one resample, [`RESAMPLES`] times.
///
/// Undefined resamples are left out; `None` when fewer than half are defined.
pub fn bootstrap(rng: &mut Rng, mut draw: impl FnMut(&mut Rng) -> Option<f64>) -> Option<Interval> {
    let mut statistics: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| draw(rng))
        .filter(|value| value.is_finite())
        .collect();
    if statistics.len() < RESAMPLES / 2 {
        return None;
    }
    statistics.sort_by(f64::total_cmp);
    Some(Interval {
        low: quantile(&statistics, 0.5 - LEVEL / 2.0),
        high: quantile(&statistics, 0.5 + LEVEL / 2.0),
    })
}

/// Quantile of an ascending, non-empty slice, linear between order statistics (NumPy's default).
pub fn quantile(sorted: &[f64], p: f64) -> f64 {
    let position = p * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

fn normal_quantile() -> f64 {
    Normal::new(0.0, 1.0)
        .expect("a unit normal has a positive deviation")
        .inverse_cdf(0.5 + LEVEL / 2.0)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::random::rng;

    #[test]
    fn t_interval_equals_scipy() {
        // SciPy 1.17: v = [.61, .72, .55, .68]; stats.t.interval(.95, 3, np.mean(v), stats.sem(v))
        let interval = t_interval(&[0.61, 0.72, 0.55, 0.68]).expect("four values");
        assert!(
            (interval.low - 0.5202170726333685).abs() < 1e-9,
            "{interval:?}"
        );
        assert!(
            (interval.high - 0.7597829273666316).abs() < 1e-9,
            "{interval:?}"
        );
        assert_eq!(t_interval(&[1.0]), None);
        assert_eq!(t_interval(&[]), None);
    }

    #[test]
    fn fisher_z_equals_scipy() {
        // SciPy 1.17: stats.pearsonr(a, b).confidence_interval(.95) on the vectors of `correlation`
        let interval = fisher_z(0.8586835106164057, 8, 1.0).expect("eight pairs");
        assert!(
            (interval.low - 0.3899900775881608).abs() < 1e-9,
            "{interval:?}"
        );
        assert!(
            (interval.high - 0.9739986179296563).abs() < 1e-9,
            "{interval:?}"
        );
        assert_eq!(
            fisher_z(1.0, 10, 1.0),
            Some(Interval {
                low: 1.0,
                high: 1.0
            })
        );
        assert_eq!(fisher_z(0.5, 3, 1.0), None);
    }

    #[test]
    fn bootstrap_of_a_mean_is_near_the_t_interval_and_reproducible() {
        let mut source = rng(7, "interval", "values");
        let values: Vec<f64> = (0..200).map(|_| source.random::<f64>()).collect();
        let run = || {
            bootstrap(&mut rng(1, "interval", "bootstrap"), |rng| {
                mean(
                    &(0..values.len())
                        .map(|_| values[rng.random_range(0..values.len())])
                        .collect::<Vec<_>>(),
                )
            })
            .expect("means are defined")
        };
        let (interval, expected) = (run(), t_interval(&values).expect("200 values"));
        // The bootstrap's own spread at 1000 resamples is some 5 % of the half width (0.04).
        assert!(
            (interval.low - expected.low).abs() < 0.006,
            "{interval:?} {expected:?}"
        );
        assert!(
            (interval.high - expected.high).abs() < 0.006,
            "{interval:?} {expected:?}"
        );
        assert_eq!(interval, run());
        assert_eq!(bootstrap(&mut rng(1, "interval", "none"), |_| None), None);
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), 2.5);
        assert_eq!(quantile(&[1.0], 0.975), 1.0);
    }
}
