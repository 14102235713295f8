//! EK-FAC: the eigenbasis of K-FAC with the true second moments in it.

use crate::influence::block::view::Block;
use crate::influence::companions::Need;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Listed, MethodInfo, Values};
use crate::influence::solve::kronecker::{self, LABELS, Labels, Weighted};
use crate::influence::solve::second_moments::Moments;
use crate::look::{Dash, Look, Marker};

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
        title: "EK-FAC",
        look: Some(Look::new([0x88, 0x22, 0x55], Marker::Plus, Dash::Solid)),
        variant: kronecker::by_labels,
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
        let moments = Moments::of(block, self.labels)?;
        Weighted::prepare(block, self.labels, Self::INFO.name, lambda, |part| {
            moments.in_basis(part, block.precision())
        })
    }

    fn need(&self) -> Need {
        self.labels.need()
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        kronecker::cost(size, 1.0)
    }
}
