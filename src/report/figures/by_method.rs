//! The figures with a dot per method: detection of flipped labels and runtime (the content of the paper's Figure 2),
//! retrieval of the query's class, and influence against retraining, below its noise ceiling.

use super::dots::Dots;
use super::mean_point;
use crate::metrics::MetricValue;
use crate::report::chart::DataPoint;
use crate::report::data::Group;
use crate::results::record::Record;

const NONE: Dots = Dots {
    id: "",
    title: "",
    text: "",
    metrics: &[],
    beside: &[],
    chance: |_| None,
    ceiling: |_, _| None,
    without: None,
};

/// Detection of flipped labels and runtime, side by side.
pub const DETECTION: Dots = Dots {
    id: "detection",
    title: "Detection of flipped labels, and runtime",
    text: "Left: AUC of the influence on the mean query loss against flipped labels (dashed: chance). \
           Right: seconds for all scores, gradients not included (logarithmic).",
    metrics: &["detection_auc"],
    beside: &["total_seconds"],
    chance: |metric| (metric == "detection_auc").then_some(0.5),
    without: Some("no cell has flipped labels and the metric `detection_auc`"),
    ..NONE
};

/// Class AUC and class recall.
pub const RETRIEVAL: Dots = Dots {
    id: "class_retrieval",
    title: "Retrieval of the query's class",
    text: "Do the most helpful training examples share the query's class? AUC of the negated influence (dashed: chance), \
           and the share of same-class examples among as many most helpful ones as the class has.",
    metrics: &["class_auc", "class_recall", "class_recall_published"],
    chance: |metric| (metric == "class_auc").then_some(0.5),
    without: Some("no cell has classes and the metrics `class_auc` or `class_recall`"),
    ..NONE
};

/// The linear datamodeling score.
pub const LDS: Dots = Dots {
    id: "lds",
    title: "Predicting retraining on subsets: linear datamodeling score",
    text: "Spearman's ρ over random subsets between the summed influence of the examples in a subset and the \
           query loss after training on it, mean over queries (0 is chance). Grey: what a method could reach \
           that knew every expected loss, given the noise of retraining, with its interval.",
    metrics: &["lds_50", "lds_90", "lds_99"],
    chance: |_| Some(0.0),
    ceiling,
    ..NONE
};

/// Leave-one-out.
pub const LEAVE_ONE_OUT: Dots = Dots {
    id: "leave_one_out",
    title: "Predicting retraining without one example",
    text: "Correlation over training examples between influence and the loss that leaving the example out saves \
           (paired seeds), mean over the queries whose signal exceeds the noise (0 is chance). Grey: Pearson's r \
           that the expected truth itself would have with the measured one.",
    metrics: &["loo_pearson", "loo_spearman"],
    chance: |_| Some(0.0),
    ceiling,
    ..NONE
};

/// Mean over seeds of a metric's ceiling with its t-interval; of a single cell its own.
pub fn ceiling(group: &Group, metric: &str) -> Option<DataPoint> {
    let of = |record: &&Record| {
        let truth = record.ground_truth.as_ref()?;
        let Some(percent) = metric.strip_prefix("lds_") else {
            return Some(truth.leave_one_out.as_ref()?.ceiling.clone());
        };
        let percent: u32 = percent.parse().ok()?;
        let subsets = truth.subsets.iter().find(|s| s.percent == percent)?;
        Some(subsets.ceiling.clone())
    };
    let values: Vec<MetricValue> = group.records.iter().filter_map(of).collect();
    let defined = values.iter().filter_map(|value| value.value);
    let point = mean_point(defined, (Some(0.0), Some(1.0)))?;
    Some(match values.as_slice() {
        [only] => point.within(only.low.zip(only.high)),
        _ => point,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, all};
    use super::*;
    use crate::report::data::ResultSet;
    use crate::report::synthetic;

    fn ids(results: &ResultSet) -> Vec<String> {
        let drawn = all(results)
            .into_iter()
            .filter_map(|outcome| match outcome {
                Outcome::Drawn(figure) => Some(figure.id),
                Outcome::Omitted { .. } => None,
            });
        drawn.collect()
    }

    #[test]
    fn they_are_drawn_where_something_was_retrained_and_not_missed_elsewhere() {
        let records = synthetic::retraining(2);
        let found = ids(&ResultSet::new(&records));
        for id in ["lds", "leave_one_out", "selection"] {
            assert!(found.iter().any(|found| found == id), "{id}: {found:?}");
        }
        let records = synthetic::rank();
        let results = ResultSet::new(&records);
        let found = ids(&results);
        for id in ["lds", "leave_one_out", "selection"] {
            assert!(!found.iter().any(|found| found == id), "{id}: {found:?}");
        }
    }

    #[test]
    fn a_ceiling_is_the_cells_own_or_the_mean_over_seeds() {
        let records = synthetic::retraining(1);
        let single = ResultSet::new(&records);
        let own = ceiling(&single.groups[0], "lds_90").expect("recorded");
        assert_eq!(
            (own.value, own.interval),
            (0.95, Some((0.95 - 0.03, 0.95 + 0.03)))
        );
        let records = synthetic::retraining(2);
        let two = ResultSet::new(&records);
        let mean = ceiling(&two.groups[0], "loo_pearson").expect("recorded");
        assert!((mean.value - 0.905).abs() < 1e-12);
        // t of one degree of freedom is 12.706, the standard error 0.005
        let (low, high) = mean.interval.expect("two seeds");
        assert!((low - (0.905 - 0.06353)).abs() < 1e-4 && (high - 0.96853).abs() < 1e-4);
        assert_eq!(ceiling(&two.groups[0], "lds_70"), None);
    }
}
