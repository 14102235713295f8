//! What a record says of retraining.

use serde::{Deserialize, Serialize};

use crate::metrics::decomposition::DecompositionInfo;
use crate::metrics::{Curve, MetricValue};

/// What retraining found, whatever the method.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroundTruthInfo {
    /// Wall time of the retrainings that do not depend on a method and were not in the cache.
    pub seconds: f64,
    /// Without one example.
    pub leave_one_out: Option<LeaveOneOutInfo>,
    /// On random subsets, one entry a share.
    pub subsets: Vec<SubsetInfo>,
    /// Selection and removal with all examples and with random choices; those of a method stand with it.
    pub curves: Vec<Curve>,
    /// The gaps between methods and retraining, in parts; not there when the settings ask for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decomposition: Option<DecompositionInfo>,
}

/// Retraining without one example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeaveOneOutInfo {
    /// Examples left out.
    pub examples: usize,
    /// Retrainings without each.
    pub seeds: usize,
    /// Least ratio of signal to noise of a query.
    pub min_snr: f64,
    /// Ratio of signal to noise (variances) of every query; `null` where there is no noise at all.
    pub snr: Vec<Option<f64>>,
    /// Correlation that the expected truth has with the measured one, mean over queries.
    pub ceiling: MetricValue,
}

/// Retraining on random subsets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubsetInfo {
    /// Share of the examples that a subset keeps, percent.
    pub percent: u32,
    /// Subsets.
    pub subsets: usize,
    /// Retrainings on each.
    pub seeds: usize,
    /// Spearman's ρ over subsets between the mean losses of two halves of the seeds.
    pub split_half: MetricValue,
    /// The score that a method would have that predicts every expected loss.
    pub ceiling: MetricValue,
}
