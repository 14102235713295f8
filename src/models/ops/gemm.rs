//! Products of strided matrices in memory.

use std::mem::MaybeUninit;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// A strided matrix: element (i, j) is `data[i·rows + j·cols]`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    /// Numbers, from the first element on.
    pub data: &'a [f32],
    /// Distance between rows.
    pub rows: usize,
    /// Distance between columns.
    pub cols: usize,
}

impl<'a> Matrix<'a> {
    /// Row-major with `width` columns.
    pub fn row_major(data: &'a [f32], width: usize) -> Self {
        Self {
            data,
            rows: width,
            cols: 1,
        }
    }

    /// The transpose.
    pub fn t(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
        }
    }

    fn covers(&self, rows: usize, cols: usize) -> bool {
        covers(self.data.len(), [self.rows, self.cols], [rows, cols])
    }
}

fn covers(length: usize, strides: [usize; 2], [rows, cols]: [usize; 2]) -> bool {
    rows == 0 || cols == 0 || (rows - 1) * strides[0] + (cols - 1) * strides[1] < length
}

/// Panics unless `out` (rows `stride` apart), `lhs` and `rhs` hold the matrices of a product `m × k` by
/// `k × n`.
pub fn check([m, n, k]: [usize; 3], out: usize, stride: usize, lhs: Matrix, rhs: Matrix) {
    assert!(
        lhs.covers(m, k) && rhs.covers(k, n) && covers(out, [stride, 1], [m, n]) && stride >= n,
        "a matrix product within its buffers"
    );
}

/// Products below this many multiplications stay on one thread.
const PARALLEL: usize = 192 * 192 * 192;

/// `out = lhs · rhs`, or `out += lhs · rhs` with `accumulate`; `out` is `m × n` with rows `stride` apart.
///
/// By faer, which was measured at one and a half times the speed of the pure-Rust device's own product.
pub fn gemm(
    [m, n, k]: [usize; 3],
    out: &mut [MaybeUninit<f32>],
    stride: usize,
    lhs: Matrix,
    rhs: Matrix,
    accumulate: bool,
) {
    check([m, n, k], out.len(), stride, lhs, rhs);
    let parallelism = if m * n * k >= PARALLEL && rayon::current_num_threads() > 1 {
        Par::rayon(0)
    } else {
        Par::Seq
    };
    let accumulate = if accumulate {
        Accum::Add
    } else {
        Accum::Replace
    };
    // SAFETY: the check above keeps every element of the three matrices within its slice, and
    // `stride >= n` keeps the rows of the output apart. With `Replace` the output is only written.
    unsafe {
        let lhs = MatRef::from_raw_parts(
            lhs.data.as_ptr(),
            m,
            k,
            lhs.rows as isize,
            lhs.cols as isize,
        );
        let rhs = MatRef::from_raw_parts(
            rhs.data.as_ptr(),
            k,
            n,
            rhs.rows as isize,
            rhs.cols as isize,
        );
        let out =
            MatMut::from_raw_parts_mut(out.as_mut_ptr().cast::<f32>(), m, n, stride as isize, 1);
        matmul(out, accumulate, lhs, rhs, 1.0, parallelism);
    }
}

/// Numbers that are all there, as an output that may be written.
pub fn initialised(values: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    // SAFETY: the two have the same layout, and the products here never leave an element uninitialised.
    unsafe { &mut *(std::ptr::from_mut(values) as *mut [MaybeUninit<f32>]) }
}

/// Outputs that have been written, as numbers.
///
/// # Safety
/// Every element was written.
pub unsafe fn written(values: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    // SAFETY: the same layout; the caller says that all are initialised.
    unsafe { &mut *(std::ptr::from_mut(values) as *mut [f32]) }
}

/// A buffer whose `count` numbers `fill` writes.
///
/// # Safety
/// `fill` writes every one of them.
pub unsafe fn buffer(count: usize, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut values = Vec::with_capacity(count);
    fill(&mut values.spare_capacity_mut()[..count]);
    // SAFETY: the caller says that all were written.
    unsafe { values.set_len(count) };
    values
}
