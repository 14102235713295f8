//! Agreement with retraining along a ladder of scores, and what is lost from rung to rung.
//!
//! A ladder leads from the truth to a method through scores s₁ … s_K. M_j is the agreement of the j-th with the
//! retraining truth (the linear datamodeling score, or leave-one-out's Pearson r), M₀ that of the expected losses
//! themselves: the noise ceiling. Then
//!
//! ```text
//! 1 − M_K = (1 − M₀) + Σ_j (M_{j−1} − M_j):
//! ```
//!
//! the parts add up to the gap of the last scores, whatever the scores between are. All M of a ladder are means over
//! the same queries, those that are defined on every rung. Intervals are percentiles of one hierarchical bootstrap
//! over items (subsets, examples) and queries: a resample draws both once for all rungs of all ladders, so that what
//! two rungs have in common cancels in their difference.

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use super::datamodel::{self, ceiling_rng, from_halves, halves};
use super::hierarchical::{Correlation, Pair, mean_over_queries, multiplicities};
use super::interval::{Interval, RESAMPLES, bootstrap};
use super::leave_one_out::{self, Signal, differences, signal, signals, speaks};
use super::retraining::{LeaveOneOut, Subsets};
use super::value::Estimate;
use crate::random::rng;

/// What retraining found.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// Without one example: Pearson's r.
    LeaveOneOut(&'a LeaveOneOut),
    /// On subsets: Spearman's ρ.
    Subsets(&'a Subsets),
}

/// The first rung of every ladder: the expected losses, which reach the noise ceiling.
pub const CEILING: usize = 0;

/// Rungs, and the truth that they are held against.
#[derive(Debug)]
pub struct Rungs<'a> {
    target: Target<'a>,
    seed: u64,
    rungs: Vec<Rung>,
}

#[derive(Debug)]
struct Rung {
    /// `None` where a query is undefined.
    queries: Vec<Option<Query>>,
    /// Number of seeds, where the mean over queries is the correlation between halves of them.
    halves_of: Option<usize>,
}

/// What a query's agreement is computed from, over the items.
#[derive(Debug)]
enum Query {
    /// The mean of their correlations.
    Pairs(Vec<Pair>),
    /// √(signal/(signal + noise)) of the differences by example and seed.
    Signal(Array2<f64>),
}

impl Query {
    fn value(&self, kind: Correlation, weights: Option<&[f64]>) -> Option<f64> {
        match self {
            Self::Pairs(pairs) => {
                let rs = pairs.iter().map(|pair| pair.value(kind, weights));
                super::interval::mean(&rs.collect::<Option<Vec<f64>>>()?)
            }
            Self::Signal(d) => signal(d.view(), weights).map(|signal| signal.ceiling()),
        }
    }
}

impl Rung {
    fn finish(&self, mean: f64) -> f64 {
        self.halves_of
            .map_or(mean, |seeds| from_halves(mean, seeds))
    }
}

/// The parts of one ladder.
#[derive(Clone, Debug, PartialEq)]
pub struct Ladder {
    /// 1 − M of the last rung.
    pub gap: Estimate,
    /// M of every rung.
    pub agreements: Vec<Estimate>,
    /// What is lost at every rung: 1 − M of the first, then M of the rung before less its own. They add up to the
    /// gap.
    pub losses: Vec<Estimate>,
}

impl<'a> Rungs<'a> {
    /// The ceiling alone; `seed` draws the resamples.
    pub fn new(target: Target<'a>, seed: u64) -> Self {
        let of_pairs = |pairs: Vec<Option<Vec<Pair>>>| -> Vec<Option<Query>> {
            pairs.into_iter().map(|p| p.map(Query::Pairs)).collect()
        };
        let ceiling = match target {
            Target::Subsets(subsets) => Rung {
                queries: of_pairs(halves(subsets, &mut ceiling_rng(subsets, seed))),
                halves_of: Some(subsets.losses.len_of(Axis(1))),
            },
            Target::LeaveOneOut(losses) => {
                let of = |(q, signal): (usize, Option<Signal>)| {
                    speaks(signal, losses).then(|| Query::Signal(differences(losses, q)))
                };
                Rung {
                    queries: signals(losses).into_iter().enumerate().map(of).collect(),
                    halves_of: None,
                }
            }
        };
        Self {
            target,
            seed,
            rungs: vec![ceiling],
        }
    }

