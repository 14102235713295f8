//! DataInf as pyDVL has it.

use super::settings::{BATCH_SIZE, DAMPING, Damping, batches};
use super::weighted_mean::WeightedMean;
use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Listed, MethodInfo, Values, plain};

/// pyDVL's DataInf: X = (X₁ + m Σ_{b≥2} X_b)/(B m) for m queries and B batches of the data loader, X_b being
/// DataInf on batch b alone. Batches are averaged with the first dimension of each result for a count of
/// examples, which is the number of queries, and the first batch has no weight: **scores depend on how many
/// queries are asked at once and how the examples are cut**. One batch gives DataInf over m.
///
/// Source: pyDVL 0.10.0, `InverseHarmonicMeanInfluence`, `PointAveraging`. pyDVL's damping is a positive
/// constant that the caller must give; the default here is our λ_l.
/// Cost: as [`DataInf`](crate::influence::methods::datainf::DataInf).
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
        title: "DataInf as in pyDVL",
        look: None,
        variant: plain,
        summary: "pyDVL's DataInf: batches averaged by the number of queries",
        formula: "(x₁ + m Σ_{b≥2} x_b)/(B m), x_b DataInf on batch b of B, m queries",
        cost: "n d",
        memory: "n + m n",
        passes: "2",
        damping: "λ_l, or one constant as in the library",
        source: "pyDVL 0.10.0; Kwon, Wu, Wu, Zou 2024, arXiv 2310.00902",
        when: "to explain figures published with pyDVL",
        options: &[BATCH_SIZE, DAMPING],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            batch_size: values.count("batch_size"),
            damping: Damping::from_values(values),
        }
    }
}

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

    fn cost(&self, size: &BlockSize) -> Cost {
        Cost::of_rank_ones(size)
    }
}
