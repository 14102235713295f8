//! Metrics: correlation, error, detection, retrieval. Each knows its unit and its direction.
//!
//! Plain slices and views in, [`MetricValue`]s out: nothing here knows a task, a model or a method.
//! One table, [`METRICS`], lists them; [`evaluate`] computes the ones asked for. A NaN or an infinity
//! makes the case it belongs to undefined; undefined cases are counted, never dropped in silence.

pub mod auc;
pub mod average_precision;
pub mod contrast;
pub mod correlation;
pub mod datamodel;
pub mod decomposition;
pub mod detection_curve;
mod evaluate;
pub mod hierarchical;
mod inputs;
pub mod interval;
pub mod ladder;
pub mod leave_one_out;
mod metric;
pub mod overlap;
pub mod paired;
pub mod rank;
pub mod ranking;
pub mod relative_error;
pub mod retraining;
pub mod retrieval;
pub mod slope;
pub mod switch_size;
mod table;
mod value;

pub use evaluate::{MetricsError, evaluate};
pub use inputs::{Inputs, Scores};
pub use table::{Direction, METRICS, Metric, Need, computed, find};
pub use value::{Curve, MetricValue, no_value};
