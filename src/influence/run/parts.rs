//! Scores of parts of training examples, such as their tokens.

use faer::Mat;
use ndarray::Array2;

use crate::gradients::store::GradientStore;
use crate::influence::block::columns::contiguous_mut;
use crate::influence::block::layout::BlockShape;
use crate::influence::block::precision::Precision;
use crate::influence::block::view::Block;
use crate::influence::error::InfluenceError;

/// Gradients of parts of training examples, such as what every token contributes, which are scored with the same answers
/// (F + λI)⁻¹v as the examples themselves: the scores of an example's parts add up to its own.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// A row per part, of the tensors of the training gradients.
    pub gradients: &'a GradientStore,
    /// The training example that each is a part of.
    pub examples: &'a [usize],
}

impl Parts<'_> {
    /// Where the tensors of the training gradients are in those of the parts.
    ///
    /// # Errors
    /// Other tensors, or parts of examples that are not there.
    pub fn fit(&self, train: &GradientStore) -> Result<Vec<usize>, InfluenceError> {
        let place = train.matching(self.gradients)?;
        let rows = self.gradients.rows();
        if self.examples.len() != rows {
            let examples = self.examples.len();
            return Err(InfluenceError::PartCount { rows, examples });
        }
        match self
            .examples
            .iter()
            .find(|&&example| example >= train.rows())
        {
            Some(&example) => Err(InfluenceError::PartOf {
                example,
                train: train.rows(),
            }),
            None => Ok(place),
        }
    }
}

/// The scores of [`Parts`] as they grow, block by block.
pub(super) struct PartScores<'a> {
    parts: Parts<'a>,
    /// Where the tensors of the training gradients are in those of the parts.
    place: Vec<usize>,
    /// `[parts, m]`.
    scores: Mat<f64>,
}

impl<'a> PartScores<'a> {
    pub(super) fn new(
        train: &GradientStore,
        parts: Parts<'a>,
        m: usize,
    ) -> Result<Self, InfluenceError> {
        Ok(Self {
            parts,
            place: parts.fit(train)?,
            scores: Mat::zeros(parts.gradients.rows(), m),
        })
    }

    /// Adds `factor` · G x of a block.
    pub(super) fn add(
        &mut self,
        shape: &BlockShape,
        precision: Precision,
        seed: u64,
        x: &Mat<f64>,
        factor: f64,
    ) {
        let mut shape = shape.clone();
        for segment in &mut shape.segments {
            segment.tensor = self.place[segment.tensor];
        }
        let block = Block::new(self.parts.gradients, &shape, precision, x.ncols(), seed);
        block.add_scores(x, factor, self.scores.as_mut());
    }

    /// As the scores of the examples, from squared norms of their whole gradients.
    pub(super) fn divide(&mut self, train: &[f64], query: &[f64]) {
        let norms = self.parts.examples.iter().map(|&example| train[example]);
        divide(&mut self.scores, &norms.collect::<Vec<_>>(), query);
    }

    pub(super) fn finish(self) -> Array2<f64> {
        let [parts, m] = [self.scores.nrows(), self.scores.ncols()];
        Array2::from_shape_fn((m, parts), |(q, k)| self.scores[(k, q)])
    }
}

/// Scores over ‖g_k‖‖v_q‖, from squared norms; a gradient of zeros has the cosine 0 with everything.
pub(super) fn divide(scores: &mut Mat<f64>, train: &[f64], query: &[f64]) {
    for (q, &query) in query.iter().enumerate() {
        for (score, &train) in contiguous_mut(scores.as_mut().col_mut(q))
            .iter_mut()
            .zip(train)
        {
            // the square roots first: the product of two squares leaves the range of f64 sooner
            let norms = train.sqrt() * query.sqrt();
            *score = if norms > 0.0 { *score / norms } else { 0.0 };
        }
    }
}
