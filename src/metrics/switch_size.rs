//! How far one step of a decomposition moves the scores.

use ndarray::{ArrayView2, Axis};

use super::hierarchical::{Correlation, Pair, mean_over_queries};
use super::interval::Interval;
use super::value::Estimate;
use crate::random::rng;

/// How far a switch moves the scores: 1 − Pearson's r between `above` and `below`, both `[m, n]`, over the n
/// examples, mean over queries, with its bootstrap over examples and queries. 0 when they are proportional.
pub fn switch_size(above: ArrayView2<f64>, below: ArrayView2<f64>, seed: u64) -> Estimate {
    let kind = Correlation::Pearson;
    let queries: Vec<_> = above
        .axis_iter(Axis(0))
        .zip(below.axis_iter(Axis(0)))
        .map(|(a, b)| Some(vec![Pair::new(a.to_vec(), b.to_vec(), kind)]))
        .collect();
    let r = mean_over_queries(&queries, kind, &mut rng(seed, "metrics", "switch size"));
    Estimate {
        value: r.value.map(|r| 1.0 - r),
        interval: r.interval.map(|interval| Interval {
            low: 1.0 - interval.high,
            high: 1.0 - interval.low,
        }),
        ..r
    }
}

/// [`switch_size`] between scores `[m, n]` and themselves.
pub fn no_switch(scores: ArrayView2<f64>) -> Estimate {
    let (low, high) = (0.0, 0.0);
    Estimate {
        value: Some(0.0),
        interval: Some(Interval { low, high }),
        cases: scores.len_of(Axis(0)),
        undefined: 0,
    }
}
