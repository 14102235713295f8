//! The Fisher's diagonal only.

use faer::Mat;

use super::block::Block;
use super::element::contiguous_mut;
use super::error::InfluenceError;
use super::method::{Applied, InfluenceMethod, Preconditioner};
use super::registry::{Listed, MethodInfo, Values};

/// Diagonal Fisher: X = V/(diag F + λ), entry by entry, with (diag F)_j = Σ_i g_ij²/n.
///
/// Source: the diagonal empirical Fisher of natural-gradient and continual-learning work. Cost: n·d to
/// prepare, m·d to apply; d numbers of memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiagonalFisher;

impl Listed for DiagonalFisher {
    const INFO: MethodInfo = MethodInfo {
        name: "diagonal_fisher",
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
}

/// V times a diagonal.
pub(super) struct Diagonal {
    /// 1/(diag F + λ).
    pub inverse: Vec<f64>,
}

impl Preconditioner for Diagonal {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let mut x = v.clone();
        for j in 0..x.ncols() {
            contiguous_mut(x.as_mut().col_mut(j))
                .iter_mut()
                .zip(&self.inverse)
                .for_each(|(x, inverse)| *x *= inverse);
        }
        Ok(x.into())
    }
}
