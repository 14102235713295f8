//! What a metric returns.

use serde::{Deserialize, Serialize};

use super::interval::{Interval, t_interval};

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
    /// Cases that the value is made of (queries, or 1); 0 when the metric does not apply to the cell.
    pub cases: usize,
    /// Cases among them that were undefined and are not in the value.
    pub undefined: usize,
}

/// A metric that could not be taken.
pub fn no_value(metric: &str) -> MetricValue {
    Estimate::default().named(metric, (None, None))
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

/// A value and its interval before they carry a metric's name.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// The value; `None` when undefined.
    pub value: Option<f64>,
    /// Its 95 % interval.
    pub interval: Option<Interval>,
    /// Cases that it is made of.
    pub cases: usize,
    /// Undefined cases among them.
    pub undefined: usize,
}

impl Estimate {
    /// The mean over the defined cases with its t-interval; the others are counted.
    pub fn mean(cases: &[Option<f64>]) -> Self {
        let defined: Vec<f64> = cases
            .iter()
            .flatten()
            .copied()
            .filter(|value| value.is_finite())
            .collect();
        let value =
            (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64);
        Self {
            value,
            interval: t_interval(&defined),
            cases: cases.len(),
            undefined: cases.len() - defined.len(),
        }
    }

    /// One case with an interval of its own.
    pub fn single(value: Option<f64>, interval: Option<Interval>) -> Self {
        let value = value.filter(|value| value.is_finite());
        Self {
            value,
            interval: value.and(interval),
            cases: 1,
            undefined: usize::from(value.is_none()),
        }
    }

    /// Names the estimate and keeps its interval within the metric's range: the t and normal
    /// intervals know nothing of it.
    pub fn named(self, metric: &str, range: (Option<f64>, Option<f64>)) -> MetricValue {
        let clamp = |x: f64| {
            x.max(range.0.unwrap_or(f64::NEG_INFINITY))
                .min(range.1.unwrap_or(f64::INFINITY))
        };
        let interval = self
            .interval
            .filter(|interval| interval.low.is_finite() && interval.high.is_finite());
        MetricValue {
            metric: metric.to_owned(),
            value: self.value,
            low: interval.map(|interval| clamp(interval.low)),
            high: interval.map(|interval| clamp(interval.high)),
            cases: self.cases,
            undefined: self.undefined,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undefined_cases_are_counted_and_not_averaged() {
        let estimate = Estimate::mean(&[Some(1.0), None, Some(3.0), Some(f64::NAN)]);
        assert_eq!(
            (estimate.value, estimate.cases, estimate.undefined),
            (Some(2.0), 4, 2)
        );
        let nothing = Estimate::mean(&[None, None]).named("pearson", (None, None));
        assert_eq!(
            (nothing.value, nothing.low, nothing.undefined),
            (None, None, 2)
        );
    }

    #[test]
    fn intervals_stay_within_the_range() {
        let value =
            Estimate::mean(&[Some(0.9), Some(1.0)]).named("pearson", (Some(-1.0), Some(1.0)));
        assert_eq!(value.high, Some(1.0));
        assert!(value.low.expect("two cases have an interval") < 0.9);
    }
}
