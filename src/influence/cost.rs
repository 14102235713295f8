//! What a method's algebra costs, from its formula: for forecasts, as the slopes that measured times are held against,
//! and as the work in a measured rate.

use super::block::layout::{BlockShape, matrix};
use crate::gradients::store::TensorInfo;

/// Sizes of one block and of what is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockSize {
    /// Training examples n.
    pub examples: f64,
    /// Query gradients m.
    pub queries: f64,
    /// Size d.
    pub dim: f64,
    /// `[out, in]` of every tensor as a matrix.
    pub matrices: Vec<[f64; 2]>,
}

impl BlockSize {
    /// Of a block of `tensors`.
    pub fn of(block: &BlockShape, tensors: &[TensorInfo], examples: f64, queries: f64) -> Self {
        let shapes = block.segments.iter().map(|s| &tensors[s.tensor].shape);
        let matrices = shapes.map(|shape| matrix(shape).map(|side| side as f64));
        Self {
            examples,
            queries,
            dim: block.dim as f64,
            matrices: matrices.collect(),
        }
    }

    /// Σ over the tensors.
    pub(crate) fn sum(&self, of: impl Fn(f64, f64) -> f64) -> f64 {
        self.matrices.iter().map(|&[o, i]| of(o, i)).sum()
    }

    /// Operations of G times m vectors, or of their contraction: 2·m·n·d.
    pub(crate) fn product(&self) -> f64 {
        2.0 * self.queries * self.examples * self.dim
    }

    /// Whether `rank` eigenpairs are all that F has.
    pub(crate) fn keeps_all(&self, rank: usize) -> bool {
        rank as f64 >= self.examples.min(self.dim)
    }

    /// Iterations of conjugate gradients to six digits and more: as many as eigenvalues, or √κ·ln(10⁶) with the
    /// condition κ = 1 + d/0.1.
    pub(crate) fn conjugate_steps(&self) -> f64 {
        let (n, d) = (self.examples, self.dim);
        n.min(d).min(7.0 * (1.0 + 10.0 * d).sqrt())
    }
}

/// All eigenvectors of a symmetric matrix cost about this many times its cube.
pub(crate) const EIGEN: f64 = 9.0;

/// Floating-point operations and memory of a method on one block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Operations whatever the number of iterations: prepare, apply, and the contraction with the training gradients.
    pub fixed: f64,
    /// Operations of an iteration or refinement step.
    pub step: f64,
    /// Iterations to be expected; none where the method has none. What a run needed is in its
    /// [`SolverDiagnostics`](super::SolverDiagnostics).
    pub steps: f64,
    /// Largest workspace, bytes: beside gradients and scores, the queries and their answers included.
    pub bytes: f64,
}

impl Cost {
    /// Operations with the iterations to be expected.
    pub fn operations(&self) -> f64 {
        self.fixed + self.steps * self.step
    }

    /// Of a method with `operations` to prepare and to apply, and `numbers` held beside the queries and their answers.
    pub(crate) fn once(size: &BlockSize, operations: f64, numbers: f64) -> Self {
        Self::iterated(size, (operations, 0.0, 0.0), numbers)
    }

    /// Of a method that iterates: operations without the iterations, those of one, and the iterations to be expected.
    pub(crate) fn iterated(size: &BlockSize, work: (f64, f64, f64), numbers: f64) -> Self {
        let (fixed, step, steps) = work;
        Self {
            fixed: fixed + size.product(),
            step,
            steps,
            bytes: 8.0 * (numbers + 2.0 * size.queries * size.dim),
        }
    }

    /// Of a mean of rank-one inverses: norms, and two products with G.
    pub(crate) fn of_rank_ones(size: &BlockSize) -> Self {
        let (n, m, d) = (size.examples, size.queries, size.dim);
        Self::once(size, 2.0 * n * d + 2.0 * size.product(), n + m * n)
    }

    /// Of the inverses of groups of b examples, each by its b×b dual.
    pub(crate) fn of_groups(size: &BlockSize, group: usize) -> Self {
        let (n, m, d) = (size.examples, size.queries, size.dim);
        let b = (group as f64).min(n);
        let prepare = n * b * d + n * b * b / 3.0;
        let apply = 4.0 * m * n * d + 2.0 * m * n * b;
        Self::once(size, prepare + apply, n * b + m * n)
    }
}
