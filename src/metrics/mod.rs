//! Metrics: correlation, error, detection, retrieval. Each knows its unit and its direction.
//!
//! Nothing here knows a task, a model or a method.

mod value;

pub use value::{Curve, MetricValue};
