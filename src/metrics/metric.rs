//! What is known of a metric: its names, unit, direction, range, and what it is computed from.

use super::inputs::Inputs;
use super::value::Estimate;

/// From 0 on, without a bound.
pub(super) const POSITIVE: (Option<f64>, Option<f64>) = (Some(0.0), None);

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Larger is better.
    Higher,
    /// Smaller is better.
    Lower,
    /// Neither.
    None,
}

/// What a metric needs to know beside the scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The exact scores.
    Exact,
    /// The exact scores at the default damping, whatever the cell's: taken only when it is asked for by name.
    ExactAtDefault,
    /// Which training labels were flipped.
    Flipped,
    /// The classes of training and query examples.
    Classes,
    /// That the examples are images.
    Images,
    /// Losses after retraining without an example.
    LeaveOneOut,
    /// Losses after retraining on subsets that keep so many percent.
    Subsets(u32),
}

impl Need {
    /// As a reader would say it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Exact => "exact scores",
            Self::ExactAtDefault => "exact scores at the default damping (when asked for by name)",
            Self::Flipped => "flipped labels",
            Self::Classes => "classes",
            Self::Images => "images",
            Self::LeaveOneOut => "retraining without an example",
            Self::Subsets(_) => "retraining on subsets",
        }
    }
}

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Name in settings and records.
    pub name: &'static str,
    /// Title for axes and table headers.
    pub title: &'static str,
    /// Unit; empty for pure numbers.
    pub unit: &'static str,
    /// Which way is better.
    pub direction: Direction,
    /// What it needs.
    pub needs: &'static [Need],
    /// Smallest and largest possible value.
    pub range: (Option<f64>, Option<f64>),
    /// One sentence.
    pub summary: &'static str,
    /// How it is computed; `None` for what the runner measures itself (time and memory).
    pub(super) compute: Option<fn(&Inputs) -> Option<Estimate>>,
}

impl Metric {
    /// Title and unit, for an axis: `Runtime (s)`.
    pub fn label(&self) -> String {
        if self.unit.is_empty() {
            self.title.to_owned()
        } else {
            format!("{} ({})", self.title, self.unit)
        }
    }

    /// Whether it says something about a method: exact influence, where it is the reference, is not compared with
    /// itself.
    pub fn compares(&self, is_reference: bool) -> bool {
        !(is_reference && self.needs.contains(&Need::Exact))
    }

    /// Whether it asks how near or how cheap an approximation of influence is, and not what any scores find: of these a
    /// control may be listed, but is never the best.
    pub fn is_of_approximations(&self) -> bool {
        let exact = |need: &Need| matches!(need, Need::Exact | Need::ExactAtDefault);
        !self.is_computed() || self.needs.iter().any(exact)
    }

    /// Whether it is positive without a bound (time, memory, relative error): means and differences are then those of
    /// the logarithms, as long as no value is 0.
    pub fn is_factor(&self) -> bool {
        self.range == POSITIVE
    }

    /// Whether [`super::evaluate`] computes it; the others are measured in every run.
    pub fn is_computed(&self) -> bool {
        self.compute.is_some()
    }
}
