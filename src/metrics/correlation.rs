//! Pearson's and Spearman's correlation with the exact scores.

use ndarray::{ArrayView2, Axis};

use super::interval::fisher_z;
use super::rank::{all_finite, mid_ranks};
use super::value::Estimate;

/// Pearson's r of two vectors of the same length.
///
/// `None` when either holds a NaN or an infinity, is constant to rounding, or the lengths differ or are < 2.
pub fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() || a.len() < 2 {
        return None;
    }
    let (a, b) = (centred(a)?, centred(b)?);
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    Some((dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()).clamp(-1.0, 1.0))
}

/// Spearman's ρ: Pearson's r of the mid-ranks. Undefined as [`pearson`] is.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() || !all_finite(a) || !all_finite(b) {
        return None;
    }
    pearson(&mid_ranks(a), &mid_ranks(b))
}

/// Mean over the queries (rows) of a correlation with the exact scores, with its t-interval.
///
/// Both matrices are `[m, n]`.
pub fn mean_over_queries(
    scores: ArrayView2<f64>,
    exact: ArrayView2<f64>,
    correlation: fn(&[f64], &[f64]) -> Option<f64>,
) -> Estimate {
    let rows = scores.axis_iter(Axis(0)).zip(exact.axis_iter(Axis(0)));
    Estimate::mean(
        &rows
            .map(|(row, reference)| correlation(&row.to_vec(), &reference.to_vec()))
            .collect::<Vec<_>>(),
    )
}

/// Pearson's r of the mean query's scores, with Fisher's interval over the n examples.
pub fn pearson_single(scores: &[f64], exact: &[f64]) -> Estimate {
    let r = pearson(scores, exact);
    Estimate::single(r, r.and_then(|r| fisher_z(r, scores.len(), 1.0)))
}

/// Spearman's ρ of the mean query's scores, with Fisher's interval over the n examples.
pub fn spearman_single(scores: &[f64], exact: &[f64]) -> Estimate {
    let r = spearman(scores, exact);
    Estimate::single(r, r.and_then(|r| fisher_z(r, scores.len(), 1.06)))
}

/// The values less their mean, scaled to a largest magnitude of about 1 so that squares neither
/// overflow nor vanish; `None` when not finite or constant to rounding.
fn centred(values: &[f64]) -> Option<Vec<f64>> {
    let largest = values.iter().fold(0.0_f64, |m, value| m.max(value.abs()));
    if !all_finite(values) || largest == 0.0 {
        return None;
    }
    let scaled: Vec<f64> = values.iter().map(|value| value / largest).collect();
    let mean = scaled.iter().sum::<f64>() / scaled.len() as f64;
    let centred: Vec<f64> = scaled.iter().map(|value| value - mean).collect();
    // The mean of n equal numbers is off by up to n·eps in the worst case and by √n·eps in practice.
    let spread = centred.iter().fold(0.0_f64, |m, value| m.max(value.abs()));
    let rounding = 4.0 * f64::EPSILON * (values.len() as f64).sqrt();
    (spread > rounding).then(|| centred.iter().map(|value| value / spread).collect())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::metrics::rank::tests::tied;

    /// The raw-moment formula of the textbooks.
    fn slow_pearson(a: &[f64], b: &[f64]) -> f64 {
        let n = a.len() as f64;
        let sum = |f: &dyn Fn(usize) -> f64| (0..a.len()).map(f).sum::<f64>();
        let (sa, sb) = (sum(&|i| a[i]), sum(&|i| b[i]));
        let covariance = n * sum(&|i| a[i] * b[i]) - sa * sb;
        covariance
            / ((n * sum(&|i| a[i] * a[i]) - sa * sa) * (n * sum(&|i| b[i] * b[i]) - sb * sb)).sqrt()
    }

    const A: [f64; 8] = [0.3, -1.2, 2.5, 0.3, 0.0, 4.1, -0.7, 1.9];
    const B: [f64; 8] = [0.1, -0.4, 1.5, 0.9, -0.4, 2.2, 0.6, 0.6];

    #[test]
    fn equal_scipy() {
        // SciPy 1.17: stats.pearsonr(A, B).statistic; stats.spearmanr(A, B).statistic
        assert!((pearson(&A, &B).expect("defined") - 0.8586835106164057).abs() < 1e-14);
        assert!((spearman(&A, &B).expect("defined") - 0.8121361275222276).abs() < 1e-14);
    }

    #[test]
    fn equal_the_slow_formula() {
        for levels in [2, 5, 1000] {
            let (a, b) = (tied(60, levels, "a"), tied(60, levels, "b"));
            let tolerance = 1e-12;
            assert!(
                (pearson(&a, &b).expect("not constant") - slow_pearson(&a, &b)).abs() < tolerance
            );
            let expected = slow_pearson(&mid_ranks(&a), &mid_ranks(&b));
            assert!((spearman(&a, &b).expect("not constant") - expected).abs() < tolerance);
        }
    }

    #[test]
    fn invariant_to_scale_even_at_the_ends_of_the_range() {
        let r = pearson(&A, &B).expect("defined");
        for scale in [1e-300, 1e300] {
            let scaled: Vec<f64> = A.iter().map(|a| a * scale).collect();
            assert!((pearson(&scaled, &B).expect("defined") - r).abs() < 1e-14);
        }
        assert!((pearson(&A, &A.map(|a| -a)).expect("defined") + 1.0).abs() < 1e-15);
    }

    #[test]
    fn constant_and_non_finite_scores_are_undefined_and_counted() {
        for bad in [
            [0.1; 4],
            [0.0; 4],
            [1.0, 2.0, f64::NAN, 3.0],
            [1.0, f64::INFINITY, 2.0, 3.0],
        ] {
            assert_eq!(pearson(&bad, &[1.0, 2.0, 3.0, 4.0]), None);
            assert_eq!(spearman(&[1.0, 2.0, 3.0, 4.0], &bad), None);
        }
        assert_eq!(pearson(&[0.1; 1000], &tied(1000, 5, "x")), None);
        let scores = array![[1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [3.0, 2.0, f64::NAN]];
        let exact = array![[1.0, 2.0, 4.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]];
        let estimate = mean_over_queries(scores.view(), exact.view(), spearman);
        assert_eq!(
            (estimate.value, estimate.cases, estimate.undefined),
            (Some(1.0), 3, 2)
        );
        assert_eq!(estimate.interval, None);
    }
}
