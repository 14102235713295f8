//! What a method is.

use std::fmt::Debug;

use faer::Mat;
use ndarray::Array2;

use super::block::layout::BlockLayout;
use super::block::precision::Precision;
use super::block::view::Block;
use super::companions::{Companions, Need};
use super::cost::{BlockSize, Cost};
use super::diagnostics::SolverDiagnostics;
use super::error::InfluenceError;
use crate::gradients::store::TensorInfo;

/// An approximation of (F + λI)⁻¹ on one block of gradients.
pub trait InfluenceMethod: Debug + Send + Sync {
    /// Query-independent work on one block with damping `lambda` > 0.
    ///
    /// # Errors
    /// A factorisation that breaks down; the message names the block, its size and λ.
    ///
    /// # Panics
    /// When the method is a [`control`](Self::control).
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        _lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        panic!(
            "{self:?} does not work on gradients such as those of `{}`",
            block.name()
        )
    }

    /// What gives the scores in place of gradients; `None` for a method that works on gradients.
    fn control(&self) -> Option<&dyn Control> {
        None
    }

    /// Precision of the products, the contraction with the training gradients included, when `asked` is
    /// what the settings say.
    fn precision(&self, asked: Precision) -> Precision {
        asked
    }

    /// Whether the residual of an answer that does not come with one is to be measured, outside the clock.
    fn measure_residual(&self) -> bool {
        false
    }

    /// What it needs beside the gradients of the fine-tuned model.
    fn need(&self) -> Need {
        Need::Nothing
    }

    /// Whether its scores are divided by the norms of both whole gradients, over all blocks.
    fn cosine(&self) -> bool {
        false
    }

    /// What its answers would be if it were carried to convergence.
    fn limit(&self) -> Limit {
        Limit::Own
    }

    /// What its algebra costs on one block: for forecasts, as the slopes that measured times are held against, and as the
    /// work in a measured rate.
    fn cost(&self, size: &BlockSize) -> Cost;

    /// Operations on all blocks, with the iterations to be expected, and the largest workspace of a block and the scores
    /// in bytes: n examples and m queries.
    fn total_cost(
        &self,
        tensors: &[TensorInfo],
        layout: &BlockLayout,
        n: f64,
        m: f64,
    ) -> (f64, f64) {
        let costs = layout
            .blocks()
            .iter()
            .map(|block| self.cost(&BlockSize::of(block, tensors, n, m)));
        let (operations, largest) = costs.fold((0.0, 0.0f64), |(operations, largest), cost| {
            (operations + cost.operations(), largest.max(cost.bytes))
        });
        (operations, largest + 8.0 * m * n)
    }
}

/// Scores that do not come from gradients: what influence has to be better than.
pub trait Control {
    /// Scores of n training examples for each of m queries, `[m, n]`; as for influence, a larger one is more harmful,
    /// so that a similarity enters with a minus.
    fn scores(&self, beside: &Companions<'_>, shape: [usize; 2], seed: u64) -> Array2<f64>;
}

/// What a method's answers would be if it were carried to convergence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// (F + λI)⁻¹v.
    Exact,
    /// A mean of inverses in place of the inverse of a mean.
    MeanOfInverses,
    /// An approximation of its own.
    Own,
}

/// What [`InfluenceMethod::prepare`] leaves.
pub trait Preconditioner {
    /// X ≈ (F + λI)⁻¹V for queries V `[d, m]`, one query a column; of methods that project, what stands for
    /// it in the projection.
    ///
    /// # Errors
    /// As of [`InfluenceMethod::prepare`].
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError>;

    /// Of methods that project: the training gradients there, `[n, k]`, whose products with the answers of
    /// [`apply`](Self::apply), `[k, m]`, are the scores.
    fn features(&self) -> Option<&Mat<f64>> {
        None
    }
}

/// The answer to [`Preconditioner::apply`].
pub struct Applied {
    /// X, `[d, m]`.
    pub x: Mat<f64>,
    /// What the solver says of it.
    pub evidence: SolverDiagnostics,
}

impl From<Mat<f64>> for Applied {
    /// An answer in closed form, without evidence.
    fn from(x: Mat<f64>) -> Self {
        Self {
            x,
            evidence: SolverDiagnostics::default(),
        }
    }
}
