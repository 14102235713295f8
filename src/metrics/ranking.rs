//! Which methods can be told apart, and which may be the best.
//!
//! Of K methods every pair is compared: the difference d of their values over its standard error against Student's t
//! (of paired differences by seed, S − 1 degrees of freedom) or the normal (within one cell, by [`super::paired`]).
//! The two-sided p-values of all pairs are adjusted together by Holm's step-down (Holm, 1979, *Scand. J. Statist.* 6):
//!
//! ```text
//! p₍₁₎ ≤ … ≤ p₍ₘ₎,   p̃₍ᵢ₎ = max_{j ≤ i} min(1, (m − j + 1) · p₍ⱼ₎)
//! ```
//!
//! A pair is told apart where p̃ ≤ 0.05. Whatever the dependence between pairs, the probability that *any* pair of equal
//! methods is told apart is at most 5 %. Two statements follow with the same 95 %, jointly:
//!
//! - **the best**: the methods that no other is told apart from as better hold every method that is truly best (the
//!   aim of subset selection, Gupta, 1965, and of the model confidence set, Hansen, Lunde and Nason, 2011, here from
//!   one family of pairs, so that it agrees with the ranks);
//! - **ranks**: method i's rank lies between 1 + the methods told apart as better and K − those told apart as worse
//!   (Klein, Wright and Wieczorek, 2020, *J. R. Stat. Soc. A* 183; Mogstad, Romano, Shaikh and Wilhelm, 2024,
//!   *Rev. Econ. Stud.* 91).
//!
//! Why seeds and nothing below them: a seed draws examples, queries, subsets and the fine-tune anew, so the spread of
//! paired differences over seeds holds all of these; to resample queries within the seeds as well would count them
//! twice (Davison and Hinkley, 1997, §3.8). The price is honesty with few seeds: with three, t has two degrees of
//! freedom ([`hurdle`]).

use super::contrast::{Contrast, quantile};
use super::interval::LEVEL;

/// Standard errors that the clearest of all pairs of `methods` has to differ by to be told apart (Holm's first step).
pub fn hurdle(methods: usize, freedom: Option<f64>) -> Option<f64> {
    let pairs = methods * methods.saturating_sub(1) / 2;
    if pairs == 0 {
        return None;
    }
    quantile(1.0 - (1.0 - LEVEL) / (2 * pairs) as f64, freedom)
}

/// Holm's adjusted p-values, in the order given; what has none is no test and gets none.
pub fn holm(p_values: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut order: Vec<usize> = (0..p_values.len())
        .filter(|&i| p_values[i].is_some())
        .collect();
    order.sort_by(|&a, &b| {
        let at = |i: usize| p_values[i].unwrap_or(1.0);
        at(a).total_cmp(&at(b))
    });
    let mut adjusted = vec![None; p_values.len()];
    let mut largest = 0.0f64;
    for (step, &i) in order.iter().enumerate() {
        let own = (order.len() - step) as f64 * p_values[i].unwrap_or(1.0);
        largest = largest.max(own.min(1.0));
        adjusted[i] = Some(largest);
    }
    adjusted
}

/// A difference and its p-value by Holm.
type Pair = (Contrast, Option<f64>);

/// Methods compared with one another.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Of each pair (i, j): value of i less that of j, and Holm's p; `None` where it is not known, and for i = j.
    pairs: Vec<Vec<Option<Pair>>>,
    /// Methods with a value.
    present: Vec<bool>,
    higher: bool,
}

impl Ranking {
    /// Compares `count` methods; `contrast(i, j)` with j < i is the value of i less that of j. A method of which no
    /// contrast is known has no rank. `higher`: whether higher values are better.
    pub fn new(
        count: usize,
        higher: bool,
        contrast: impl Fn(usize, usize) -> Option<Contrast>,
    ) -> Self {
        let at: Vec<(usize, usize)> = (0..count)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .collect();
        let found: Vec<Option<Contrast>> = at.iter().map(|&(i, j)| contrast(i, j)).collect();
        let p_values: Vec<Option<f64>> = found
            .iter()
            .map(|c| c.as_ref().and_then(Contrast::p_value))
            .collect();
        let adjusted = holm(&p_values);
        let mut pairs = vec![vec![None; count]; count];
        let mut present = vec![false; count];
        for ((&(i, j), contrast), p) in at.iter().zip(found).zip(adjusted) {
            let Some(contrast) = contrast else { continue };
            (present[i], present[j]) = (true, true);
            pairs[i][j] = Some((contrast, p));
            pairs[j][i] = Some((contrast.reversed(), p));
        }
        Self {
            pairs,
            present,
            higher,
        }
    }

