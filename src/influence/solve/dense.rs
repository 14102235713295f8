//! Small dense factorisations, on the calling thread: their bytes do not depend on how many threads there are.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::householder::{
    apply_block_householder_sequence_on_the_left_in_place_scratch as apply_scratch,
    apply_block_householder_sequence_on_the_left_in_place_with_conj as apply_sequence,
};
use faer::linalg::matmul::matmul;
use faer::linalg::qr::no_pivoting::factor::{
    qr_in_place, qr_in_place_scratch, recommended_block_size,
};
use faer::{Accum, Conj, Mat, MatRef, Par};

use crate::influence::block::columns::parallel;

/// A = Q R with `[d, k]` A: Q `[d, min(d, k)]` with orthonormal columns whatever the rank of A, R upper
/// trapezoidal `[min(d, k), k]`. Householder reflections; 4·d·k² flops.
pub(crate) fn thin_qr(mut a: Mat<f64>) -> (Mat<f64>, Mat<f64>) {
    let (d, k) = (a.nrows(), a.ncols());
    let size = d.min(k);
    let width = recommended_block_size::<f64>(d, k);
    let mut coefficients = Mat::zeros(width, size);
    let scratch = qr_in_place_scratch::<f64>(d, k, width, Par::Seq, Default::default());
    qr_in_place(
        a.as_mut(),
        coefficients.as_mut(),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    );
    let mut q = Mat::identity(d, size);
    apply_sequence(
        a.as_ref().subcols(0, size),
        coefficients.as_ref(),
        Conj::No,
        q.as_mut(),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(apply_scratch::<f64>(d, width, size))),
    );
    let r = Mat::from_fn(size, k, |i, j| if i <= j { a[(i, j)] } else { 0.0 });
    (q, r)
}

/// Eigenvalues in rising order and eigenvectors, one a column, of a symmetric matrix of which the lower
/// triangle is read; `None` when the iteration fails, which finite numbers do not make it do. The sums
/// depend on the degree of `par`, not on the number of threads.
pub(crate) fn eigen(a: &Mat<f64>, par: Par) -> Option<(Vec<f64>, Mat<f64>)> {
    let size = a.nrows();
    let mut values = Diag::zeros(size);
    let mut vectors = Mat::zeros(size, size);
    let scratch =
        self_adjoint_evd_scratch::<f64>(size, ComputeEigenvectors::Yes, par, Default::default());
    self_adjoint_evd(
        a.as_ref(),
        values.as_mut(),
        Some(vectors.as_mut()),
        par,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .ok()?;
    let values = values.column_vector().iter().copied().collect();
    Some((values, vectors))
}

/// A B, on all threads.
pub(crate) fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    product_on(parallel(), a, b)
}

/// A B, as parallel as said.
pub(crate) fn product_on(par: Par, a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut c = Mat::zeros(a.nrows(), b.ncols());
    matmul(c.as_mut(), Accum::Replace, a, b, 1.0, par);
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest deviation of QᵀQ from I.
    fn skew(q: &Mat<f64>) -> f64 {
        let gram = product(q.transpose(), q.as_ref());
        let entry = |i, j| gram[(i, j)] - f64::from(u8::from(i == j));
        (0..q.ncols())
            .flat_map(|i| (0..q.ncols()).map(move |j| (i, j)))
            .fold(0.0, |max: f64, (i, j)| max.max(entry(i, j).abs()))
    }

    #[test]
    fn qr_is_orthonormal_at_any_rank() {
        for (d, k, rank) in [(9, 4, 4), (9, 4, 2), (3, 7, 3), (3, 7, 1), (5, 5, 0)] {
            let left = Mat::from_fn(d, rank, |i, j| ((3 * i + 5 * j) % 7) as f64 - 2.5);
            let right = Mat::from_fn(rank, k, |i, j| ((2 * i + 3 * j) % 5) as f64 - 1.5);
            let a = product(left.as_ref(), right.as_ref());
            let (q, r) = thin_qr(a.clone());
            assert_eq!((q.ncols(), r.nrows()), (d.min(k), d.min(k)));
            assert!(skew(&q) < 1e-14, "{d} {k} {rank}: {:e}", skew(&q));
            let back = product(q.as_ref(), r.as_ref());
            for j in 0..k {
                for i in 0..d {
                    assert!((back[(i, j)] - a[(i, j)]).abs() < 1e-13, "{d} {k} {rank}");
                }
            }
        }
    }

    #[test]
    fn eigenpairs_rise_and_give_the_matrix_back() {
        let a = Mat::from_fn(6, 6, |i, j| 1.0 / (1.0 + i as f64 + j as f64));
        let (values, vectors) = eigen(&a, Par::Seq).unwrap();
        assert!(values.is_sorted() && skew(&vectors) < 1e-14);
        let scaled = Mat::from_fn(6, 6, |i, j| vectors[(i, j)] * values[j]);
        let back = product(scaled.as_ref(), vectors.transpose());
        for j in 0..6 {
            for i in 0..6 {
                assert!((back[(i, j)] - a[(i, j)]).abs() < 1e-14);
            }
        }
    }
}
