//! Differences between methods within one cell, with what they vary by.
//!
//! All methods of a cell are scored on the same gradients, so their values rise and fall together: the standard error
//! of a difference is far below what the methods' own intervals suggest. Here it is taken of the difference itself,
//! with queries, training examples or subsets resampled together for both methods:
//!
//! | metric | resampled | error of the difference |
//! |---|---|---|
//! | `pearson`, `class_auc`, `class_recall`, `class_recall_published` | queries | that of a mean of paired case values, s_d/√m |
//! | `pearson_mean_query` | training examples | infinitesimal jackknife (Efron, 1982): √Σ (u_k − u'_k)² with u_k = (z_k z'_k − r(z_k² + z'_k²)/2)/n |
//! | `detection_auc` | flipped and other examples | DeLong, DeLong and Clarke-Pearson (1988): the same with their placements |
//! | `loo_*`, `lds_*` | examples or subsets, and queries | bootstrap of [`super::hierarchical`], the same draws for all methods |
//!
//! This is what one cell can tell: other queries, examples and subsets for the same fine-tune. What another seed would
//! change is told by other seeds alone (see [`super::ranking`]).

use super::hierarchical::{Correlation, replicates};
use super::inputs::Inputs;
use super::{auc, correlation, datamodel, leave_one_out, retrieval};
use crate::random::rng;

/// Resamples of a cell. The error of a standard error is 1/√(2·500) = 3 %.
const RESAMPLES: usize = 500;

/// Metrics whose differences are recorded.
pub const PAIRED: [&str; 11] = [
    "pearson",
    "pearson_mean_query",
    "detection_auc",
    "class_auc",
    "class_recall",
    "class_recall_published",
    "loo_pearson",
    "loo_spearman",
    "lds_50",
    "lds_90",
    "lds_99",
];

/// What is resampled for a metric of [`PAIRED`], in words.
pub fn over(metric: &str) -> &'static str {
    match metric {
        "pearson_mean_query" => "training examples",
        "detection_auc" => "flipped and other training examples",
        "loo_pearson" | "loo_spearman" => "training examples and queries",
        _ if metric.starts_with("lds_") => "subsets and queries",
        _ => "queries",
    }
}

/// What one method's value of a metric varies by in a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Spread {
    /// The value is the mean of these cases; undefined ones are `None`.
    Cases(Vec<Option<f64>>),
    /// The value and its deviations: the covariance of two methods' values is the product of theirs.
    Deviations(Option<f64>, Vec<f64>),
    /// The value and its resamples, drawn alike for all methods.
    Resamples(Option<f64>, Vec<Option<f64>>),
}

/// The value of one method less that of another, and its standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Difference {
    /// The difference over what is defined of both; `None` without a common case.
    pub value: Option<f64>,
    /// Its standard error; `None` where there are fewer than two cases.
    pub error: Option<f64>,
}

/// What the metric of one method's scores varies by; `None` for a metric that is not of [`PAIRED`], or whose needs
/// are not met.
pub fn spread(metric: &str, inputs: &Inputs) -> Option<Spread> {
    let scores = inputs.scores;
    match metric {
        "pearson" => {
            let exact = inputs.exact?;
            let rows = scores.per_query.rows().into_iter();
            let of = |(a, b): (ndarray::ArrayView1<f64>, ndarray::ArrayView1<f64>)| {
                correlation::pearson(&a.to_vec(), &b.to_vec())
            };
            Some(Spread::Cases(
                rows.zip(exact.per_query.rows()).map(of).collect(),
            ))
        }
        "pearson_mean_query" => {
            let (a, b) = (
                scores.mean_query.to_vec(),
                inputs.exact?.mean_query.to_vec(),
            );
            Some(correlation_deviations(&a, &b))
        }
        "detection_auc" => {
            let found = auc::deviations(&scores.mean_query.to_vec(), inputs.flipped?);
            let (value, deviations) = found.map_or((None, Vec::new()), |(v, d)| (Some(v), d));
            Some(Spread::Deviations(value, deviations))
        }
        "class_auc" | "class_recall" => {
            let (train, query) = (inputs.train_classes?, inputs.query_classes?);
            let measure = if metric == "class_auc" {
                retrieval::class_auc
            } else {
                retrieval::class_recall
            };
            let cases = retrieval::per_query(scores.per_query, train, query, measure);
            Some(Spread::Cases(cases))
        }
        "class_recall_published" => Some(Spread::Cases(retrieval::published_recalls(
            scores.per_query,
            inputs.train_classes?,
            inputs.query_classes?,
        ))),
        "loo_pearson" | "loo_spearman" => {
            let kind = if metric == "loo_pearson" {
                Correlation::Pearson
            } else {
                Correlation::Spearman
            };
            let losses = inputs.retraining?.leave_one_out.as_ref()?;
            let pairs = leave_one_out::pairs(scores.per_query, losses, kind);
            let rng = &mut rng(inputs.seed, "metrics", "paired/leave one out");
            let (value, resamples) = replicates(&pairs, kind, RESAMPLES, rng);
            Some(Spread::Resamples(value, resamples))
        }
        _ => {
            let percent = metric.strip_prefix("lds_")?.parse().ok()?;
            let subsets = inputs.retraining?.share(percent)?;
            let pairs = datamodel::pairs(scores.per_query, subsets);
            let rng = &mut rng(inputs.seed, "metrics", &format!("paired/lds/{percent}"));
            let (value, resamples) = replicates(&pairs, Correlation::Spearman, RESAMPLES, rng);
            Some(Spread::Resamples(value, resamples))
        }
    }
}

