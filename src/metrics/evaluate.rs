//! The entry point: the metrics asked for, of one method's scores.

use thiserror::Error;

use super::detection_curve::detection_curve;
use super::inputs::Inputs;
use super::table::{Need, computed, find};
use super::value::{Curve, Estimate, MetricValue};

/// Why metrics could not be computed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MetricsError {
    /// No such metric.
    #[error("there is no metric `{found}`; known are {known}")]
    Unknown {
        /// The name asked for.
        found: String,
        /// The names there are.
        known: String,
    },
    /// Two inputs do not belong together.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// Which input.
        what: &'static str,
        /// What the scores ask for.
        expected: usize,
        /// What came.
        found: usize,
    },
}

/// Computes the `wanted` metrics, in that order, and the curve `detection` when one of them is about
/// detection and there are flipped labels.
///
/// A metric whose needs are not met has no value and 0 cases. Metrics that the runner measures itself
/// (time, memory) are passed over.
///
/// # Errors
/// An unknown name; inputs whose sizes differ from those of the scores.
pub fn evaluate(
    inputs: &Inputs,
    wanted: &[&str],
) -> Result<(Vec<MetricValue>, Vec<Curve>), MetricsError> {
    check(inputs)?;
    let mut values = Vec::with_capacity(wanted.len());
    let mut detection = false;
    for &name in wanted {
        let metric = find(name).ok_or_else(|| MetricsError::Unknown {
            found: name.to_owned(),
            known: computed()
                .map(|metric| metric.name)
                .collect::<Vec<_>>()
                .join(", "),
        })?;
        let Some(compute) = metric.compute else {
            continue;
        };
        let estimate = compute(inputs).unwrap_or(Estimate::default());
        values.push(estimate.named(metric.name, metric.range));
        detection |= metric.needs.contains(&Need::Flipped);
    }
    let curve = inputs
        .flipped
        .filter(|_| detection)
        .and_then(|flipped| detection_curve(&inputs.scores.mean_query.to_vec(), flipped));
    Ok((values, curve.into_iter().collect()))
}

