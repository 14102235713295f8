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
use super::hierarchical::{Correlation, Pair, multiplicities};
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

#[cfg(test)]
mod tests;
