//! Queries times a number, or entry by entry times a vector.

use faer::Mat;

use crate::influence::block::columns::{contiguous_mut, scaled};
use crate::influence::error::InfluenceError;
use crate::influence::method::{Applied, Preconditioner};

/// V times a number.
pub(crate) struct Scaled(pub(crate) f64);

impl Preconditioner for Scaled {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        Ok(scaled(v, self.0).into())
    }
}

/// V times a diagonal.
pub(crate) struct Diagonal {
    /// 1/(diag F + λ).
    pub inverse: Vec<f64>,
}

impl Preconditioner for Diagonal {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let mut x = v.clone();
        for j in 0..x.ncols() {
            contiguous_mut(x.as_mut().col_mut(j))
                .iter_mut()
                .zip(&self.inverse)
                .for_each(|(x, inverse)| *x *= inverse);
        }
        Ok(x.into())
    }
}
