//! K-FAC as kronfluence has it.

use super::kronfluence::{DAMPING, KronfluenceDamping, LABELS, VERSION};
use crate::influence::block::view::Block;
use crate::influence::companions::{Need, of_tensor};
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Listed, MethodInfo, Values, plain};
use crate::influence::solve::kronecker::{self, Labels, Weighted};
use crate::input::quote;

/// kronfluence's K-FAC: X = Q_S [(Q_Sᵀ V Q_A) / (λ_S ⊗ λ_A/t + λ)] Q_Aᵀ with the eigenvalues of our
/// [factors](crate::gradients::factors) A and S and t tokens an example: it **divides S by the number of tokens, too**,
/// where the Fisher of an example's whole gradient asks for the number of examples, so that its Fisher is t times too
/// small. At **labels drawn from the model**, with **λ = 1e-8**, or by its heuristic 0.1·mean(λ_S ⊗ λ_A)/t, which
/// makes scores t times those of the same rule on our factors.
///
/// A layer whose loss depends on its output at one position alone, as the last of a classifier, has all its positions
/// among kronfluence's tokens and one among ours. What is said of
/// [`EkfacKronfluence`](super::ekfac_kronfluence::EkfacKronfluence)'s precision and draws holds here, too.
///
/// Source: kronfluence 1.0.1, `factor/config.py`, `Kfac`; `factor/eigen.py`, `perform_eigendecomposition`. Cost: as
/// [`Kfac`](crate::influence::methods::kfac::Kfac). Needs factors that say how many tokens an example has.
#[derive(Clone, Debug, PartialEq)]
pub struct KfacKronfluence {
    /// Labels that the factors are taken at.
    pub labels: Labels,
    /// λ.
    pub damping: KronfluenceDamping,
}

impl Listed for KfacKronfluence {
    const INFO: MethodInfo = MethodInfo {
        name: "kfac_kronfluence",
        title: "K-FAC as in kronfluence",
        look: None,
        variant: plain,
        summary: "kronfluence's K-FAC: both factors divided by tokens, labels drawn from the model, a constant damping",
        formula: "Q_S ((Q_Sᵀ v Q_A) / (λ_S ⊗ λ_A/t + c)) Q_Aᵀ, t tokens an example, c constant or 0.1 mean(λ_S ⊗ λ_A)/t",
        cost: "in³ + out³ + m d (in + out)",
        memory: "in² + out² a matrix",
        passes: "1",
        damping: "a constant added to the products of eigenvalues; heuristic: 0.1 times their mean; auto: λ_l",
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

impl InfluenceMethod for KfacKronfluence {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let factors = self.labels.factors(&block.companions(), Self::INFO.name)?;
        Weighted::prepare(block, self.labels, Self::INFO.name, 0.0, |part| {
            let info = &block.store().tensors()[part.segment.tensor];
            let tokens = of_tensor(factors, &info.name, &info.shape)?.tokens;
            let tokens = tokens.ok_or_else(|| InfluenceError::Companion {
                tensor: info.name.clone(),
                reason: format!(
                    "its Kronecker factors do not say how many tokens an example has, which {} divides by (`{}.tokens`)",
                    Self::INFO.name,
                    quote(&info.name)
                ),
            })?;
            let products = part.basis.products().into_iter();
            let products = products.map(|product| product / tokens).collect();
            Ok(self.damping.added(products, lambda))
        })
    }

    fn need(&self) -> Need {
        self.labels.need()
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        kronecker::cost(size, 0.0)
    }
}