    /// A rung of scores `[m, n]`; its number.
    pub fn add(&mut self, scores: ArrayView2<f64>) -> usize {
        self.rungs.push(self.rung(scores));
        self.rungs.len() - 1
    }

    /// Agreement of scores `[m, n]` with the truth, mean over the queries where it is defined: the metric itself.
    pub fn agreement(&self, scores: ArrayView2<f64>) -> Option<f64> {
        let kind = self.kind();
        let values: Vec<f64> = self
            .rung(scores)
            .queries
            .iter()
            .filter_map(|query| query.as_ref()?.value(kind, None))
            .collect();
        super::interval::mean(&values)
    }

    fn rung(&self, scores: ArrayView2<f64>) -> Rung {
        let pairs = match self.target {
            Target::Subsets(subsets) => datamodel::pairs(scores, subsets),
            Target::LeaveOneOut(losses) => leave_one_out::pairs(scores, losses, self.kind()),
        };
        Rung {
            queries: pairs.into_iter().map(|p| p.map(Query::Pairs)).collect(),
            halves_of: None,
        }
    }

    fn kind(&self) -> Correlation {
        match self.target {
            Target::LeaveOneOut(_) => Correlation::Pearson,
            Target::Subsets(_) => Correlation::Spearman,
        }
    }

    fn items(&self) -> usize {
        match self.target {
            Target::LeaveOneOut(losses) => losses.examples.len(),
            Target::Subsets(subsets) => subsets.kept.len(),
        }
    }

    /// Splits the gap of the last rung of each path (numbers of rungs, from the top; [`CEILING`] is the first).
    pub fn ladders(&self, paths: &[Vec<usize>]) -> Vec<Ladder> {
        let kind = self.kind();
        let values = |weights: Option<&[f64]>| -> Vec<Vec<Option<f64>>> {
            let of = |query: &Option<Query>| query.as_ref()?.value(kind, weights);
            let rungs = self.rungs.iter();
            rungs
                .map(|rung| rung.queries.iter().map(of).collect())
                .collect()
        };
        let all = values(None);
        let m = all[CEILING].len();
        // queries that are no part of the question are not drawn either
        let open: Vec<usize> = (0..m).filter(|q| all[CEILING][*q].is_some()).collect();
        let used: Vec<Vec<usize>> = paths
            .iter()
            .map(|path| {
                let defined = |q: &usize| path.iter().all(|rung| all[*rung][*q].is_some());
                open.iter().copied().filter(defined).collect()
            })
            .collect();
        let means = |values: &[Vec<Option<f64>>], times: &[f64]| -> Vec<Option<Vec<f64>>> {
            let of =
                |(path, used): (&Vec<usize>, &Vec<usize>)| self.means(path, used, values, times);
            paths.iter().zip(&used).map(of).collect()
        };
        let found = means(&all, &vec![1.0; m]);
        let mut rng = rng(self.seed, "metrics", "ladder");
        let draws: Vec<(Vec<f64>, Vec<f64>)> = (0..RESAMPLES)
            .map(|_| {
                let weights = multiplicities(self.items(), &mut rng);
                let mut times = vec![0.0; m];
                for (q, drawn) in open.iter().zip(multiplicities(open.len(), &mut rng)) {
                    times[*q] = drawn;
                }
                (weights, times)
            })
            .collect();
        let resampled: Vec<Vec<Option<Vec<f64>>>> = if self.items() < 2 {
            Vec::new()
        } else {
            let one =
                |(weights, times): &(Vec<f64>, Vec<f64>)| means(&values(Some(weights)), times);
            draws.par_iter().map(one).collect()
        };
        let of = |(index, found): (usize, Option<Vec<f64>>)| {
            let (cases, used) = (m, used[index].len());
            let estimate = |number: &dyn Fn(&[f64]) -> f64| Estimate {
                value: found.as_deref().map(number),
                interval: (used > 1)
                    .then(|| percentiles(&resampled, index, number))
                    .flatten(),
                cases,
                undefined: cases - used,
            };
            let rungs = 0..paths[index].len();
            Ladder {
                gap: estimate(&|means| 1.0 - means[means.len() - 1]),
                agreements: rungs.clone().map(|j| estimate(&|means| means[j])).collect(),
                losses: rungs.map(|j| estimate(&|means| lost(means, j))).collect(),
            }
        };
        found.into_iter().enumerate().map(of).collect()
    }

