//! What metrics are computed from.

use ndarray::{ArrayView1, ArrayView2};

use super::retraining::Retraining;

/// Influence scores; positive = harmful.
#[derive(Clone, Copy, Debug)]
pub struct Scores<'a> {
    /// `[m, n]`: one row a query.
    pub per_query: ArrayView2<'a, f64>,
    /// `[n]`: for the mean of the query losses.
    pub mean_query: ArrayView1<'a, f64>,
}

/// What metrics are computed from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The method's scores.
    pub scores: Scores<'a>,
    /// The exact scores, of the same shapes.
    pub exact: Option<Scores<'a>>,
    /// Exact scores of the queries at the default damping, `[m, n]`.
    pub exact_at_default: Option<ArrayView2<'a, f64>>,
    /// For each of the n training examples, whether its label was flipped.
    pub flipped: Option<&'a [bool]>,
    /// Class of each of the n training examples.
    pub train_classes: Option<&'a [usize]>,
    /// Class of each of the m queries.
    pub query_classes: Option<&'a [usize]>,
    /// Losses of the m queries after retraining on parts of the n examples.
    pub retraining: Option<&'a Retraining>,
    /// Seeds the bootstrap intervals.
    pub seed: u64,
}
