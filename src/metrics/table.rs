//! The one listing of metrics, which the command line, axes of figures, headers of tables and checks of settings read.

use super::hierarchical::Correlation;
use super::inputs::Inputs;
use super::metric::POSITIVE;
pub use super::metric::{Direction, Metric, Need};
use super::value::Estimate;
use super::{
    auc, average_precision, correlation, datamodel, leave_one_out, overlap, relative_error,
    retrieval,
};

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
/// All metrics, in the order in which they are listed and tabulated.
pub static METRICS: &[Metric] = &[
    higher(
        "pearson",
        "Pearson r with exact",
        &[Need::Exact],
        CORRELATION,
        "Pearson's r with the exact scores, mean over queries (t-interval)",
        |i| {
            Some(correlation::mean_over_queries(
                i.scores.per_query,
                i.exact?.per_query,
                correlation::pearson,
            ))
        },
    ),
    higher(
        "spearman",
        "Spearman ρ with exact",
        &[Need::Exact],
        CORRELATION,
        "Spearman's ρ with the exact scores, mean over queries (t-interval)",
        |i| {
            Some(correlation::mean_over_queries(
                i.scores.per_query,
                i.exact?.per_query,
                correlation::spearman,
            ))
        },
    ),
    higher(
        "pearson_mean_query",
        "Pearson r with exact, mean query",
        &[Need::Exact],
        CORRELATION,
        "Pearson's r with the exact scores of the mean query loss (Fisher's z-interval)",
        |i| {
            Some(correlation::pearson_single(
                &i.scores.mean_query.to_vec(),
                &i.exact?.mean_query.to_vec(),
            ))
        },
    ),
    higher(
        "spearman_mean_query",
        "Spearman ρ with exact, mean query",
        &[Need::Exact],
        CORRELATION,
        "Spearman's ρ with the exact scores of the mean query loss (Fisher's z-interval)",
        |i| {
            Some(correlation::spearman_single(
                &i.scores.mean_query.to_vec(),
                &i.exact?.mean_query.to_vec(),
            ))
        },
    ),
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
    higher(
        "top_k_overlap",
        "Overlap of the top 10 %",
        &[Need::Exact],
        SHARE,
        "share of the 10 % most harmful examples by the exact scores that the method ranks in its own 10 %, mean over queries (t-interval)",
        |i| {
            Some(overlap::mean_over_queries(
                i.scores.per_query,
                i.exact?.per_query,
            ))
        },
    ),
    higher(
        "pearson_default_damping",
        "Pearson r with exact at c = 0.1",
        &[Need::ExactAtDefault],
        CORRELATION,
        "Pearson's r with the exact scores at the default damping c = 0.1, whatever the cell's damping, mean over queries (t-interval); costs a second exact solution, so it is taken only when asked for by name",
        |i| {
            Some(correlation::mean_over_queries(
                i.scores.per_query,
                i.exact_at_default?,
                correlation::pearson,
            ))
        },
    ),
    higher(
        "detection_auc",
        "Detection AUC",
        &[Need::Flipped],
        SHARE,
        "AUC of the mean query's influence against flipped labels (DeLong's interval)",
        |i| {
            let flipped = i.flipped?;
            Some(
                match auc::auc_delong(&i.scores.mean_query.to_vec(), flipped) {
                    Some((value, interval)) => Estimate::single(Some(value), interval),
                    None => Estimate::single(None, None),
                },
            )
        },
    ),
    higher(
        "detection_average_precision",
        "Detection average precision",
        &[Need::Flipped],
        SHARE,
        "average precision of the mean query's influence against flipped labels (stratified bootstrap)",
        |i| {
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
        },
    ),
    higher(
        "class_auc",
        "Class AUC",
        &[Need::Classes],
        SHARE,
        "AUC of the negated influence against \"same class as the query\", mean over queries (t-interval)",
        |i| {
            let (train, query) = (i.train_classes?, i.query_classes?);
            Some(retrieval::mean_over_queries(
                i.scores.per_query,
                train,
                query,
                retrieval::class_auc,
            ))
        },
    ),
    higher(
        "class_recall",
        "Class recall",
        &[Need::Classes],
        SHARE,
        "share of same-class examples among the s most negative, s being their number, mean over queries (t-interval)",
        |i| {
            let (train, query) = (i.train_classes?, i.query_classes?);
            Some(retrieval::mean_over_queries(
                i.scores.per_query,
                train,
                query,
                retrieval::class_recall,
            ))
        },
    ),
    higher(
        "class_recall_published",
        "Class recall as the paper's code counts it",
        &[Need::Classes, Need::Images],
        SHARE,
        "share of the query's class among as many of the most helpful examples as the class has queries, which the paper's code for styles calls recall, mean over queries (t-interval)",
        |i| {
            let cases = retrieval::published_recalls(
                i.scores.per_query,
                i.train_classes?,
                i.query_classes?,
            );
            Some(Estimate::mean(&cases))
        },
    ),
    higher(
        "loo_pearson",
        "LOO Pearson r",
        &[Need::LeaveOneOut],
        CORRELATION,
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
    higher(
        "loo_spearman",
        "LOO Spearman ρ",
        &[Need::LeaveOneOut],
        CORRELATION,
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
    higher(
        "lds_50",
        "LDS at 50 %",
        &[Need::Subsets(50)],
        CORRELATION,
        LDS_SUMMARIES[0],
        |i| datamodel_at(i, 50),
    ),
    higher(
        "lds_90",
        "LDS at 90 %",
        &[Need::Subsets(90)],
        CORRELATION,
        LDS_SUMMARIES[1],
        |i| datamodel_at(i, 90),
    ),
    higher(
        "lds_99",
        "LDS at 99 %",
        &[Need::Subsets(99)],
        CORRELATION,
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

/// A pure number of which more is better.
const fn higher(
    name: &'static str,
    title: &'static str,
    needs: &'static [Need],
    range: (Option<f64>, Option<f64>),
    summary: &'static str,
    compute: fn(&Inputs) -> Option<Estimate>,
) -> Metric {
    Metric {
        name,
        title,
        unit: "",
        direction: Direction::Higher,
        needs,
        range,
        summary,
        compute: Some(compute),
    }
}

/// A cost, which the runner measures.
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