fn check(inputs: &Inputs) -> Result<(), MetricsError> {
    let (m, n) = inputs.scores.per_query.dim();
    let exact = inputs
        .exact
        .map(|exact| (exact.per_query.dim(), exact.mean_query.len()));
    let at_default = inputs.exact_at_default.map(|scores| scores.dim());
    let sizes = [
        (
            "scores of the mean query",
            n,
            Some(inputs.scores.mean_query.len()),
        ),
        ("queries of the exact scores", m, exact.map(|((m, _), _)| m)),
        (
            "training examples of the exact scores",
            n,
            exact.map(|((_, n), _)| n),
        ),
        ("exact scores of the mean query", n, exact.map(|(_, n)| n)),
        (
            "queries of the exact scores at the default damping",
            m,
            at_default.map(|d| d.0),
        ),
        (
            "training examples of the exact scores at the default damping",
            n,
            at_default.map(|d| d.1),
        ),
        ("flipped labels", n, inputs.flipped.map(<[bool]>::len)),
        (
            "classes of the training examples",
            n,
            inputs.train_classes.map(<[usize]>::len),
        ),
        (
            "classes of the queries",
            m,
            inputs.query_classes.map(<[usize]>::len),
        ),
    ];
    for (what, expected, found) in sizes {
        if let Some(found) = found.filter(|found| *found != expected) {
            return Err(MetricsError::Shape {
                what,
                expected,
                found,
            });
        }
    }
    let loo = inputs
        .retraining
        .and_then(|r| r.leave_one_out.as_ref()?.misfit(m, n));
    let subsets = inputs.retraining.iter().flat_map(|r| &r.subsets);
    let misfit = loo.or_else(|| subsets.filter_map(|s| s.misfit(m, n)).next());
    match misfit {
        Some((what, expected, found)) => Err(MetricsError::Shape {
            what,
            expected,
            found,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, Axis};

    use super::*;
    use crate::metrics::Scores;

    fn matrix(phase: f64) -> Array2<f64> {
        Array2::from_shape_fn((6, 40), |(q, k)| {
            (q as f64 * 1.3 + k as f64 * 0.7 + phase).sin() - (k % 4) as f64 * 0.2
        })
    }

    /// The metrics that need no retraining: those have tests of their own.
    fn all() -> Vec<&'static str> {
        let retrained = |need: &Need| matches!(need, Need::LeaveOneOut | Need::Subsets(_));
        computed()
            .filter(|metric| !metric.needs.iter().any(retrained))
            .map(|metric| metric.name)
            .collect()
    }

    #[test]
    fn exact_against_itself_is_perfect() {
        let scores = matrix(0.0);
        let mean = scores.mean_axis(Axis(0)).expect("six rows");
        let scores = Scores {
            per_query: scores.view(),
            mean_query: mean.view(),
        };
        let flipped: Vec<bool> = (0..40).map(|k| k % 4 == 0).collect();
        let classes: Vec<usize> = (0..40).map(|k| k % 3).collect();
        let inputs = Inputs {
            scores,
            exact: Some(scores),
            exact_at_default: Some(scores.per_query),
            flipped: Some(&flipped),
            train_classes: Some(&classes),
            query_classes: Some(&[0, 1, 2, 0, 1, 2]),
            retraining: None,
            seed: 1,
        };
        let (values, curves) = evaluate(&inputs, &all()).expect("shapes agree");
        assert_eq!(
            values.iter().map(|v| v.metric.as_str()).collect::<Vec<_>>(),
            all()
        );
        for value in &values {
            let x = value.value.expect("defined");
            assert_eq!(value.undefined, 0);
            match value.metric.as_str() {
                "relative_error" | "relative_error_mean_query" => assert_eq!(x, 0.0),
                "detection_auc" | "detection_average_precision" => {
                    assert!(x > 0.5 && value.low.expect("interval") < x)
                }
                "class_auc" | "class_recall" | "class_recall_published" => {
                    assert_eq!(value.cases, 6);
                }
                _ => assert!((x - 1.0).abs() < 1e-12, "{value:?}"),
            }
        }
        assert_eq!(curves.len(), 1);
        assert_eq!(
            evaluate(&inputs, &["pearson", "total_seconds"])
                .expect("known")
                .1,
            []
        );
    }

    #[test]
    fn nan_is_undefined_and_counted_everywhere() {
        let (mut scores, exact) = (matrix(0.3), matrix(0.0));
        scores[[2, 5]] = f64::NAN;
        let (mean, exact_mean) = (
            scores.mean_axis(Axis(0)).expect("rows"),
            exact.mean_axis(Axis(0)).expect("rows"),
        );
        let classes = vec![0; 40];
        let flipped: Vec<bool> = (0..40).map(|k| k < 8).collect();
        let inputs = Inputs {
            scores: Scores {
                per_query: scores.view(),
                mean_query: mean.view(),
            },
            exact: Some(Scores {
                per_query: exact.view(),
                mean_query: exact_mean.view(),
            }),
            exact_at_default: Some(exact.view()),
            flipped: Some(&flipped),
            train_classes: Some(&classes),
            query_classes: Some(&[0; 6]),
            retraining: None,
            seed: 1,
        };
        let (values, curves) = evaluate(&inputs, &all()).expect("shapes agree");
        for value in values {
            let single =
                value.metric.contains("mean_query") || value.metric.starts_with("detection");
            match value.metric.as_str() {
                // One class only: no negative to compare with.
                "class_auc" => {
                    assert_eq!((value.value, value.cases, value.undefined), (None, 6, 6))
                }
                _ if single => assert_eq!(
                    (value.value, value.low, value.cases, value.undefined),
                    (None, None, 1, 1)
                ),
                _ => {
                    assert!(value.value.expect("five queries are defined").is_finite());
                    assert_eq!((value.cases, value.undefined), (6, 1), "{}", value.metric);
                }
            }
        }
        assert_eq!(curves, []);
    }

    #[test]
    fn without_a_reference_everything_against_it_is_undefined_and_counted() {
        let scores = matrix(0.3);
        let mean = scores.mean_axis(Axis(0)).expect("rows");
        let (nowhere, nowhere_mean) = (scores.mapv(|_| f64::NAN), mean.mapv(|_| f64::NAN));
        let inputs = Inputs {
            scores: Scores {
                per_query: scores.view(),
                mean_query: mean.view(),
            },
            exact: Some(Scores {
                per_query: nowhere.view(),
                mean_query: nowhere_mean.view(),
            }),
            exact_at_default: Some(nowhere.view()),
            flipped: None,
            train_classes: None,
            query_classes: None,
            retraining: None,
            seed: 1,
        };
        let against = |metric: &&super::super::Metric| {
            let needs = metric.needs.iter();
            needs
                .clone()
                .any(|n| matches!(n, Need::Exact | Need::ExactAtDefault))
        };
        let names: Vec<&str> = computed()
            .filter(against)
            .map(|metric| metric.name)
            .collect();
        assert!(names.len() >= 8);
        let (values, _) = evaluate(&inputs, &names).expect("shapes agree");
        for value in values {
            let cases = if value.metric.contains("mean_query") {
                1
            } else {
                6
            };
            assert_eq!(
                (value.value, value.low, value.cases, value.undefined),
                (None, None, cases, cases),
                "{}",
                value.metric
            );
        }
    }

    #[test]
    fn unmet_needs_have_no_value_and_no_cases() {
        let scores = matrix(0.0);
        let mean = Array1::zeros(40);
        let inputs = Inputs {
            scores: Scores {
                per_query: scores.view(),
                mean_query: mean.view(),
            },
            exact: None,
            exact_at_default: None,
            flipped: None,
            train_classes: None,
            query_classes: None,
            retraining: None,
            seed: 0,
        };
        let names: Vec<&str> = computed().map(|metric| metric.name).collect();
        let (values, curves) = evaluate(&inputs, &names).expect("shapes agree");
        assert!(
            values
                .iter()
                .all(|value| value.value.is_none() && value.cases == 0 && value.undefined == 0)
        );
        assert!(curves.is_empty());
        let error = evaluate(&inputs, &["pearsom"]).expect_err("no such metric");
        assert!(
            error.to_string().contains("pearsom") && error.to_string().contains("top_k_overlap")
        );
        let wrong = Inputs {
            flipped: Some(&[true]),
            ..inputs
        };
        assert_eq!(
            evaluate(&wrong, &[]),
            Err(MetricsError::Shape {
                what: "flipped labels",
                expected: 40,
                found: 1
            })
        );
    }
}
