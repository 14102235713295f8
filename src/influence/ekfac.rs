//! EK-FAC: the eigenbasis of K-FAC with the true second moments in it.

use super::block::Block;
use super::companions::Need;
use super::eigenbasis::{LABELS, Labels, Part, Weighted, of_block};
use super::error::InfluenceError;
use super::method::{InfluenceMethod, Preconditioner};
use super::registry::{Listed, MethodInfo, Values};
use crate::config::influence::Precision;
use crate::gradients::store::GradientStore;

/// EK-FAC: X = Q_S [(Q_Sᵀ V Q_A) / (Λ + λ)] Q_Aᵀ for V `[out, in]`, with Λ = mean_i (Q_Sᵀ g_i Q_A)² entry by entry,
/// the diagonal of the Fisher in [`kfac`](super::kfac)'s eigenbasis, and λ the block's.
///
/// Source: George et al., 2018 (arXiv 1806.03884); for influence Grosse et al., 2023 (arXiv 2308.03296). The
/// mean goes over the training gradients, or over those at sampled labels when the factors are such. Needs
/// factors collected with the gradients. A tensor of a block is treated by itself: between the tensors of one
/// block there are zeros. Cost: in³ + out³ and one pass over the gradients with 2·n·d·(in + out) operations to
/// prepare, 4·m·d·(in + out) to apply, the latter in f64 whatever the precision; in² + out² and 64·d numbers of memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ekfac {
    /// Labels that factors and second moments are taken at.
    pub labels: Labels,
}

impl Listed for Ekfac {
    const INFO: MethodInfo = MethodInfo {
        name: "ekfac",
        summary: "the Fisher's diagonal in kfac's eigenbasis; needs factors collected with the gradients",
        formula: "Q_S ((Q_Sᵀ v Q_A) / (mean_i (Q_Sᵀ g_i Q_A)² + λ)) Q_Aᵀ",
        cost: "in³ + out³ + (n + m) d (in + out)",
        memory: "in² + out² + d a matrix",
        passes: "2",
        damping: "λ_l added to the corrected eigenvalues",
        source: "George et al. 2018, arXiv 1806.03884; Grosse et al. 2023, arXiv 2308.03296",
        when: "when the model was run here, so that the factors could be collected: the diagonal in a good basis",
        options: &[LABELS],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            labels: Labels::from_values(values),
        }
    }
}

impl InfluenceMethod for Ekfac {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let parts = of_block(block, self.labels, Self::INFO.name)?;
        let moments = Moments::of(block, self.labels)?;
        let weighted = Weighted::new(parts, lambda, |part| {
            moments.in_basis(part, block.precision())
        })?;
        Ok(Box::new(weighted))
    }

    fn need(&self) -> Need {
        self.labels.need()
    }
}

/// The gradients whose second moments stand for the Fisher: the training gradients, or those at sampled labels.
pub(super) struct Moments<'a> {
    pub store: &'a GradientStore,
    /// Where the training store's tensors are in it; `None`: in the same places.
    place: Option<Vec<usize>>,
}

impl<'a> Moments<'a> {
    pub(super) fn of(block: &Block<'a>, labels: Labels) -> Result<Self, InfluenceError> {
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
    pub(super) fn tensor(&self, tensor: usize) -> usize {
        self.place.as_ref().map_or(tensor, |place| place[tensor])
    }

    /// Mean over the gradients of their squared coordinates in the eigenbasis of a tensor.
    pub(super) fn in_basis(
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
    pub(super) fn checked(
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
