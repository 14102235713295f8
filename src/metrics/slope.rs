//! The slope of a line through points, for growth laws on log–log axes.

use nalgebra::{DMatrix, DVector};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::interval::Interval;

/// A fitted slope.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// Least-squares slope.
    pub value: f64,
    /// Its 95 % t-interval; `None` with fewer than three points.
    pub interval: Option<Interval>,
    /// Points that it was fitted to.
    pub points: usize,
}

/// Exponent p of y ∝ x^p: the least-squares slope of ln y against ln x, solved by QR, with the
/// t-interval of the residuals, n − 2 degrees of freedom.
///
/// `None` with fewer than two different x, or when a point is not positive and finite.
pub fn growth(points: &[(f64, f64)]) -> Option<Slope> {
    let fits = |x: f64| x.is_finite() && x > 0.0;
    if points.len() < 2 || !points.iter().all(|(x, y)| fits(*x) && fits(*y)) {
        return None;
    }
    let n = points.len();
    let design = DMatrix::from_fn(n, 2, |i, j| if j == 0 { 1.0 } else { points[i].0.ln() });
    let target = DVector::from_fn(n, |i, _| points[i].1.ln());
    let centre = design.column(1).mean();
    let spread: f64 = design.column(1).iter().map(|x| (x - centre).powi(2)).sum();
    if spread <= f64::EPSILON * n as f64 {
        return None;
    }
    let qr = design.clone().qr();
    let solution = qr
        .r()
        .solve_upper_triangular(&(qr.q().transpose() * &target))?;
    let value = solution[1];
    let freedom = n as f64 - 2.0;
    let interval = (freedom > 0.0).then(|| {
        let residual = (&design * &solution - &target).norm_squared();
        let error = (residual / freedom / spread).sqrt();
        let t = StudentsT::new(0.0, 1.0, freedom).expect("positive degrees of freedom");
        let half = t.inverse_cdf(0.975) * error;
        Interval {
            low: value - half,
            high: value + half,
        }
    });
    Some(Slope {
        value,
        interval,
        points: n,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_law_is_found_exactly() {
        let points: Vec<(f64, f64)> = [10.0, 30.0, 100.0, 1000.0]
            .iter()
            .map(|x: &f64| (*x, 3.0 * x.powf(1.7)))
            .collect();
        let slope = growth(&points).unwrap();
        assert!((slope.value - 1.7).abs() < 1e-12);
        let interval = slope.interval.unwrap();
        assert!(interval.high - interval.low < 1e-10);
    }

    #[test]
    fn the_interval_is_the_textbook_s() {
        // by the sums of the normal equations, Σ(x − x̄)² = 5, and t(0.975, 2) = 4.3026527
        let points =
            [(0.0f64, 0.0f64), (1.0, 1.0), (2.0, 1.5), (3.0, 2.8)].map(|(x, y)| (x.exp(), y.exp()));
        let slope = growth(&points).unwrap();
        let (mean_x, mean_y) = (1.5, 1.325);
        let pairs = [(0.0, 0.0), (1.0, 1.0), (2.0, 1.5), (3.0, 2.8f64)];
        let b = pairs
            .iter()
            .map(|(x, y)| (x - mean_x) * (y - mean_y))
            .sum::<f64>()
            / 5.0;
        assert!((slope.value - b).abs() < 1e-12);
        let residual: f64 = pairs
            .iter()
            .map(|(x, y)| (y - mean_y - b * (x - mean_x)).powi(2))
            .sum();
        let half = 4.302_652_7 * (residual / 2.0 / 5.0f64).sqrt();
        let interval = slope.interval.unwrap();
        assert!((interval.high - slope.value - half).abs() < 1e-6);
    }

    #[test]
    fn what_has_no_slope_has_none() {
        assert!(growth(&[(1.0, 2.0)]).is_none());
        assert!(growth(&[(1.0, 2.0), (1.0, 3.0)]).is_none());
        assert!(growth(&[(1.0, 2.0), (2.0, 0.0)]).is_none());
        assert!(
            growth(&[(1.0, 2.0), (2.0, 4.0)])
                .unwrap()
                .interval
                .is_none()
        );
    }
}