    /// Methods that are ranked.
    pub fn count(&self) -> usize {
        self.present.iter().filter(|present| **present).count()
    }

    /// Whether a method is ranked.
    pub fn has(&self, method: usize) -> bool {
        self.present[method]
    }

    /// Value of `method` less that of `other`.
    pub fn contrast(&self, method: usize, other: usize) -> Option<Contrast> {
        self.pairs[method][other].map(|(contrast, _)| contrast)
    }

    /// Holm's p-value of a pair.
    pub fn adjusted(&self, method: usize, other: usize) -> Option<f64> {
        self.pairs[method][other].and_then(|(_, p)| p)
    }

    /// Whether any pair has a p-value: without, nothing can be told apart by the nature of the data.
    pub fn can_tell(&self) -> bool {
        self.pairs
            .iter()
            .flatten()
            .flatten()
            .any(|(_, p)| p.is_some())
    }

    /// Pairs that are told apart.
    pub fn told_apart(&self) -> usize {
        let methods = 0..self.present.len();
        let beaten = |i: usize| methods.clone().filter(|&j| self.beats(i, j)).count();
        methods.clone().map(beaten).sum()
    }

    /// Whether `method` is told apart from `other` as better.
    pub fn beats(&self, method: usize, other: usize) -> bool {
        self.pairs[method][other].is_some_and(|(contrast, p)| {
            let better = if self.higher {
                contrast.difference > 0.0
            } else {
                contrast.difference < 0.0
            };
            better && p.is_some_and(|p| p <= 0.05)
        })
    }

    /// First and last possible rank; `None` where nothing can be told.
    pub fn ranks(&self, method: usize) -> Option<(usize, usize)> {
        if !self.has(method) || !self.can_tell() {
            return None;
        }
        let others = 0..self.present.len();
        let better = others.clone().filter(|&o| self.beats(o, method)).count();
        let worse = others.filter(|&o| self.beats(method, o)).count();
        Some((1 + better, self.count() - worse))
    }

    /// Whether no other method that `counts` is told apart from it as better.
    pub fn may_be_best(&self, method: usize, counts: impl Fn(usize) -> bool) -> bool {
        let mut others = (0..self.present.len()).filter(|other| counts(*other));
        self.has(method) && !others.any(|other| self.beats(other, method))
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::metrics::paired::Difference;
    use crate::random::{Rng, rng};

    fn normal(rng: &mut Rng) -> f64 {
        let u: f64 = rng.random::<f64>().max(1e-300);
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * rng.random::<f64>()).cos()
    }

    /// Values by seed and method.
    fn by_seeds(values: &[Vec<f64>]) -> Ranking {
        Ranking::new(values[0].len(), true, |i, j| {
            let d: Vec<f64> = values.iter().map(|row| row[i] - row[j]).collect();
            Contrast::of_seeds(&d)
        })
    }

    #[test]
    fn holm_equals_r() {
        // R 4: p.adjust(c(.01, .04, .03, .005), "holm")
        let found = holm(&[Some(0.01), Some(0.04), None, Some(0.03), Some(0.005)]);
        let expected = [Some(0.03), Some(0.06), None, Some(0.06), Some(0.02)];
        for (found, expected) in found.iter().zip(expected) {
            let near = |a: f64, b: f64| (a - b).abs() < 1e-15;
            assert!(match (found, expected) {
                (Some(a), Some(b)) => near(*a, b),
                (a, b) => a.is_none() && b.is_none(),
            });
        }
    }

    #[test]
    fn the_hurdle_is_that_of_the_tables() {
        // two degrees of freedom, three pairs: t at 1 − 0.05/6
        let t = hurdle(3, Some(2.0)).expect("three pairs");
        assert!((t - 7.648_9).abs() < 1e-3, "{t}");
        assert_eq!(hurdle(1, None), None);
    }

