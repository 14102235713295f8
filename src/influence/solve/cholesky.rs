//! Cholesky factorisation in place, in f64.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::{Mat, MatMut, Par};

/// L of A = L Lᵀ, in the lower triangle; the upper is unused.
pub(crate) struct Cholesky(Mat<f64>);

impl Cholesky {
    /// Factorises the lower triangle of `a`, in its own memory.
    ///
    /// # Errors
    /// The index of the first pivot that is not positive.
    pub(crate) fn new(mut a: Mat<f64>, par: Par) -> Result<Self, usize> {
        let scratch =
            llt::factor::cholesky_in_place_scratch::<f64>(a.nrows(), par, Default::default());
        let mut memory = MemBuffer::new(scratch);
        let stack = MemStack::new(&mut memory);
        llt::factor::cholesky_in_place(
            a.as_mut(),
            Default::default(),
            par,
            stack,
            Default::default(),
        )
        .map_err(|llt::factor::LltError::NonPositivePivot { index }| index)?;
        Ok(Self(a))
    }

    /// A⁻¹ B in the memory of B, `[size, k]`.
    pub(crate) fn solve(&self, b: MatMut<'_, f64>, par: Par) {
        let scratch = llt::solve::solve_in_place_scratch::<f64>(self.0.nrows(), b.ncols(), par);
        let mut memory = MemBuffer::new(scratch);
        llt::solve::solve_in_place(self.0.as_ref(), b, par, MemStack::new(&mut memory));
    }
}
