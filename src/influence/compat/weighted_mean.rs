//! DataInf with a weight for every example.

use faer::Mat;

use crate::influence::block::columns::scaled;
use crate::influence::block::view::Block;
use crate::influence::error::InfluenceError;
use crate::influence::method::{Applied, Preconditioner};

/// X = Σ_i w_i (g_ig_iᵀ + λI)⁻¹V = (w V − Σ_i w_i g_i (g_iᵀV)/(λ + ‖g_i‖²))/λ, w = Σ_i w_i.
pub(super) struct WeightedMean<'a> {
    pub block: &'a Block<'a>,
    pub lambda: f64,
    /// w.
    pub total: f64,
    /// w_i.
    pub weights: Vec<f64>,
}

impl Preconditioner for WeightedMean<'_> {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let lambda = self.lambda;
        let mut x = scaled(v, self.total / lambda);
        let weight = |row: usize, norm: f64| -self.weights[row] / (lambda + norm) / lambda;
        self.block.add_weighted_fisher(v, true, weight, &mut x);
        Ok(x.into())
    }
}