    /// Shares of repetitions in which a truly best method is left out of the set, and in which a rank is missed.
    fn errors(means: &[f64], seeds: usize, draw: impl Fn(&mut Rng) -> f64) -> (f64, f64) {
        const REPETITIONS: usize = 600;
        let best = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut left_out, mut missed) = (0, 0);
        for repetition in 0..REPETITIONS {
            let mut rng = rng(repetition as u64, "ranking", "coverage");
            let values: Vec<Vec<f64>> = (0..seeds)
                .map(|_| {
                    // what all methods of a seed share, and noise that grows with the method
                    let shared = 10.0 * normal(&mut rng);
                    let own = means.iter().enumerate();
                    own.map(|(i, mean)| mean + shared + (1.0 + i as f64) * draw(&mut rng))
                        .collect()
                })
                .collect();
            let ranking = by_seeds(&values);
            let is_best = |i: usize| means[i] == best;
            left_out += usize::from(
                (0..means.len()).any(|i| is_best(i) && !ranking.may_be_best(i, |_| true)),
            );
            missed += usize::from((0..means.len()).any(|i| {
                let (low, high) = ranking.ranks(i).expect("two seeds or more");
                let above = means.iter().filter(|m| **m > means[i]).count();
                let below = means.iter().filter(|m| **m < means[i]).count();
                low > 1 + above || high < means.len() - below
            }));
        }
        let share = |count: usize| count as f64 / REPETITIONS as f64;
        (share(left_out), share(missed))
    }

    #[test]
    fn the_set_holds_all_the_best_and_the_ranks_are_right_in_95_of_100() {
        // of 600 repetitions a share of 5 % varies by 0.9 %: three deviations
        const MOST: f64 = 0.05 + 3.0 * 0.009;
        for seeds in [3, 6, 20] {
            for means in [&[0.0; 5][..], &[1.0, 1.0, 1.0, 0.0, -3.0], &[0.0, 4.0, 2.0]] {
                let (left_out, missed) = errors(means, seeds, normal);
                assert!(left_out <= MOST, "{seeds} seeds, {means:?}: {left_out}");
                assert!(missed <= MOST, "{seeds} seeds, {means:?}: {missed}");
            }
        }
        // skewed noise, twenty seeds
        let skewed = |rng: &mut Rng| -rng.random::<f64>().max(1e-12).ln() - 1.0;
        let (left_out, missed) = errors(&[0.0; 4], 20, skewed);
        assert!(left_out <= MOST && missed <= MOST, "{left_out} {missed}");
    }

    #[test]
    fn a_clear_winner_is_alone_and_exact_ties_stay() {
        let mut rng = rng(1, "ranking", "planted");
        let values: Vec<Vec<f64>> = (0..6)
            .map(|_| {
                let mut own = |mean: f64| mean + 0.05 * normal(&mut rng);
                let (a, b) = (own(0.9), own(0.5));
                // twins of the winner are never told apart
                vec![a, b, own(0.1), a]
            })
            .collect();
        let ranking = by_seeds(&values);
        let best: Vec<bool> = (0..4).map(|i| ranking.may_be_best(i, |_| true)).collect();
        assert_eq!(best, [true, false, false, true]);
        assert_eq!(ranking.ranks(0), Some((1, 2)));
        assert_eq!(ranking.ranks(1), Some((3, 3)));
        assert_eq!(ranking.ranks(2), Some((4, 4)));
        assert_eq!(ranking.adjusted(0, 3), Some(1.0));
        let alone = by_seeds(
            &values
                .iter()
                .map(|row| row[..3].to_vec())
                .collect::<Vec<_>>(),
        );
        let best: Vec<bool> = (0..3).map(|i| alone.may_be_best(i, |_| true)).collect();
        assert_eq!(best, [true, false, false]);
    }

    #[test]
    fn what_is_undefined_has_no_rank_and_one_seed_tells_nothing() {
        let known = [Some(0.9), None, Some(0.2)];
        let ranking = Ranking::new(3, true, |i, j| {
            let d = known[i]? - known[j]?;
            Contrast::of_seeds(&[d, d + 0.01, d - 0.01, d + 0.02])
        });
        assert_eq!((ranking.count(), ranking.has(1)), (2, false));
        assert_eq!((ranking.ranks(0), ranking.ranks(1)), (Some((1, 1)), None));
        assert!(!ranking.may_be_best(1, |_| true));
        let one = Ranking::new(2, true, |_, _| Contrast::of_seeds(&[0.5]));
        assert_eq!((one.can_tell(), one.ranks(0)), (false, None));
        assert!(one.may_be_best(0, |_| true) && one.may_be_best(1, |_| true));
        // within a cell the normal distribution serves; lower may be better
        let lower = Ranking::new(2, false, |_, _| {
            Contrast::of_cell(Difference {
                value: Some(0.5),
                error: Some(0.1),
            })
        });
        assert_eq!(
            (lower.ranks(0), lower.ranks(1)),
            (Some((1, 1)), Some((2, 2)))
        );
    }
}
