//! Influence against retraining: the linear datamodeling score and leave-one-out, below their noise ceilings.

use super::dots::{self, Dots};
use super::{Outcome, has_values};
use crate::metrics::MetricValue;
use crate::metrics::interval::{mean, t_interval};
use crate::report::chart::DataPoint;
use crate::report::data::{Group, ResultSet};
use crate::results::record::GroundTruthInfo;

const LDS: &str = "Predicting retraining on subsets: linear datamodeling score";
const LOO: &str = "Predicting retraining without one example";

/// The figures that there are data for; none, and no word of it, where nothing was retrained.
pub fn draw(results: &ResultSet) -> Vec<Outcome> {
    let lds = "Spearman's ρ over random subsets between the summed influence of the examples in a subset and the \
               query loss after training on it, mean over queries (0 is chance). Grey: what a method could reach \
               that knew every expected loss, given the noise of retraining, with its interval.";
    let loo = "Correlation over training examples between influence and the loss that leaving the example out saves \
               (paired seeds), mean over the queries whose signal exceeds the noise (0 is chance). Grey: Pearson's r \
               that the expected truth itself would have with the measured one.";
    let figures: [(&str, &str, &[&str], &str); 2] = [
        ("lds", LDS, &["lds_50", "lds_90", "lds_99"], lds),
        ("leave_one_out", LOO, &["loo_pearson", "loo_spearman"], loo),
    ];
    figures
        .into_iter()
        .filter_map(|(id, title, metrics, text)| {
            let metrics: Vec<&str> = metrics
                .iter()
                .copied()
                .filter(|metric| has_values(results, metric))
                .collect();
            if metrics.is_empty() {
                return None;
            }
            let dots = Dots {
                id,
                title,
                text,
                metrics: &metrics,
                chance: |_| Some(0.0),
                ceiling,
                empty: "it is missing at the reference setting",
            };
            Some(dots::draw(results, &dots))
        })
        .collect()
}

/// Mean over seeds of a metric's ceiling with its t-interval; of a single cell its own.
pub(super) fn ceiling(group: &Group, metric: &str) -> Option<DataPoint> {
    let of = |truth: &GroundTruthInfo| -> Option<MetricValue> {
        match metric.strip_prefix("lds_") {
            Some(percent) => {
                let percent: u32 = percent.parse().ok()?;
                let subsets = truth.subsets.iter().find(|s| s.percent == percent);
                subsets.map(|subsets| subsets.ceiling.clone())
            }
            None => truth.leave_one_out.as_ref().map(|loo| loo.ceiling.clone()),
        }
    };
    let values: Vec<MetricValue> = group
        .records
        .iter()
        .filter_map(|record| of(record.ground_truth.as_ref()?))
        .collect();
    let defined: Vec<f64> = values.iter().filter_map(|value| value.value).collect();
    let interval = match values.as_slice() {
        [only] => only.low.zip(only.high),
        _ => t_interval(&defined).map(|i| (i.low.clamp(0.0, 1.0), i.high.clamp(0.0, 1.0))),
    };
    Some(DataPoint::from(mean(&defined)?).within(interval))
}

#[cfg(test)]
mod tests {
    use super::super::all;
    use super::*;
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
        assert!(draw(&results).is_empty() && !ids(&results).contains(&"selection".to_owned()));
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
