//! LiSSA's iteration with the damping kept apart.

use faer::Mat;

use crate::influence::block::columns::{column, combine};
use crate::influence::block::view::Block;
use crate::influence::diagnostics::SolverDiagnostics;
use crate::influence::error::InfluenceError;
use crate::influence::method::{Applied, Preconditioner};

/// r ← v + keep·r − F r/s, result r/s.
pub(super) struct FixedPoint<'a> {
    pub block: &'a Block<'a>,
    pub keep: f64,
    pub scale: f64,
    pub iterations: usize,
    /// Relative change of every entry below which it stops; 0 never stops.
    pub tolerance: f64,
}

impl Preconditioner for FixedPoint<'_> {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let inverse = 1.0 / self.scale;
        let mut r = v.clone();
        let mut steps = 0;
        while steps < self.iterations {
            let mut next = self.block.fisher_vector_product(&r);
            combine(&r, &mut next, |r, f| self.keep * r - f * inverse);
            combine(v, &mut next, |v, x| v + x);
            steps += 1;
            let settled = self.tolerance > 0.0 && settled(&r, &next, self.tolerance);
            r = next;
            if settled {
                break;
            }
        }
        combine(v, &mut r, |_, r| r * inverse);
        let evidence = SolverDiagnostics {
            iterations: Some(steps),
            ..SolverDiagnostics::default()
        };
        Ok(Applied { x: r, evidence })
    }
}

/// Whether no entry changed by `tolerance` of its new value or more; 0/0 and NaN have not settled.
pub(super) fn settled(r: &Mat<f64>, next: &Mat<f64>, tolerance: f64) -> bool {
    (0..r.ncols()).all(|j| {
        column(r.as_ref(), j)
            .iter()
            .zip(column(next.as_ref(), j))
            .all(|(r, next)| ((next - r) / next).abs() < tolerance)
    })
}