/// Deviations of Pearson's r: the derivative of r by the weight of each of the n pairs, over n.
fn correlation_deviations(a: &[f64], b: &[f64]) -> Spread {
    let Some(r) = correlation::pearson(a, b) else {
        return Spread::Deviations(None, Vec::new());
    };
    let n = a.len() as f64;
    // units cancel in z, and huge scores must not overflow
    let standard = |x: &[f64]| -> Vec<f64> {
        let largest = x.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let scaled: Vec<f64> = x.iter().map(|v| v / largest).collect();
        let mean = scaled.iter().sum::<f64>() / n;
        let variance = scaled.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        scaled
            .iter()
            .map(|v| (v - mean) / variance.sqrt())
            .collect()
    };
    let pairs = standard(a).into_iter().zip(standard(b));
    let deviations = pairs.map(|(x, y)| (x * y - r * (x * x + y * y) / 2.0) / n);
    Spread::Deviations(Some(r), deviations.collect())
}

/// `a`'s value less `b`'s, where both are spreads of the same metric and cell.
pub fn difference(a: &Spread, b: &Spread) -> Difference {
    match (a, b) {
        (Spread::Cases(a), Spread::Cases(b)) => {
            let both = a.iter().zip(b);
            let paired: Vec<f64> = both
                .filter_map(|(a, b)| Some((*a)? - (*b)?))
                .filter(|d| d.is_finite())
                .collect();
            mean_and_error(&paired, paired.len() as f64)
        }
        (Spread::Deviations(x, a), Spread::Deviations(y, b)) if a.len() == b.len() => {
            let value = x.zip(*y).map(|(x, y)| x - y);
            let square: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
            Difference {
                value,
                error: (value.is_some() && a.len() > 1).then(|| square.sqrt()),
            }
        }
        (Spread::Resamples(x, a), Spread::Resamples(y, b)) => {
            let both = a.iter().zip(b);
            let paired: Vec<f64> = both.filter_map(|(a, b)| Some((*a)? - (*b)?)).collect();
            // fewer than half defined: what is left is not a sample of the rest
            let error = mean_and_error(&paired, 1.0).error;
            Difference {
                value: x.zip(*y).map(|(x, y)| x - y),
                error: error.filter(|_| 2 * paired.len() >= a.len()),
            }
        }
        _ => Difference::default(),
    }
}

