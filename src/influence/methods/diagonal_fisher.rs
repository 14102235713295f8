//! The Fisher's diagonal only.

use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Listed, MethodInfo, Values, plain};
use crate::influence::solve::diagonal::Diagonal;
use crate::look::{Dash, Look, Marker};

/// Diagonal Fisher: X = V/(diag F + λ), entry by entry, with (diag F)_j = Σ_i g_ij²/n.
///
/// Source: the diagonal empirical Fisher of natural-gradient and continual-learning work. Cost: n·d to
/// prepare, m·d to apply; d numbers of memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiagonalFisher;

impl Listed for DiagonalFisher {
    const INFO: MethodInfo = MethodInfo {
        name: "diagonal_fisher",
        title: "Diagonal Fisher",
        look: Some(Look::new([0xcc, 0x79, 0xa7], Marker::Down, Dash::Dashed)),
        variant: plain,
        summary: "the Fisher's diagonal inverted entry by entry",
        formula: "v/(diag F + λ)",
        cost: "n d",
        memory: "d",
        passes: "2",
        damping: "λ_l on every diagonal entry",
        source: "the diagonal empirical Fisher of natural-gradient work",
        when: "hardly ever: as a cheap control between hessian_free and kfac",
        options: &[],
    };

    fn from_values(_: &Values) -> Self {
        Self
    }
}

impl InfluenceMethod for DiagonalFisher {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let n = block.rows() as f64;
        let inverse = block
            .column_squares()
            .into_iter()
            .map(|sum| 1.0 / (sum / n + lambda))
            .collect();
        Ok(Box::new(Diagonal { inverse }))
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        let (n, m, d) = (size.examples, size.queries, size.dim);
        Cost::once(size, 2.0 * n * d + m * d, d)
    }
}
