//! The diagonal Fisher as kronfluence has it.

use super::kronfluence::{DAMPING, KronfluenceDamping, LABELS, VERSION};
use crate::influence::block::layout::{BlockShape, TensorSpan};
use crate::influence::block::precision::Precision;
use crate::influence::block::view::Block;
use crate::influence::companions::Need;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Listed, MethodInfo, Values, plain};
use crate::influence::solve::diagonal::Diagonal;
use crate::influence::solve::kronecker::Labels;
use crate::influence::solve::second_moments::Moments;

/// kronfluence's diagonal strategy: X = V/(mean_i g_i² + λ), entry by entry, as
/// [`DiagonalFisher`](crate::influence::methods::diagonal_fisher::DiagonalFisher), but over gradients at **labels drawn from the
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
        title: "Diagonal as in kronfluence",
        look: None,
        variant: plain,
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
                segments: vec![TensorSpan {
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

    fn cost(&self, size: &BlockSize) -> Cost {
        let (n, m, d) = (size.examples, size.queries, size.dim);
        Cost::once(size, 2.0 * n * d + m * d, d)
    }
}
