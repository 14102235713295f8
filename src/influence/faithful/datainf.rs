//! DataInf as dattri and pyDVL have it.

use faer::Mat;

use super::{BATCH_SIZE, Damping, batches, damping_option};
use crate::influence::block::Block;
use crate::influence::error::InfluenceError;
use crate::influence::kernels::scaled;
use crate::influence::method::{Applied, InfluenceMethod, Preconditioner};
use crate::influence::registry::{Listed, MethodInfo, OptionInfo, Values};

/// dattri's DataInf: X = (V − (1/n) Σ_i g_i (g_iᵀV)/(λ + ‖g_i‖²))/λ with **one constant λ for all blocks**, so
/// that DataInf's weight 1/λ_l between blocks is gone, and with it the scale of each block's gradients.
///
/// Source: dattri 0.3.0, `IFAttributorDataInf.transform_test_rep`. Its default regularisation, 0, divides by
/// zero; `None` there means 0.1, the default here. dattri's blocks are a module's weight and bias together.
/// Cost: as [`DataInf`](crate::influence::datainf::DataInf).
#[derive(Clone, Debug, PartialEq)]
pub struct DataInfDattri {
    /// λ; 0.1.
    pub damping: Damping,
}

impl Listed for DataInfDattri {
    const INFO: MethodInfo = MethodInfo {
        name: "datainf_dattri",
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
}

/// pyDVL's DataInf: X = (X₁ + m Σ_{b≥2} X_b)/(B m) for m queries and B batches of the data loader, X_b being
/// DataInf on batch b alone. Batches are averaged with the first dimension of each result for a count of
/// examples, which is the number of queries, and the first batch has no weight: **scores depend on how many
/// queries are asked at once and how the examples are cut**. One batch gives DataInf over m.
///
/// Source: pyDVL 0.10.0, `InverseHarmonicMeanInfluence`, `PointAveraging`. pyDVL's damping is a positive
/// constant that the caller must give; the default here is our λ_l.
/// Cost: as [`DataInf`](crate::influence::datainf::DataInf).
#[derive(Clone, Debug, PartialEq)]
pub struct DataInfPydvl {
    /// Examples a batch, at least 1; the last may be smaller.
    pub batch_size: usize,
    /// λ.
    pub damping: Damping,
}

impl Listed for DataInfPydvl {
    const INFO: MethodInfo = MethodInfo {
        name: "datainf_pydvl",
        summary: "pyDVL's DataInf: batches averaged by the number of queries",
        formula: "(x₁ + m Σ_{b≥2} x_b)/(B m), x_b DataInf on batch b of B, m queries",
        cost: "n d",
        memory: "n + m n",
        passes: "2",
        damping: "λ_l, or one constant as in the library",
        source: "pyDVL 0.10.0; Kwon, Wu, Wu, Zou 2024, arXiv 2310.00902",
        when: "to explain figures published with pyDVL",
        options: &[BATCH_SIZE, OPTION],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            batch_size: values.count("batch_size"),
            damping: Damping::from_values(values),
        }
    }
}

const OPTION: OptionInfo = damping_option("auto");

impl InfluenceMethod for DataInfPydvl {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let (n, m) = (block.rows(), block.queries() as f64);
        let count = batches(n, self.batch_size).count() as f64;
        let mut total = 0.0;
        let mut weights = Vec::with_capacity(n);
        for (i, rows) in batches(n, self.batch_size).enumerate() {
            let weight = if i == 0 { 1.0 / m } else { 1.0 } / count;
            total += weight;
            weights.extend(rows.clone().map(|_| weight / rows.len() as f64));
        }
        let lambda = self.damping.of(lambda);
        Ok(Box::new(WeightedMean {
            block,
            lambda,
            total,
            weights,
        }))
    }
}

/// X = Σ_i w_i (g_ig_iᵀ + λI)⁻¹V = (w V − Σ_i w_i g_i (g_iᵀV)/(λ + ‖g_i‖²))/λ, w = Σ_i w_i.
struct WeightedMean<'a> {
    block: &'a Block<'a>,
    lambda: f64,
    /// w.
    total: f64,
    /// w_i.
    weights: Vec<f64>,
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
