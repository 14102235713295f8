//! What retraining found, as plain arrays: the truth that influence is held against.

use ndarray::{Array2, Array3, Axis};

/// Losses after retraining.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retraining {
    /// Without one example.
    pub leave_one_out: Option<LeaveOneOut>,
    /// On random subsets, one entry a share.
    pub subsets: Vec<Subsets>,
}

impl Retraining {
    /// The subsets that keep so many percent.
    pub fn share(&self, percent: u32) -> Option<&Subsets> {
        self.subsets
            .iter()
            .find(|subsets| subsets.percent == percent)
    }
}

/// Losses of m queries with all training examples, and without one.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaveOneOut {
    /// The examples that were left out.
    pub examples: Vec<usize>,
    /// `[seeds, m]`: trained on all.
    pub full: Array2<f64>,
    /// `[examples, seeds, m]`: without the example, with the same seeds.
    pub without: Array3<f64>,
    /// Least ratio of signal to noise.
    pub min_snr: f64,
}

impl LeaveOneOut {
    /// Training examples and queries that do not fit the scores: what, expected, found.
    pub(super) fn misfit(&self, m: usize, n: usize) -> Option<(&'static str, usize, usize)> {
        let (examples, seeds, queries) = self.without.dim();
        let largest = self.examples.iter().max().map_or(0, |largest| largest + 1);
        [
            ("queries of the losses without an example", m, queries),
            (
                "queries of the losses with all examples",
                m,
                self.full.len_of(Axis(1)),
            ),
            ("examples left out", examples, self.examples.len()),
            (
                "seeds of the losses with all examples",
                seeds,
                self.full.len_of(Axis(0)),
            ),
            ("training examples of leave-one-out", n.max(largest), n),
        ]
        .into_iter()
        .find(|(_, expected, found)| expected != found)
    }
}

/// Losses of m queries after training on subsets of n examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Subsets {
    /// Share of the examples that a subset keeps, percent.
    pub percent: u32,
    /// For every subset, which of the n examples it keeps.
    pub kept: Vec<Vec<bool>>,
    /// `[subsets, seeds, m]`; the seeds are the same for all subsets.
    pub losses: Array3<f64>,
}

impl Subsets {
    /// Training examples and queries that do not fit the scores: what, expected, found.
    pub(super) fn misfit(&self, m: usize, n: usize) -> Option<(&'static str, usize, usize)> {
        let (subsets, _, queries) = self.losses.dim();
        let kept = self
            .kept
            .iter()
            .map(|kept| ("training examples of the subsets", n, kept.len()));
        [
            ("queries of the losses on subsets", m, queries),
            ("subsets", subsets, self.kept.len()),
        ]
        .into_iter()
        .chain(kept)
        .find(|(_, expected, found)| expected != found)
    }
}
