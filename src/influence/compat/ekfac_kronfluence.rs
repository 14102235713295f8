//! EK-FAC as kronfluence has it.

use super::kronfluence::{DAMPING, KronfluenceDamping, LABELS, VERSION};
use crate::influence::block::view::Block;
use crate::influence::companions::Need;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Listed, MethodInfo, Values, plain};
use crate::influence::solve::kronecker::{self, Labels, Weighted};
use crate::influence::solve::second_moments::Moments;

/// kronfluence's EK-FAC, its default strategy: X = Q_S [(Q_Sᵀ V Q_A) / (Λ + λ)] Q_Aᵀ with Λ = mean_i (Q_Sᵀ g_i Q_A)² as
/// in [`Ekfac`](crate::influence::methods::ekfac::Ekfac), but at **labels drawn from the model** and with **λ = 1e-8**. Its
/// heuristic is λ = 0.1·mean Λ, which at the data's labels is 0.1·tr F/d: our λ_l, so that with
/// `labels=empirical,damping=heuristic` it is our method when a block is a matrix.
///
/// The library draws labels anew for the factors and for Λ; here both are of one draw. It rounds eigenvectors and
/// 1/(Λ + λ) to f32 unless told otherwise, and sees at most 100,000 examples; neither is imitated.
///
/// Source: kronfluence 1.0.1, `factor/config.py`, `Ekfac`. Cost: as [`Ekfac`](crate::influence::methods::ekfac::Ekfac).
#[derive(Clone, Debug, PartialEq)]
pub struct EkfacKronfluence {
    /// Labels that factors and second moments are taken at.
    pub labels: Labels,
    /// λ.
    pub damping: KronfluenceDamping,
}

impl Listed for EkfacKronfluence {
    const INFO: MethodInfo = MethodInfo {
        name: "ekfac_kronfluence",
        title: "EK-FAC as in kronfluence",
        look: None,
        variant: plain,
        summary: "kronfluence's EK-FAC: labels drawn from the model, a constant damping or 0.1 times its mean eigenvalue",
        formula: "Q_S ((Q_Sᵀ v Q_A) / (Λ + c)) Q_Aᵀ, Λ = mean_i (Q_Sᵀ g_i Q_A)², c constant or 0.1 mean Λ",
        cost: "in³ + out³ + (n + m) d (in + out)",
        memory: "in² + out² + d a matrix",
        passes: "2",
        damping: "a constant added to the corrected eigenvalues; heuristic: 0.1 times their mean; auto: λ_l",
        source: VERSION,
        when: "to explain figures published with kronfluence",
        options: &[LABELS, DAMPING],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            labels: Labels::from_values(values),
            damping: KronfluenceDamping::from_values(values),
        }
    }
}

impl InfluenceMethod for EkfacKronfluence {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let moments = Moments::of(block, self.labels)?;
        Weighted::prepare(block, self.labels, Self::INFO.name, 0.0, |part| {
            let squares = moments.in_basis(part, block.precision())?;
            Ok(self.damping.added(squares, lambda))
        })
    }

    fn need(&self) -> Need {
        self.labels.need()
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        kronecker::cost(size, 1.0)
    }
}
