//! F ≈ U Θ Uᵀ with a few orthonormal columns U, and its damped inverse.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat};

use super::dense::product;
use crate::influence::block::columns::{combine, parallel, scale_rows};

/// U `[d, k]` with orthonormal columns and the diagonal of Θ, `[k]`, none of it negative.
pub(crate) struct LowRank {
    pub vectors: Mat<f64>,
    pub values: Vec<f64>,
}

/// What becomes of the part v⊥ = v − UUᵀv of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complement {
    /// It is left out: x = U(Θ+λI)⁻¹Uᵀv.
    Drop,
    /// F is taken for zero there: x = U(Θ+λI)⁻¹Uᵀv + v⊥/λ.
    Damp,
}

impl Complement {
    /// `drop`, else `damp`.
    pub(crate) fn of(word: Option<&str>) -> Self {
        if word == Some("drop") {
            Self::Drop
        } else {
            Self::Damp
        }
    }
}

impl LowRank {
    /// X for queries V `[d, m]`. 4·m·k·d flops.
    ///
    /// With the complement damped this is Woodbury's formula X = (V − UΘ(Θ+λI)⁻¹UᵀV)/λ.
    pub(crate) fn invert(&self, v: &Mat<f64>, lambda: f64, complement: Complement) -> Mat<f64> {
        let mut c = product(self.vectors.transpose(), v.as_ref());
        match complement {
            Complement::Drop => {
                scale_rows(&mut c, |i| 1.0 / (self.values[i] + lambda));
                product(self.vectors.as_ref(), c.as_ref())
            }
            Complement::Damp => {
                scale_rows(&mut c, |i| self.values[i] / (self.values[i] + lambda));
                let mut x = product(self.vectors.as_ref(), c.as_ref());
                combine(v, &mut x, |v, x| (v - x) / lambda);
                x
            }
        }
    }

    /// P⁻¹R = R + U((θ_k+λ)(Θ+λI)⁻¹ − I)UᵀR, θ_k the smallest kept: what makes F + λI nearly a multiple of
    /// the identity for an iteration. Source: Frangella, Tropp, Udell 2021, equation 1.3.
    pub(crate) fn condition(&self, r: &Mat<f64>, lambda: f64) -> Mat<f64> {
        let smallest = self.values.iter().copied().fold(f64::INFINITY, f64::min);
        let mut c = product(self.vectors.transpose(), r.as_ref());
        scale_rows(&mut c, |i| {
            (smallest + lambda) / (self.values[i] + lambda) - 1.0
        });
        let mut x = r.clone();
        matmul(
            x.as_mut(),
            Accum::Add,
            self.vectors.as_ref(),
            c.as_ref(),
            1.0,
            parallel(),
        );
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagonal_by_hand() {
        // U = (e₀, e₂), Θ = (3, 1)
        let vectors = Mat::from_fn(3, 2, |i, j| f64::from(u8::from(i == 2 * j)));
        let low = LowRank {
            vectors,
            values: vec![3.0, 1.0],
        };
        let v = Mat::from_fn(3, 1, |_, _| 4.0);
        let rows = |x: Mat<f64>| [x[(0, 0)], x[(1, 0)], x[(2, 0)]];
        assert_eq!(rows(low.invert(&v, 1.0, Complement::Drop)), [1.0, 0.0, 2.0]);
        assert_eq!(rows(low.invert(&v, 1.0, Complement::Damp)), [1.0, 4.0, 2.0]);
        // (1+1)/(3+1), 1, 1 times 4
        assert_eq!(rows(low.condition(&v, 1.0)), [2.0, 4.0, 4.0]);
    }
}
