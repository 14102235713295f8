//! Queries as a method preconditions them, kept to score what is known only after the method has run.

use faer::Mat;
use ndarray::Array2;

use super::parts::{PartScores, Parts};
use crate::gradients::store::GradientStore;
use crate::influence::block::layout::BlockShape;
use crate::influence::block::precision::Precision;
use crate::influence::error::InfluenceError;

/// (F + λI)⁻¹v of some queries on all blocks, as a method computed it: what scores anything else with the same method,
/// once it is known what that is.
#[derive(Clone, Debug)]
pub struct PreconditionedQueries {
    queries: usize,
    seed: u64,
    blocks: Vec<Preconditioned>,
    /// Squared norms of the training gradients and of the queries, of a method that gives cosines.
    pub(super) norms: Option<(Vec<f64>, Vec<f64>)>,
}

/// One block of [`PreconditionedQueries`].
#[derive(Clone, Debug)]
struct Preconditioned {
    shape: BlockShape,
    precision: Precision,
    /// `[d, queries]`.
    x: Mat<f64>,
    /// What the products are multiplied by.
    factor: f64,
}

impl PreconditionedQueries {
    pub(super) fn new(queries: usize, seed: u64) -> Self {
        Self {
            queries,
            seed,
            blocks: Vec::new(),
            norms: None,
        }
    }

    pub(super) fn add(
        &mut self,
        shape: &BlockShape,
        precision: Precision,
        x: &Mat<f64>,
        factor: f64,
    ) {
        self.queries = self.queries.min(x.ncols());
        self.blocks.push(Preconditioned {
            shape: shape.clone(),
            precision,
            x: x.subcols(0, self.queries).to_owned(),
            factor,
        });
    }

    /// Scores `[queries, parts]` of parts of the examples of `train`, whose gradients the method was run on.
    ///
    /// # Errors
    /// Other tensors, or parts of examples that are not there.
    pub fn scores(
        &self,
        train: &GradientStore,
        parts: Parts<'_>,
    ) -> Result<Array2<f64>, InfluenceError> {
        let mut scores = PartScores::new(train, parts, self.queries)?;
        for block in &self.blocks {
            let Preconditioned {
                shape,
                precision,
                x,
                factor,
            } = block;
            scores.add(shape, *precision, self.seed, x, *factor);
        }
        if let Some((train, query)) = &self.norms {
            scores.divide(train, &query[..self.queries]);
        }
        Ok(scores.finish())
    }
}
