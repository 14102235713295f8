//! DataInf as dattri has it.

use super::settings::{Damping, damping_option};
use super::weighted_mean::WeightedMean;
use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Listed, MethodInfo, Values, plain};

/// dattri's DataInf: X = (V − (1/n) Σ_i g_i (g_iᵀV)/(λ + ‖g_i‖²))/λ with **one constant λ for all blocks**, so
/// that DataInf's weight 1/λ_l between blocks is gone, and with it the scale of each block's gradients.
///
/// Source: dattri 0.3.0, `IFAttributorDataInf.transform_test_rep`. Its default regularisation, 0, divides by
/// zero; `None` there means 0.1, the default here. dattri's blocks are a module's weight and bias together.
/// Cost: as [`DataInf`](crate::influence::methods::datainf::DataInf).
#[derive(Clone, Debug, PartialEq)]
pub struct DataInfDattri {
    /// λ; 0.1.
    pub damping: Damping,
}

impl Listed for DataInfDattri {
    const INFO: MethodInfo = MethodInfo {
        name: "datainf_dattri",
        title: "DataInf as in dattri",
        look: None,
        variant: plain,
        summary: "dattri's DataInf: one constant damping for all blocks",
        formula: "(v − (1/n) Σ_i g_i (g_iᵀv)/(c + ‖g_i‖²))/c, c constant",
        cost: "n d",
        memory: "n + m n",
        passes: "2",
        damping: "one constant c for all blocks; auto: λ_l",
        source: "dattri 0.3.0; Kwon, Wu, Wu, Zou 2024, arXiv 2310.00902",
        when: "to explain figures published with dattri",
        options: &[damping_option("0.1")],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            damping: Damping::from_values(values),
        }
    }
}

impl InfluenceMethod for DataInfDattri {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let lambda = self.damping.of(lambda);
        let n = block.rows();
        Ok(Box::new(WeightedMean {
            block,
            lambda,
            total: 1.0,
            weights: vec![1.0 / n as f64; n],
        }))
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        Cost::of_rank_ones(size)
    }
}
