//! kronfluence's strategies, where they differ from ours: labels drawn from the model, a constant damping or one
//! from the strategy's own eigenvalues, and for K-FAC another count in the factors.
//!
//! Its fourth strategy, identity, is [`HessianFree`](crate::influence::hessian_free::HessianFree) with the other
//! sign. A module is a tensor here, whatever the blocks are; kronfluence takes a module's bias with its weight, and
//! adapters have none.

use super::Damping;
use crate::config::influence::Precision;
use crate::influence::block::Block;
use crate::influence::companions::Need;
use crate::influence::diagonal_fisher::Diagonal;
use crate::influence::eigenbasis::{self, Labels, Weighted, of_block, of_tensor};
use crate::influence::ekfac::Moments;
use crate::influence::error::InfluenceError;
use crate::influence::layout::{BlockShape, Segment};
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Allowed, Listed, MethodInfo, OptionInfo, Values};

const VERSION: &str = "kronfluence 1.0.1; Grosse et al. 2023, arXiv 2308.03296";

/// The labels that the library takes when it is not asked for the empirical Fisher.
const LABELS: OptionInfo = OptionInfo {
    default: "sampled",
    ..eigenbasis::LABELS
};

const DAMPING: OptionInfo = OptionInfo {
    key: "damping",
    default: "1e-8",
    allowed: Allowed::NumberOr(&["heuristic", "auto"]),
    help: "λ: one constant; heuristic is the library's 0.1 times the mean of its own eigenvalues; auto is our λ of each block",
};

/// Where the damping of a strategy comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KronfluenceDamping {
    /// One constant for all, or our λ_l.
    Given(Damping),
    /// 0.1 times the mean of the tensor's own eigenvalues: `damping_factor=None` there.
    Heuristic,
}

impl KronfluenceDamping {
    fn from_values(values: &Values) -> Self {
        match values.word(DAMPING.key) {
            Some("heuristic") => Self::Heuristic,
            _ => Self::Given(Damping::from_values(values)),
        }
    }

    /// Λ of a tensor with the damping in it.
    fn added(self, mut curvatures: Vec<f64>, lambda: f64) -> Vec<f64> {
        let damping = match self {
            Self::Given(damping) => damping.of(lambda),
            Self::Heuristic => 0.1 * curvatures.iter().sum::<f64>() / curvatures.len() as f64,
        };
        curvatures.iter_mut().for_each(|value| *value += damping);
        curvatures
    }
}

/// kronfluence's EK-FAC, its default strategy: X = Q_S [(Q_Sᵀ V Q_A) / (Λ + λ)] Q_Aᵀ with Λ = mean_i (Q_Sᵀ g_i Q_A)² as
/// in [`Ekfac`](crate::influence::ekfac::Ekfac), but at **labels drawn from the model** and with **λ = 1e-8**. Its
/// heuristic is λ = 0.1·mean Λ, which at the data's labels is 0.1·tr F/d: our λ_l, so that with
/// `labels=empirical,damping=heuristic` it is our method when a block is a matrix.
///
/// The library draws labels anew for the factors and for Λ; here both are of one draw. It rounds eigenvectors and
/// 1/(Λ + λ) to f32 unless told otherwise, and sees at most 100,000 examples; neither is imitated.
///
/// Source: kronfluence 1.0.1, `factor/config.py`, `Ekfac`. Cost: as [`Ekfac`](crate::influence::ekfac::Ekfac).
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
        let parts = of_block(block, self.labels, Self::INFO.name)?;
        let moments = Moments::of(block, self.labels)?;
        let weighted = Weighted::new(parts, 0.0, |part| {
            let squares = moments.in_basis(part, block.precision())?;
            Ok(self.damping.added(squares, lambda))
        })?;
        Ok(Box::new(weighted))
    }

    fn need(&self) -> Need {
        self.labels.need()
    }
}

