//! The mean over queries of a correlation over items, with a bootstrap over both.
//!
//! Items (training examples, subsets) are shared by the queries, so a resample draws items once for all
//! queries, and queries among themselves: the interval holds for other items *and* other queries. A drawn
//! item counts as often as it was drawn; nothing is sorted again, so a resample costs O(items · queries).

use rand::RngExt;

use super::correlation::{pearson, spearman};
use super::interval::bootstrap;
use super::rank::ascending;
use super::value::Estimate;
use crate::random::Rng;

/// Which correlation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correlation {
    /// Of the values.
    Pearson,
    /// Of their mid-ranks.
    Spearman,
}

impl Correlation {
    /// Of two vectors; `None` where it is undefined.
    pub fn of(self, a: &[f64], b: &[f64]) -> Option<f64> {
        match self {
            Self::Pearson => pearson(a, b),
            Self::Spearman => spearman(a, b),
        }
    }
}

/// Two vectors over the items.
#[derive(Clone, Debug)]
pub struct Pair {
    a: Column,
    b: Column,
    /// Their correlation.
    r: Option<f64>,
}

#[derive(Clone, Debug)]
struct Column {
    values: Vec<f64>,
    /// Ascending order, for ranks.
    order: Vec<usize>,
}

impl Column {
    fn new(values: Vec<f64>) -> Self {
        // −0 and 0 are equal
        let values: Vec<f64> = values.into_iter().map(|value| value + 0.0).collect();
        Self {
            order: ascending(&values),
            values,
        }
    }

    /// Mid-ranks where item i stands `weights[i]` times.
    fn ranks(&self, weights: &[f64]) -> Vec<f64> {
        let mut ranks = vec![0.0; self.values.len()];
        let mut below = 0.0;
        for group in self
            .order
            .chunk_by(|&i, &j| self.values[i] == self.values[j])
        {
            let own: f64 = group.iter().map(|&i| weights[i]).sum();
            for &i in group {
                ranks[i] = below + (own + 1.0) / 2.0;
            }
            below += own;
        }
        ranks
    }
}

impl Pair {
    /// Two vectors of the same length.
    pub fn new(a: Vec<f64>, b: Vec<f64>, kind: Correlation) -> Self {
        let r = kind.of(&a, &b);
        Self {
            a: Column::new(a),
            b: Column::new(b),
            r,
        }
    }

    /// The correlation; where item i stands `weights[i]` times when they are given.
    pub(super) fn value(&self, kind: Correlation, weights: Option<&[f64]>) -> Option<f64> {
        weights.map_or(self.r, |weights| self.weighted(kind, weights))
    }

    /// The correlation where item i stands `weights[i]` times.
    fn weighted(&self, kind: Correlation, weights: &[f64]) -> Option<f64> {
        match kind {
            Correlation::Pearson => weighted_pearson(&self.a.values, &self.b.values, weights),
            Correlation::Spearman => {
                weighted_pearson(&self.a.ranks(weights), &self.b.ranks(weights), weights)
            }
        }
    }
}

fn weighted_pearson(a: &[f64], b: &[f64], weights: &[f64]) -> Option<f64> {
    let total: f64 = weights.iter().sum();
    let mean = |x: &[f64]| x.iter().zip(weights).map(|(x, w)| w * x).sum::<f64>() / total;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for ((a, b), w) in a.iter().zip(b).zip(weights) {
        let (a, b) = (a - mean_a, b - mean_b);
        ab += w * a * b;
        aa += w * a * a;
        bb += w * b * b;
    }
    let r = ab / (aa * bb).sqrt();
    (aa > 0.0 && bb > 0.0 && r.is_finite()).then(|| r.clamp(-1.0, 1.0))
}

/// Mean over the queries; a query is the mean of its pairs (one, or several splits of the same data), or
/// undefined: given as `None`, or because one of its correlations is.
///
/// The interval is the percentile bootstrap over items and defined queries, `None` with fewer than two of
/// either.
pub fn mean_over_queries(
    queries: &[Option<Vec<Pair>>],
    kind: Correlation,
    rng: &mut Rng,
) -> Estimate {
    let values: Vec<Option<f64>> = queries
        .iter()
        .map(|pairs| query_value(pairs.as_ref()?, |pair| pair.r))
        .collect();
    let defined: Vec<&[Pair]> = queries
        .iter()
        .zip(&values)
        .filter(|(_, value)| value.is_some())
        .filter_map(|(pairs, _)| pairs.as_deref())
        .collect();
    let items = defined
        .first()
        .and_then(|pairs| pairs.first())
        .map_or(0, |pair| pair.a.values.len());
    let interval = if defined.len() < 2 || items < 2 {
        None
    } else {
        bootstrap(rng, |rng| {
            let weights = multiplicities(items, rng);
            let drawn = multiplicities(defined.len(), rng);
            let (mut sum, mut count) = (0.0, 0.0);
            for (pairs, times) in defined.iter().zip(drawn).filter(|(_, times)| *times > 0.0) {
                if let Some(r) = query_value(pairs, |pair| pair.weighted(kind, &weights)) {
                    sum += times * r;
                    count += times;
                }
            }
            (count > 0.0).then(|| sum / count)
        })
    };
    Estimate {
        interval,
        ..Estimate::mean(&values)
    }
}

