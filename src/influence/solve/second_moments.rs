//! Second moments of the gradients at the data's labels or at sampled ones, which EK-FAC and the diagonals take.

use super::kronecker::{Labels, Part};
use crate::gradients::store::GradientStore;
use crate::influence::block::precision::Precision;
use crate::influence::block::view::Block;
use crate::influence::error::InfluenceError;

/// The gradients whose second moments stand for the Fisher: the training gradients, or those at sampled labels.
pub(crate) struct Moments<'a> {
    pub store: &'a GradientStore,
    /// Where the training store's tensors are in it; `None`: in the same places.
    place: Option<Vec<usize>>,
}

impl<'a> Moments<'a> {
    pub(crate) fn of(block: &Block<'a>, labels: Labels) -> Result<Self, InfluenceError> {
        Ok(match (labels, block.companions().sampled) {
            (Labels::Sampled, Some(sampled)) => Self {
                store: sampled.gradients,
                place: Some(block.store().matching(sampled.gradients)?),
            },
            _ => Self {
                store: block.store(),
                place: None,
            },
        })
    }

    /// Index of a tensor of the training gradients.
    pub(crate) fn tensor(&self, tensor: usize) -> usize {
        self.place.as_ref().map_or(tensor, |place| place[tensor])
    }

    /// Mean over the gradients of their squared coordinates in the eigenbasis of a tensor.
    pub(crate) fn in_basis(
        &self,
        part: &Part,
        precision: Precision,
    ) -> Result<Vec<f64>, InfluenceError> {
        let tensor = self.tensor(part.segment.tensor);
        let means = match precision {
            Precision::F32 => part.basis.mean_squares::<f32>(self.store, tensor),
            Precision::F64 => part.basis.mean_squares::<f64>(self.store, tensor),
        };
        self.checked(tensor, means)
    }

    /// Means over the gradients of one tensor of this store, or the error that names a gradient that is not finite:
    /// the training gradients are known to be, the others are not.
    pub(crate) fn checked(
        &self,
        tensor: usize,
        means: Vec<f64>,
    ) -> Result<Vec<f64>, InfluenceError> {
        let finite = means.iter().sum::<f64>().is_finite();
        let found = || self.store.non_finite(tensor, 0..self.store.rows());
        match (!finite).then(found).flatten() {
            Some(error) => Err(error.into()),
            None => Ok(means),
        }
    }
}