/// kronfluence's K-FAC: X = Q_S [(Q_Sᵀ V Q_A) / (λ_S ⊗ λ_A/t + λ)] Q_Aᵀ with the eigenvalues of our
/// [factors](crate::gradients::factors) A and S and t tokens an example: it **divides S by the number of tokens, too**,
/// where the Fisher of an example's whole gradient asks for the number of examples, so that its Fisher is t times too
/// small. At **labels drawn from the model**, with **λ = 1e-8**, or by its heuristic 0.1·mean(λ_S ⊗ λ_A)/t, which
/// makes scores t times those of the same rule on our factors.
///
/// A layer whose loss depends on its output at one position alone, as the last of a classifier, has all its positions
/// among kronfluence's tokens and one among ours. What is said of
/// [`EkfacKronfluence`]'s precision and draws holds here, too.
///
/// Source: kronfluence 1.0.1, `factor/config.py`, `Kfac`; `factor/eigen.py`, `perform_eigendecomposition`. Cost: as
/// [`Kfac`](crate::influence::kfac::Kfac). Needs factors that say how many tokens an example has.
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
        let parts = of_block(block, self.labels, Self::INFO.name)?;
        let factors = self.labels.factors(&block.companions(), Self::INFO.name)?;
        let weighted = Weighted::new(parts, 0.0, |part| {
            let info = &block.store().tensors()[part.segment.tensor];
            let tokens = of_tensor(factors, &info.name, &info.shape)?.tokens;
            let tokens = tokens.ok_or_else(|| InfluenceError::Companion {
                tensor: info.name.clone(),
                reason: format!(
                    "its Kronecker factors do not say how many tokens an example has, which {} divides by (`{}.tokens`)",
                    Self::INFO.name,
                    info.name
                ),
            })?;
            let products = part.basis.products().into_iter();
            let products = products.map(|product| product / tokens).collect();
            Ok(self.damping.added(products, lambda))
        })?;
        Ok(Box::new(weighted))
    }

    fn need(&self) -> Need {
        self.labels.need()
    }
}

/// kronfluence's diagonal strategy: X = V/(mean_i g_i² + λ), entry by entry, as
/// [`DiagonalFisher`](crate::influence::diagonal_fisher::DiagonalFisher), but over gradients at **labels drawn from the
/// model** and with **λ = 1e-8**, or 0.1 times the mean of the diagonal, which at the data's labels is our λ_l.
///
/// Source: kronfluence 1.0.1, `factor/config.py`, `Diagonal`. Cost: n·d to prepare, m·d to apply; d numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct DiagonalKronfluence {
    /// Labels that the second moments are taken at.
    pub labels: Labels,
    /// λ.
    pub damping: KronfluenceDamping,
}

impl Listed for DiagonalKronfluence {
    const INFO: MethodInfo = MethodInfo {
        name: "diagonal_kronfluence",
        summary: "kronfluence's diagonal: labels drawn from the model, a constant damping or 0.1 times its mean",
        formula: "v/(mean_i g_i² + c), c constant or 0.1 times the mean of the diagonal",
        cost: "n d",
        memory: "d",
        passes: "2",
        damping: "a constant on every diagonal entry; heuristic: 0.1 times their mean; auto: λ_l",
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

impl InfluenceMethod for DiagonalKronfluence {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let moments = Moments::of(block, self.labels)?;
        let mut inverse = Vec::with_capacity(block.dim());
        for segment in block.segments() {
            let tensor = moments.tensor(segment.tensor);
            let alone = BlockShape {
                name: block.name().to_owned(),
                segments: vec![Segment {
                    tensor,
                    offset: 0,
                    dim: segment.dim,
                }],
                dim: segment.dim,
            };
            let n = moments.store.rows() as f64;
            let rows = Block::new(moments.store, &alone, Precision::F64, 1, block.seed());
            let squares = rows.column_squares().into_iter();
            let means = moments.checked(tensor, squares.map(|sum| sum / n).collect())?;
            let damped = self.damping.added(means, lambda);
            inverse.extend(damped.into_iter().map(|value| 1.0 / value));
        }
        Ok(Box::new(Diagonal { inverse }))
    }

    fn need(&self) -> Need {
        match self.labels {
            Labels::Empirical => Need::Nothing,
            Labels::Sampled => Need::Sampled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heuristic_is_a_tenth_of_the_mean() {
        let curvatures = vec![1.0, 2.0, 6.0];
        let added = |damping: KronfluenceDamping| damping.added(curvatures.clone(), 0.5);
        let constant = KronfluenceDamping::Given(Damping::Constant(0.25));
        let ours = KronfluenceDamping::Given(Damping::Block);
        assert_eq!(added(constant), [1.25, 2.25, 6.25]);
        assert_eq!(added(ours), [1.5, 2.5, 6.5]);
        let expected = [1.0, 2.0, 6.0].map(|value| value + 0.1 * 9.0 / 3.0);
        assert_eq!(added(KronfluenceDamping::Heuristic), expected);
    }
}
