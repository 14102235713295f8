//! The one listing of metrics: command line, axis labels, table headers and settings checks read it.

use super::hierarchical::Correlation;
use super::inputs::Inputs;
use super::value::Estimate;
use super::{
    auc, average_precision, correlation, datamodel, leave_one_out, overlap, relative_error,
    retrieval,
};

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

/// The metric of that name.
pub fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

/// The metrics that settings may ask for.
pub fn computed() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(|metric| metric.is_computed())
}

const SHARE: (Option<f64>, Option<f64>) = (Some(0.0), Some(1.0));
const CORRELATION: (Option<f64>, Option<f64>) = (Some(-1.0), Some(1.0));
const POSITIVE: (Option<f64>, Option<f64>) = (Some(0.0), None);

/// All metrics, in the order in which they are listed and tabulated.
pub static METRICS: &[Metric] = &[
    Metric {
        name: "pearson",
        title: "Pearson r with exact",
        unit: "",
        direction: Direction::Higher,
        needs: &[Need::Exact],
        range: CORRELATION,
        summary: "Pearson's r with the exact scores, mean over queries (t-interval)",
        compute: Some(|i| {
            Some(correlation::mean_over_queries(
                i.scores.per_query,
                i.exact?.per_query,
                correlation::pearson,
            ))
        }),
    },
    Metric {
        name: "spearman",
        title: "Spearman ρ with exact",
        unit: "",
        direction: Direction::Higher,
        needs: &[Need::Exact],
        range: CORRELATION,
        summary: "Spearman's ρ with the exact scores, mean over queries (t-interval)",
        compute: Some(|i| {
            Some(correlation::mean_over_queries(
                i.scores.per_query,
                i.exact?.per_query,
                correlation::spearman,
            ))
        }),
    },
    Metric {
        name: "pearson_mean_query",
        title: "Pearson r with exact, mean query",
        unit: "",
        direction: Direction::Higher,
        needs: &[Need::Exact],
        range: CORRELATION,
        summary: "Pearson's r with the exact scores of the mean query loss (Fisher's z-interval)",
        compute: Some(|i| {
            Some(correlation::pearson_single(
                &i.scores.mean_query.to_vec(),
                &i.exact?.mean_query.to_vec(),
            ))
        }),
    },
    Metric {
        name: "spearman_mean_query",
        title: "Spearman ρ with exact, mean query",
        unit: "",
        direction: Direction::Higher,
        needs: &[Need::Exact],
        range: CORRELATION,
        summary: "Spearman's ρ with the exact scores of the mean query loss (Fisher's z-interval)",
        compute: Some(|i| {
            Some(correlation::spearman_single(
                &i.scores.mean_query.to_vec(),
                &i.exact?.mean_query.to_vec(),
            ))
        }),
    },
    Metric {
        name: "relative_error",
        title: "Relative error",
        unit: "",
        direction: Direction::Lower,
        needs: &[Need::Exact],
        range: POSITIVE,
        summary: "‖S − S_exact‖/‖S_exact‖ in the Frobenius norm over all queries (bootstrap over queries)",
        compute: Some(|i| {
            Some(relative_error::relative_error(
                i.scores.per_query,
                i.exact?.per_query,
                i.seed,
            ))
        }),
    },
    Metric {
        name: "relative_error_mean_query",
        title: "Relative error, mean query",
        unit: "",
        direction: Direction::Lower,
        needs: &[Need::Exact],
        range: POSITIVE,
        summary: "‖s − s_exact‖/‖s_exact‖ of the mean query loss (no interval within a cell)",
        compute: Some(|i| {
            let value = relative_error::relative_error_single(
                &i.scores.mean_query.to_vec(),
                &i.exact?.mean_query.to_vec(),
            );
            Some(Estimate::single(value, None))
        }),
    },
    Metric {
        name: "top_k_overlap",
        title: "Overlap of the top 10 %",
        unit: "",
        direction: Direction::Higher,
        needs: &[Need::Exact],
        range: SHARE,
        summary: "share of the 10 % most harmful examples by the exact scores that the method ranks in its own 10 %, mean over queries (t-interval)",
        compute: Some(|i| {
            Some(overlap::mean_over_queries(
                i.scores.per_query,
                i.exact?.per_query,
            ))
        }),
    },
    Metric {
        name: "pearson_default_damping",
        title: "Pearson r with exact at c = 0.1",
        unit: "",
        direction: Direction::Higher,
        needs: &[Need::ExactAtDefault],
        range: CORRELATION,
        summary: "Pearson's r with the exact scores at the default damping c = 0.1, whatever the cell's damping, mean over queries (t-interval); costs a second exact solution, so it is taken only when asked for by name",
        compute: Some(|i| {
            Some(correlation::mean_over_queries(
                i.scores.per_query,
                i.exact_at_default?,
                correlation::pearson,
            ))
        }),
    },
    Metric {
        name: "detection_auc",
        title: "Detection AUC",
        unit: "",
        direction: Direction::Higher,
        needs: &[Need::Flipped],
        range: SHARE,
        summary: "AUC of the mean query's influence against flipped labels (DeLong's interval)",
        compute: Some(|i| {
            let flipped = i.flipped?;
            Some(
                match auc::auc_delong(&i.scores.mean_query.to_vec(), flipped) {
                    Some((value, interval)) => Estimate::single(Some(value), interval),
                    None => Estimate::single(None, None),
                },
            )
        }),
    },
    Metric {
        name: "detection_average_precision",
        title: "Detection average precision",
        unit: "",
        direction: Direction::Higher,
        needs: &[Need::Flipped],
        range: SHARE,
        summary: "average precision of the mean query's influence against flipped labels (stratified bootstrap)",
        compute: Some(|i| {
            let flipped = i.flipped?;
            Some(
                match average_precision::average_precision_bootstrap(
                    &i.scores.mean_query.to_vec(),
                    flipped,
                    i.seed,
                ) {
                    Some((value, interval)) => Estimate::single(Some(value), interval),
                    None => Estimate::single(None, None),
                },
            )
        }),
    },
    Metric {
        name: "class_auc",
        title: "Class AUC",
        unit: "",
        direction: Direction::Higher,
        needs: &[Need::Classes],
        range: SHARE,
        summary: "AUC of the negated influence against \"same class as the query\", mean over queries (t-interval)",
        compute: Some(|i| {
            let (train, query) = (i.train_classes?, i.query_classes?);
            Some(retrieval::mean_over_queries(
                i.scores.per_query,
                train,
                query,
                retrieval::class_auc,
            ))
        }),
    },
    Metric {
        name: "class_recall",
        title: "Class recall",
        unit: "",
        direction: Direction::Higher,
        needs: &[Need::Classes],
        range: SHARE,
        summary: "share of same-class examples among the s most negative, s being their number, mean over queries (t-interval)",
        compute: Some(|i| {
            let (train, query) = (i.train_classes?, i.query_classes?);
            Some(retrieval::mean_over_queries(
                i.scores.per_query,
                train,
                query,
                retrieval::class_recall,
            ))
        }),
    },
    retrained(
        "loo_pearson",
        "LOO Pearson r",
        &[Need::LeaveOneOut],
        "Pearson's r of the influence with the loss that leaving an example out saves, mean over queries; undefined where noise exceeds signal (bootstrap over examples and queries)",
        |i| {
            Some(leave_one_out::correlation(
                i.scores.per_query,
                i.retraining?.leave_one_out.as_ref()?,
                Correlation::Pearson,
                i.seed,
            ))
        },
    ),
    retrained(
        "loo_spearman",
        "LOO Spearman ρ",
        &[Need::LeaveOneOut],
        "Spearman's ρ of the influence with the loss that leaving an example out saves, mean over queries; undefined where noise exceeds signal (bootstrap over examples and queries)",
        |i| {
            Some(leave_one_out::correlation(
                i.scores.per_query,
                i.retraining?.leave_one_out.as_ref()?,
                Correlation::Spearman,
                i.seed,
            ))
        },
    ),
    retrained(
        "lds_50",
        "LDS at 50 %",
        &[Need::Subsets(50)],
        LDS_SUMMARIES[0],
        |i| datamodel_at(i, 50),
    ),
    retrained(
        "lds_90",
        "LDS at 90 %",
        &[Need::Subsets(90)],
        LDS_SUMMARIES[1],
        |i| datamodel_at(i, 90),
    ),
    retrained(
        "lds_99",
        "LDS at 99 %",
        &[Need::Subsets(99)],
        LDS_SUMMARIES[2],
        |i| datamodel_at(i, 99),
    ),
    measured(
        "prepare_seconds",
        "Prepare time",
        "s",
        "wall time of the query-independent work",
    ),
    measured(
        "apply_seconds",
        "Apply time",
        "s",
        "wall time of (F+λI)⁻¹ on all queries",
    ),
    measured(
        "score_seconds",
        "Score time",
        "s",
        "wall time of the contraction with the training gradients",
    ),
    measured(
        "total_seconds",
        "Runtime",
        "s",
        "sum of prepare, apply and score; gradients are not in it",
    ),
    measured(
        "peak_bytes",
        "Peak memory",
        "bytes",
        "largest of the stages, above what was resident before",
    ),
];

