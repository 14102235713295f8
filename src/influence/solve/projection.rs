//! Random projections, and exact influence among projected gradients.

use std::str::FromStr;

use faer::Mat;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::cholesky::Cholesky;
use super::dense::product;
use crate::influence::block::columns::{combine, parallel};
use crate::influence::block::precision::add_square;
use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::Applied;
use crate::influence::registry::Allowed;
use crate::random::rng;

/// What the entries of a projection P, `[k, d]`, are.
///
/// All keep lengths: `E[PᵀP] = I`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Independent normal numbers of variance 1/k.
    #[default]
    Gaussian,
    /// ±1/√k with equal chances.
    Rademacher,
    /// Orthonormal rows of a random direction, times √(d/k): a rotation at k = d.
    Orthonormal,
}

impl Kind {
    /// Names, for the tables of options.
    pub const ALLOWED: Allowed = Allowed::Word(&["gaussian", "rademacher", "orthonormal"]);

    /// Pᵀ, `[d, k]`, drawn for `purpose`. Orthonormal rows are at most d.
    pub(crate) fn draw(self, d: usize, k: usize, seed: u64, purpose: &str) -> Mat<f64> {
        let mut random = rng(seed, "projection", purpose);
        let scale = 1.0 / (k as f64).sqrt();
        match self {
            Self::Gaussian => Mat::from_fn(d, k, |_, _| {
                let value: f64 = StandardNormal.sample(&mut random);
                scale * value
            }),
            Self::Rademacher => Mat::from_fn(d, k, |_, _| {
                if random.random::<bool>() {
                    scale
                } else {
                    -scale
                }
            }),
            Self::Orthonormal => {
                let gaussian =
                    Mat::<f64>::from_fn(d, k.min(d), |_, _| StandardNormal.sample(&mut random));
                let stretch = (d as f64 / k.min(d) as f64).sqrt();
                let mut q = gaussian.qr().compute_thin_Q();
                q *= faer::Scale(stretch);
                q
            }
        }
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "gaussian" => Ok(Self::Gaussian),
            "rademacher" => Ok(Self::Rademacher),
            "orthonormal" => Ok(Self::Orthonormal),
            _ => Err(()),
        }
    }
}

/// (F̂ + λI)⁻¹ with F̂ = ΦᵀΦ/n of projected gradients Φ, `[n, k]`, through the smaller of k×k and n×n.
pub(crate) struct Projected {
    pub features: Mat<f64>,
    lambda: f64,
    factor: Cholesky,
    dual: bool,
}

impl Projected {
    /// Factorises; n·k² + k³/3 or n²·k + n³/3 flops.
    ///
    /// # Errors
    /// λ below rounding error.
    pub fn new(block: &Block<'_>, features: Mat<f64>, lambda: f64) -> Result<Self, InfluenceError> {
        let (n, k) = (features.nrows(), features.ncols());
        let dual = n < k;
        let size = n.min(k);
        let (matrix, weight, shift) = if dual {
            (features.as_ref(), 1.0, n as f64 * lambda)
        } else {
            (features.transpose(), 1.0 / n as f64, lambda)
        };
        // Cholesky reads the lower triangle, and that is all there is
        let mut gram = Mat::<f64>::zeros(size, size);
        add_square(gram.as_mut(), matrix, parallel());
        gram *= faer::Scale(weight);
        (0..size).for_each(|i| gram[(i, i)] += shift);
        let factor = Cholesky::new(gram, parallel()).map_err(|pivot| {
            InfluenceError::NotPositiveDefinite {
                block: block.name().to_owned(),
                matrix: "projected F + λI",
                size,
                pivot,
                lambda,
            }
        })?;
        Ok(Self {
            features,
            lambda,
            factor,
            dual,
        })
    }

    /// (F̂ + λI)⁻¹U for projected queries U, `[k, m]`.
    pub fn solve(&self, mut u: Mat<f64>) -> Applied {
        if !self.dual {
            self.factor.solve(u.as_mut(), parallel());
            return u.into();
        }
        let mut c = product(self.features.as_ref(), u.as_ref());
        self.factor.solve(c.as_mut(), parallel());
        let mut y = product(self.features.transpose(), c.as_ref());
        combine(&u, &mut y, |u, y| (u - y) / self.lambda);
        y.into()
    }
}

/// The cost of exact influence among k projected dimensions, with the operations of the projection and the contraction
/// there.
pub(crate) fn cost(size: &BlockSize, k: f64, projection: f64) -> Cost {
    let (n, m, d) = (size.examples, size.queries, size.dim);
    let small = n.min(k);
    let solve = n * k * small + small.powi(3) / 3.0 + 2.0 * m * small * small;
    Cost {
        fixed: projection + solve + 2.0 * m * n * k,
        step: 0.0,
        steps: 0.0,
        bytes: 8.0 * (k * (d + n) + small * small + 2.0 * m * d),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_kept_on_average() {
        let (d, k) = (60, 40);
        for kind in [Kind::Gaussian, Kind::Rademacher, Kind::Orthonormal] {
            let p = kind.draw(d, k, 3, "test");
            assert_eq!((p.nrows(), p.ncols()), (d, k));
            // E tr(PᵀP) = d, with a relative spread of √(2/(k·d)) at most
            let trace = p.squared_norm_l2();
            let spread = (2.0 / (k * d) as f64).sqrt();
            assert!(
                (trace / d as f64 - 1.0).abs() < 5.0 * spread,
                "{kind:?}: {trace}"
            );
            assert_eq!(p, kind.draw(d, k, 3, "test"));
            assert_ne!(p, kind.draw(d, k, 4, "test"));
        }
        let rotation = Kind::Orthonormal.draw(7, 9, 0, "test");
        assert_eq!(rotation.ncols(), 7);
        let off = (rotation.transpose() * &rotation - Mat::<f64>::identity(7, 7)).norm_l2();
        assert!(off < 1e-14, "{off}");
    }
}