/// Mean of the values and their standard deviation over the root of `count`.
fn mean_and_error(values: &[f64], count: f64) -> Difference {
    let Some(mean) = super::interval::mean(values) else {
        return Difference::default();
    };
    let square: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    Difference {
        value: Some(mean),
        error: (values.len() > 1).then(|| (square / (values.len() - 1) as f64 / count).sqrt()),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, Array3};
    use rand::RngExt;

    use super::*;
    use crate::metrics::Scores;
    use crate::metrics::auc::auc_delong;
    use crate::metrics::interval::normal_interval;
    use crate::metrics::retraining::{Retraining, Subsets};
    use crate::random::Rng;

    fn noise(rng: &mut Rng) -> f64 {
        (rng.random::<f64>() - 0.5) * 12f64.sqrt()
    }

    fn error(a: &Spread, b: &Spread) -> f64 {
        difference(a, b).error.expect("defined")
    }

    #[test]
    fn the_error_of_r_is_that_of_a_bootstrap_over_examples() {
        let mut rng = rng(3, "paired", "r");
        let n = 300;
        let truth: Vec<f64> = (0..n).map(|_| noise(&mut rng)).collect();
        let mut near =
            |size: f64| -> Vec<f64> { truth.iter().map(|t| t + size * noise(&mut rng)).collect() };
        let (a, b) = (near(0.5), near(1.0));
        let found = error(
            &correlation_deviations(&a, &truth),
            &correlation_deviations(&b, &truth),
        );
        let draws: Vec<f64> = (0..2000)
            .map(|_| {
                let drawn: Vec<usize> = (0..n).map(|_| rng.random_range(0..n)).collect();
                let pick = |x: &[f64]| drawn.iter().map(|&k| x[k]).collect::<Vec<f64>>();
                let r = |x: &[f64]| correlation::pearson(&pick(x), &pick(&truth)).expect("varies");
                r(&a) - r(&b)
            })
            .collect();
        let expected = mean_and_error(&draws, 1.0).error.expect("2000 draws");
        // the bootstrap's own error is 1/√4000 = 1.6 %, the linearisation's of order 1/√n
        assert!((found / expected - 1.0).abs() < 0.1, "{found} {expected}");
        // 10²⁰⁰ times the scores, the same r
        let huge: Vec<f64> = a.iter().map(|x| x * 1e200).collect();
        let same = error(
            &correlation_deviations(&huge, &truth),
            &correlation_deviations(&b, &truth),
        );
        assert!((same / found - 1.0).abs() < 1e-9, "{same} {found}");
    }

    #[test]
    fn against_a_constant_the_error_of_an_auc_is_delong_s() {
        let mut rng = rng(4, "paired", "auc");
        let flipped: Vec<bool> = (0..200).map(|k| k % 5 == 0).collect();
        let scores: Vec<f64> = flipped
            .iter()
            .map(|f| f64::from(u8::from(*f)) + noise(&mut rng))
            .collect();
        let of = |scores: &[f64]| {
            let (value, deviations) = auc::deviations(scores, &flipped).expect("both classes");
            Spread::Deviations(Some(value), deviations)
        };
        // all tied: AUC ½ with no deviations at all
        let found = error(&of(&scores), &of(&[0.0; 200]));
        let (value, interval) = auc_delong(&scores, &flipped).expect("both classes");
        let expected = normal_interval(value, found);
        let interval = interval.expect("many");
        assert!((interval.low - expected.low).abs() < 1e-12);
        assert_eq!(error(&of(&scores), &of(&scores)), 0.0);
    }

    #[test]
    fn cases_are_paired_where_both_are_defined() {
        let a = Spread::Cases(vec![Some(1.0), None, Some(3.0), Some(4.0)]);
        let b = Spread::Cases(vec![Some(0.0), Some(9.0), Some(1.0), None]);
        let found = difference(&a, &b);
        assert_eq!(found.value, Some(1.5));
        // differences 1 and 2: s = √½, over √2
        assert!((found.error.expect("two cases") - 0.5).abs() < 1e-15);
        let none = Spread::Cases(vec![None; 4]);
        assert_eq!(difference(&a, &none), Difference::default());
    }

    /// Losses on 60 random halves of 30 examples that follow `w` but for noise.
    fn subsets(w: &Array2<f64>, size: f64, rng: &mut Rng) -> Subsets {
        let (m, n) = w.dim();
        let kept: Vec<Vec<bool>> = (0..60)
            .map(|_| (0..n).map(|_| rng.random::<bool>()).collect())
            .collect();
        let p = datamodel::predicted(w.view(), &kept);
        let losses = Array3::from_shape_fn((60, 2, m), |(s, _, q)| p[[s, q]] + size * noise(rng));
        Subsets {
            percent: 50,
            kept,
            losses,
        }
    }

    #[test]
    fn subsets_are_drawn_together_so_that_like_methods_differ_by_little() {
        let mut rng = rng(5, "paired", "lds");
        let w = Array2::from_shape_fn((6, 30), |_| noise(&mut rng));
        let retraining = Retraining {
            leave_one_out: None,
            subsets: vec![subsets(&w, 3.0, &mut rng)],
        };
        let mean = Array1::zeros(30);
        let of = |scores: &Array2<f64>| {
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
                retraining: Some(&retraining),
                seed: 1,
            };
            spread("lds_50", &inputs).expect("there are subsets")
        };
        let twin = w.mapv(|x| 2.0 * x);
        let near = Array2::from_shape_fn(w.dim(), |at| w[at] + 0.1 * noise(&mut rng));
        let far = Array2::from_shape_fn(w.dim(), |_| noise(&mut rng));
        let (a, b, c) = (of(&w), of(&near), of(&far));
        assert_eq!(difference(&a, &of(&twin)).error, Some(0.0));
        assert!(4.0 * error(&a, &b) < error(&a, &c), "drawn alike");
        let z = difference(&a, &c).value.expect("defined") / error(&a, &c);
        assert!(z > 3.0, "{z}");
        assert_eq!(spread("relative_error", &unmet(&mean)), None);
        assert_eq!(spread("lds_90", &unmet(&mean)), None);
    }

    fn unmet(mean: &Array1<f64>) -> Inputs<'_> {
        Inputs {
            scores: Scores {
                per_query: mean.view().insert_axis(ndarray::Axis(0)),
                mean_query: mean.view(),
            },
            exact: None,
            exact_at_default: None,
            flipped: None,
            train_classes: None,
            query_classes: None,
            retraining: None,
            seed: 0,
        }
    }
}