const LDS_SUMMARIES: [&str; 3] = [
    "linear datamodeling score: Spearman's ρ of the summed influence of a random half of the examples with the loss after training on it, mean over queries (bootstrap over subsets and queries)",
    "the linear datamodeling score for random subsets of 90 % of the examples (see lds_50)",
    "the linear datamodeling score for random subsets of 99 % of the examples (see lds_50)",
];

fn datamodel_at(inputs: &Inputs, percent: u32) -> Option<Estimate> {
    let subsets = inputs.retraining?.share(percent)?;
    Some(datamodel::lds(
        inputs.scores.per_query,
        subsets,
        inputs.seed,
    ))
}

const fn retrained(
    name: &'static str,
    title: &'static str,
    needs: &'static [Need],
    summary: &'static str,
    compute: fn(&Inputs) -> Option<Estimate>,
) -> Metric {
    Metric {
        name,
        title,
        unit: "",
        direction: Direction::Higher,
        needs,
        range: CORRELATION,
        summary,
        compute: Some(compute),
    }
}

const fn measured(
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    summary: &'static str,
) -> Metric {
    Metric {
        name,
        title,
        unit,
        direction: Direction::Lower,
        needs: &[],
        range: POSITIVE,
        summary,
        compute: None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let names: HashSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        assert_eq!(
            find("pearson").expect("listed").label(),
            "Pearson r with exact"
        );
        assert_eq!(
            find("total_seconds").expect("listed").label(),
            "Runtime (s)"
        );
        assert!(find("nothing").is_none());
        assert_eq!(computed().count() + 5, METRICS.len());
    }
}
