//! What a metric returns.

use serde::{Deserialize, Serialize};

/// A metric's value with its 95 % interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricValue {
    /// Name in the metric table, e.g. `pearson`.
    pub metric: String,
    /// The value; `null` when undefined (a constant score, no flipped label, …).
    pub value: Option<f64>,
    /// Lower end of the 95 % interval within this cell; `null` when there is none.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Cases that the value is made of (queries, or 1).
    pub cases: usize,
    /// Cases among them that were undefined and are not in the value.
    pub undefined: usize,
}

/// A curve for a figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Name, e.g. `detection`.
    pub name: String,
    /// Abscissae.
    pub x: Vec<f64>,
    /// Ordinates.
    pub y: Vec<f64>,
}