/// The mean over the queries, and `count` resamples of it over items and queries.
///
/// Drawn from `rng` whatever is defined: two methods with the same items and queries are drawn alike, so that the
/// resamples of their difference are the differences of their resamples. A query as of [`mean_over_queries`].
pub fn replicates(
    queries: &[Option<Vec<Pair>>],
    kind: Correlation,
    count: usize,
    rng: &mut Rng,
) -> (Option<f64>, Vec<Option<f64>>) {
    let first = queries.iter().flatten().flatten().next();
    let items = first.map_or(0, |pair| pair.a.values.len());
    let values = queries
        .iter()
        .map(|pairs| query_value(pairs.as_deref()?, |pair| pair.r));
    let values: Vec<Option<f64>> = values.collect();
    let defined: Vec<f64> = values.iter().flatten().copied().collect();
    let resamples = (0..count)
        .map(|_| {
            let weights = multiplicities(items, rng);
            let drawn = multiplicities(queries.len(), rng);
            let (mut sum, mut total) = (0.0, 0.0);
            let all = queries.iter().zip(&values).zip(drawn);
            for ((pairs, value), times) in all.filter(|(_, times)| *times > 0.0) {
                let (Some(pairs), Some(_)) = (pairs, value) else {
                    continue;
                };
                if let Some(r) = query_value(pairs, |pair| pair.weighted(kind, &weights)) {
                    sum += times * r;
                    total += times;
                }
            }
            (total > 0.0).then(|| sum / total)
        })
        .collect();
    (super::interval::mean(&defined), resamples)
}

/// The mean of the correlations of a query, or undefined.
fn query_value(pairs: &[Pair], r: impl Fn(&Pair) -> Option<f64>) -> Option<f64> {
    let rs: Option<Vec<f64>> = pairs.iter().map(r).collect();
    rs.and_then(|rs| super::interval::mean(&rs))
}

/// How often each of `count` things is drawn in `count` draws with replacement.
pub(super) fn multiplicities(count: usize, rng: &mut Rng) -> Vec<f64> {
    let mut times = vec![0.0; count];
    for _ in 0..count {
        times[rng.random_range(0..count)] += 1.0;
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::rank::tests::tied;
    use crate::random::rng;

    #[test]
    fn weights_count_like_repeated_items() {
        let (a, b) = (tied(40, 6, "a"), tied(40, 9, "b"));
        let weights: Vec<f64> = tied(40, 4, "w").iter().map(|w| w + 2.0).collect();
        let repeat = |x: &[f64]| -> Vec<f64> {
            let times = x.iter().zip(&weights);
            times
                .flat_map(|(x, w)| std::iter::repeat_n(*x, *w as usize))
                .collect()
        };
        for kind in [Correlation::Pearson, Correlation::Spearman] {
            let pair = Pair::new(a.clone(), b.clone(), kind);
            let found = pair.weighted(kind, &weights).expect("not constant");
            let expected = kind.of(&repeat(&a), &repeat(&b)).expect("not constant");
            assert!(
                (found - expected).abs() < 1e-12,
                "{kind:?}: {found} {expected}"
            );
        }
    }

    #[test]
    fn undefined_queries_are_counted_and_the_interval_holds_the_value() {
        let kind = Correlation::Spearman;
        let mut queries: Vec<Option<Vec<Pair>>> = (0..20)
            .map(|q| {
                let a = tied(60, 1000, &format!("a{q}"));
                let noise = tied(60, 1000, &format!("n{q}"));
                let b = a.iter().zip(noise).map(|(a, e)| a + e).collect();
                Some(vec![Pair::new(a, b, kind)])
            })
            .collect();
        queries[3] = None;
        queries[4] = Some(vec![Pair::new(vec![1.0; 60], tied(60, 9, "x"), kind)]);
        let run = || mean_over_queries(&queries, kind, &mut rng(1, "hierarchical", "test"));
        let found = run();
        assert_eq!((found.cases, found.undefined), (20, 2));
        // a and a + e with e like a: ρ is near √½ (6/π·asin(√½/2) = 0.69 for normals, 0.70 for uniforms)
        let value = found.value.expect("18 queries");
        assert!((value - 0.7).abs() < 0.05, "{value}");
        let interval = found.interval.expect("18 queries and 60 items");
        assert!(
            interval.low < value && value < interval.high && interval.high - interval.low < 0.2
        );
        assert_eq!(found, run());
        assert_eq!(
            mean_over_queries(&queries[..1], kind, &mut rng(1, "a", "b")).interval,
            None
        );
    }
}