    /// M of the rungs of a path, from the values of the queries and how often each stands.
    fn means(
        &self,
        path: &[usize],
        used: &[usize],
        values: &[Vec<Option<f64>>],
        times: &[f64],
    ) -> Option<Vec<f64>> {
        let mut sums = vec![0.0; path.len()];
        let mut count = 0.0;
        for &q in used.iter().filter(|q| times[**q] > 0.0) {
            let own: Option<Vec<f64>> = path.iter().map(|rung| values[*rung][q]).collect();
            // an undefined rung leaves the query out on all of them
            let Some(own) = own else { continue };
            sums.iter_mut()
                .zip(&own)
                .for_each(|(sum, value)| *sum += times[q] * value);
            count += times[q];
        }
        let finish = |(rung, sum): (&usize, f64)| self.rungs[*rung].finish(sum / count);
        (count > 0.0).then(|| path.iter().zip(sums).map(finish).collect())
    }
}

/// What is lost at rung j.
fn lost(means: &[f64], j: usize) -> f64 {
    let above = if j == 0 { 1.0 } else { means[j - 1] };
    above - means[j]
}

/// The percentile interval of a number of one path.
fn percentiles(
    resampled: &[Vec<Option<Vec<f64>>>],
    path: usize,
    number: &dyn Fn(&[f64]) -> f64,
) -> Option<Interval> {
    let mut next = resampled.iter();
    // the draws are made: nothing is left for a generator to decide
    bootstrap(&mut rng(0, "metrics", "ladder"), |_| {
        next.next()?[path].as_deref().map(number)
    })
}

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

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use rand::RngExt;

    use super::*;

    const M: usize = 7;
    const N: usize = 40;

    fn noise_like(purpose: &str, rows: usize) -> Array2<f64> {
        let mut rng = rng(4, "ladder", purpose);
        Array2::from_shape_fn((rows, N), |_| (rng.random::<f64>() - 0.5) * 12f64.sqrt())
    }

    /// Losses that follow `truth` `[m, n]` additively, with noise of this size by seeds.
    fn subsets(truth: &Array2<f64>, noise: f64, seeds: usize) -> Subsets {
        let keys = noise_like("kept", 60);
        let kept: Vec<Vec<bool>> = keys
            .axis_iter(Axis(0))
            .map(|row| row.iter().map(|key| *key > 0.0).collect())
            .collect();
        let p = datamodel::predicted(truth.view(), &kept);
        let mut rng = rng(4, "ladder", "noise");
        let losses = Array3::from_shape_fn((kept.len(), seeds, M), |(s, _, q)| {
            p[[s, q]] + noise * (rng.random::<f64>() - 0.5)
        });
        Subsets {
            percent: 50,
            kept,
            losses,
        }
    }

    fn leave_one_out(truth: &Array2<f64>, noise: f64) -> LeaveOneOut {
        let mut rng = rng(4, "ladder", "loo");
        let full = Array2::from_shape_fn((3, M), |_| 2.0 + rng.random::<f64>());
        let without = Array3::from_shape_fn((N, 3, M), |(k, s, q)| {
            full[[s, q]] - truth[[q, k]] + noise * (rng.random::<f64>() - 0.5)
        });
        LeaveOneOut {
            examples: (0..N).collect(),
            full,
            without,
            min_snr: 1.0,
        }
    }

    #[test]
    fn the_parts_add_up_to_the_gap_and_the_ends_are_the_metrics() {
        let truth = noise_like("truth", M);
        let near = &truth + &(0.3 * &noise_like("near", M));
        let far = &near + &noise_like("far", M);
        let (subsets, loo) = (subsets(&truth, 3.0, 4), leave_one_out(&truth, 0.5));
        for target in [Target::Subsets(&subsets), Target::LeaveOneOut(&loo)] {
            let mut rungs = Rungs::new(target, 9);
            let path = vec![CEILING, rungs.add(near.view()), rungs.add(far.view())];
            let found = rungs.ladders(&[path.clone(), path[..2].to_vec()]);
            for ladder in &found {
                let sum: f64 = ladder
                    .losses
                    .iter()
                    .map(|l| l.value.expect("defined"))
                    .sum();
                assert!((sum - ladder.gap.value.expect("defined")).abs() < 1e-14);
                assert_eq!((ladder.gap.cases, ladder.gap.undefined), (M, 0));
                for loss in &ladder.losses {
                    let interval = loss.interval.expect("items and queries");
                    let value = loss.value.expect("defined");
                    assert!(interval.low <= value && value <= interval.high, "{loss:?}");
                }
            }
            // the same draws: what two ladders share has the same numbers
            assert_eq!(found[0].losses[..2], found[1].losses[..]);
            let (ceiling, last) = match target {
                Target::Subsets(s) => (
                    datamodel::noise_ceiling(s, 9).ceiling,
                    datamodel::lds(far.view(), s, 9),
                ),
                Target::LeaveOneOut(l) => (
                    leave_one_out::noise_ceiling(l),
                    leave_one_out::correlation(far.view(), l, Correlation::Pearson, 9),
                ),
            };
            for (found, expected) in [
                (&found[0].agreements[0], ceiling),
                (&found[0].agreements[2], last),
            ] {
                let (found, expected) = (found.value.expect("one"), expected.value.expect("one"));
                assert!((found - expected).abs() < 1e-14, "{found} {expected}");
            }
            assert_eq!(rungs.agreement(far.view()), last.value);
            assert_eq!(rungs.ladders(&[path])[0], found[0], "seeded");
        }
    }

    #[test]
    fn pairing_makes_the_interval_of_a_small_switch_small() {
        let truth = noise_like("truth", M);
        let subsets = subsets(&truth, 3.0, 4);
        let mut rungs = Rungs::new(Target::Subsets(&subsets), 1);
        let above = rungs.add((&truth + &noise_like("near", M)).view());
        let below =
            rungs.add((&truth + &noise_like("near", M) + &(0.01 * &noise_like("far", M))).view());
        let found = &rungs.ladders(&[vec![CEILING, above, below]])[0];
        let width = |estimate: &Estimate| {
            let interval = estimate.interval.expect("an interval");
            interval.high - interval.low
        };
        // a hundredth of a standard deviation of noise against the spread of ρ over 60 subsets
        assert!(
            width(&found.losses[2]) < 0.1 * width(&found.agreements[2]),
            "{found:?}"
        );
    }

    #[test]
    fn a_query_that_is_undefined_on_one_rung_is_left_out_on_all() {
        let truth = noise_like("truth", M);
        let subsets = subsets(&truth, 0.0, 2);
        let mut broken = &truth + &noise_like("near", M);
        broken[[3, 0]] = f64::NAN;
        let mut rungs = Rungs::new(Target::Subsets(&subsets), 1);
        let (own, broken) = (rungs.add(truth.view()), rungs.add(broken.view()));
        let undefined = rungs.add(Array2::zeros((M, N)).view());
        let paths = [
            vec![CEILING, own, broken],
            vec![CEILING, own],
            vec![CEILING, own, undefined],
        ];
        let found = rungs.ladders(&paths);
        assert_eq!((found[0].gap.cases, found[0].gap.undefined), (M, 1));
        assert!((found[0].agreements[1].value.expect("six") - 1.0).abs() < 1e-14);
        assert_eq!(found[1].gap.undefined, 0);
        let (none, interval) = (found[2].gap.value, found[2].losses[1].interval);
        assert_eq!((none, interval, found[2].gap.undefined), (None, None, M));
    }

    #[test]
    fn queries_below_the_least_ratio_are_no_part_of_the_question() {
        let mut truth = noise_like("truth", M);
        truth.row_mut(2).fill(0.0);
        let loo = leave_one_out(&truth, 0.5);
        let mut rungs = Rungs::new(Target::LeaveOneOut(&loo), 1);
        let scores = rungs.add(noise_like("near", M).view());
        let found = &rungs.ladders(&[vec![CEILING, scores]])[0];
        assert_eq!((found.gap.cases, found.gap.undefined), (M, 1));
        assert!(found.gap.value.is_some() && found.gap.interval.is_some());
    }

    #[test]
    fn a_switch_that_scales_has_no_size() {
        let scores = noise_like("truth", M);
        let same = switch_size(scores.view(), (3.0 * &scores).view(), 1);
        assert!(same.value.expect("defined").abs() < 1e-14, "{same:?}");
        let other = switch_size(scores.view(), noise_like("near", M).view(), 1);
        let interval = other.interval.expect("an interval");
        assert!(interval.low < 1.0 && interval.high > 1.0, "{other:?}");
    }
}
