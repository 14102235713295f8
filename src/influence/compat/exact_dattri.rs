//! The explicit solution of dattri, whose answer depends on the batches.

use faer::Mat;

use super::settings::{BATCH_SIZE, DAMPING, Damping, batches};
use crate::influence::block::columns::{combine, cut, parallel};
use crate::influence::block::precision::Precision;
use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{Applied, InfluenceMethod, Preconditioner};
use crate::influence::registry::{Allowed, ExactAt, Listed, MethodInfo, OptionInfo, Values, plain};
use crate::influence::solve::cholesky::Cholesky;

/// dattri's explicit solution: X = Σ_b (F_b + λI)⁻¹V, the **sum over batches of the inverses**, F_b the Fisher
/// of batch b: not the inverse of the whole, and B times too large. One batch of all is exact.
///
/// Each batch is inverted through its own dual, X = (B V − Σ_b H_bᵀ(|b|λI + H_bH_bᵀ)⁻¹H_bV)/λ, where the rows of
/// H_b are the batch's gradients; always in f64.
///
/// Source: dattri 0.3.0, `IFAttributorExplicit.transform_test_rep`, on a loss whose Hessian is F. Its default
/// regularisation is 0; the default here is our λ_l.
/// Cost: n·b·d + n·b² to prepare, 4·m·n·d + 2·m·n·b to apply; n·b numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct ExactDattri {
    /// Examples a batch b, at least 1; the last may be smaller.
    pub batch_size: usize,
    /// λ.
    pub damping: Damping,
}

impl Listed for ExactDattri {
    const INFO: MethodInfo = MethodInfo {
        name: "exact_dattri",
        title: "Exact as in dattri",
        look: None,
        variant: plain,
        summary: "dattri's explicit solution: the inverses of batches summed",
        formula: "Σ_b (F_b + λI)⁻¹v over batches b",
        cost: "n b d + n b²",
        memory: "n b + m n",
        passes: "4",
        damping: "λ_l in every batch's inverse, or one constant as in the library",
        source: "dattri 0.3.0",
        when: "to explain figures published with dattri",
        options: &[
            OptionInfo {
                allowed: Allowed::Size(ExactAt::Examples),
                ..BATCH_SIZE
            },
            DAMPING,
        ],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            batch_size: values.count("batch_size"),
            damping: Damping::from_values(values),
        }
    }
}

impl InfluenceMethod for ExactDattri {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let lambda = self.damping.of(lambda);
        let block = block.with_precision(Precision::F64);
        let factors = batches(block.rows(), self.batch_size)
            .map(|rows| {
                let size = rows.len();
                let mut gram = block.gram(&rows.collect::<Vec<_>>(), parallel());
                (0..size).for_each(|i| gram[(i, i)] += size as f64 * lambda);
                Cholesky::new(gram, parallel()).map_err(|pivot| {
                    InfluenceError::NotPositiveDefinite {
                        block: block.name().to_owned(),
                        matrix: "bλI + HHᵀ of a batch",
                        size,
                        pivot,
                        lambda,
                    }
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Box::new(SummedInverses {
            block,
            lambda,
            batch_size: self.batch_size,
            factors,
        }))
    }

    fn precision(&self, _: Precision) -> Precision {
        Precision::F64
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        Cost::of_groups(size, self.batch_size)
    }
}

struct SummedInverses<'a> {
    block: Block<'a>,
    lambda: f64,
    batch_size: usize,
    factors: Vec<Cholesky>,
}

impl Preconditioner for SummedInverses<'_> {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let mut c = self.block.matvec(v);
        let pieces = cut(c.as_mut(), batches(self.block.rows(), self.batch_size));
        for ((_, right), factor) in pieces.into_iter().zip(&self.factors) {
            factor.solve(right, parallel());
        }
        let mut x = self.block.rmatvec(&c);
        let count = self.factors.len() as f64;
        combine(v, &mut x, |v, y| (count * v - y) / self.lambda);
        Ok(x.into())
    }
}
