//! Relative error against the exact scores.

use ndarray::{ArrayView2, Axis};
use rand::RngExt;

use super::interval::bootstrap;
use super::value::Estimate;
use crate::random::rng;

/// ‖S − S_E‖_F / ‖S_E‖_F over the `[m, n]` scores of all queries.
///
/// Queries with a NaN or an infinity on either side are undefined and left out of both norms; all are
/// undefined when what is left of S_E is 0. The interval is the percentile bootstrap over queries.
pub fn relative_error(scores: ArrayView2<f64>, exact: ArrayView2<f64>, seed: u64) -> Estimate {
    let rows = scores.axis_iter(Axis(0)).zip(exact.axis_iter(Axis(0)));
    let norms: Vec<(f64, f64)> = rows
        .map(|(row, reference)| {
            (
                norm(row.iter().zip(reference).map(|(s, e)| s - e)),
                norm(reference.iter().copied()),
            )
        })
        .filter(|(error, size)| error.is_finite() && size.is_finite())
        .collect();
    let cases = scores.nrows();
    let value = pooled(norms.iter().copied());
    let undefined = if value.is_some() {
        cases - norms.len()
    } else {
        cases
    };
    let interval = (value.is_some() && norms.len() > 1)
        .then(|| {
            bootstrap(&mut rng(seed, "metrics", "relative_error"), |rng| {
                let resample: Vec<_> = (0..norms.len())
                    .map(|_| norms[rng.random_range(0..norms.len())])
                    .collect();
                pooled(resample.into_iter())
            })
        })
        .flatten();
    Estimate {
        value,
        interval,
        cases,
        undefined,
    }
}

/// ‖s − s_E‖₂ / ‖s_E‖₂ of the mean query's scores; `None` when not finite or s_E = 0.
pub fn relative_error_single(scores: &[f64], exact: &[f64]) -> Option<f64> {
    pooled(std::iter::once((
        norm(scores.iter().zip(exact).map(|(s, e)| s - e)),
        norm(exact.iter().copied()),
    )))
}

/// Ratio of the root sums of squares of pairs of norms.
fn pooled(norms: impl Iterator<Item = (f64, f64)> + Clone) -> Option<f64> {
    let size = norm(norms.clone().map(|pair| pair.1));
    let ratio = norm(norms.map(|pair| pair.0)) / size;
    (size > 0.0 && ratio.is_finite()).then_some(ratio)
}

/// Euclidean norm, scaled by the largest magnitude so that a diverged method's squares do not
/// overflow; not finite when a value is not.
fn norm(values: impl Iterator<Item = f64> + Clone) -> f64 {
    // `f64::max` would pass over a NaN.
    let largest = values
        .clone()
        .map(f64::abs)
        .fold(0.0, |m, x| if x > m || x.is_nan() { x } else { m });
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    largest * values.map(|x| (x / largest).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn is_the_ratio_of_frobenius_norms() {
        let exact = Array2::from_shape_fn((5, 7), |(i, j)| ((i * 7 + j) as f64).sin());
        let scores = Array2::from_shape_fn((5, 7), |(i, j)| {
            ((i * 7 + j) as f64).sin() + 0.1 * (j as f64).cos()
        });
        let slow =
            (&scores - &exact).mapv(|x| x * x).sum().sqrt() / exact.mapv(|x| x * x).sum().sqrt();
        let estimate = relative_error(scores.view(), exact.view(), 3);
        assert!((estimate.value.expect("defined") - slow).abs() < 1e-14);
        let interval = estimate.interval.expect("five queries");
        assert!(interval.low < slow && slow < interval.high);
        assert_eq!(estimate, relative_error(scores.view(), exact.view(), 3));
    }

    #[test]
    fn survives_scores_whose_squares_overflow() {
        let value = relative_error_single(&[1e200, 1.0], &[3.0, 4.0]).expect("finite");
        assert!((value / 2e199 - 1.0).abs() < 1e-14);
    }

    #[test]
    fn nan_queries_are_counted_and_a_zero_reference_is_undefined() {
        let exact = array![[3.0, 4.0], [1.0, 1.0]];
        let estimate = relative_error(array![[3.0, 4.5], [f64::NAN, 1.0]].view(), exact.view(), 0);
        assert_eq!(
            (estimate.value, estimate.cases, estimate.undefined),
            (Some(0.1), 2, 1)
        );
        let zero = relative_error(exact.view(), Array2::zeros((2, 2)).view(), 0);
        assert_eq!((zero.value, zero.interval, zero.undefined), (None, None, 2));
        assert_eq!(relative_error_single(&[1.0, f64::NAN], &[1.0, 2.0]), None);
        assert_eq!(relative_error_single(&[1.0], &[f64::INFINITY]), None);
    }
}
