//! "Exact" solutions of dattri and pyDVL whose answer depends on the batches.

use faer::Mat;

use super::{BATCH_SIZE, Damping, batches, damping_option};
use crate::config::influence::Precision;
use crate::influence::block::Block;
use crate::influence::cholesky::Cholesky;
use crate::influence::error::InfluenceError;
use crate::influence::exact::Exact;
use crate::influence::kernels::{combine, cut, parallel};
use crate::influence::method::{Applied, InfluenceMethod, Preconditioner};
use crate::influence::registry::{Allowed, ExactAt, Listed, MethodInfo, OptionInfo, Values};

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

const DAMPING: OptionInfo = damping_option("auto");

impl Listed for ExactDattri {
    const INFO: MethodInfo = MethodInfo {
        name: "exact_dattri",
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
}

struct SummedInverses<'a> {
    block: Block<'a>,
    lambda: f64,
    batch_size: usize,
    factors: Vec<Cholesky>,
}

impl Preconditioner for SummedInverses<'_> {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let mut c = self.block.project(v);
        let pieces = cut(c.as_mut(), batches(self.block.rows(), self.batch_size));
        for ((_, right), factor) in pieces.into_iter().zip(&self.factors) {
            factor.solve(right, parallel());
        }
        let mut x = self.block.expand(&c);
        let count = self.factors.len() as f64;
        combine(v, &mut x, |v, y| (count * v - y) / self.lambda);
        Ok(x.into())
    }
}

/// pyDVL with Gauss–Newton: X = (α F + λI)⁻¹V, where the mean over examples is taken with the wrong count:
/// - `direct`: GᵀG is divided by (B − 1)·d, since the count of the B batches starts with the second and counts
///   rows of the d×d matrix: **α = n/((B − 1)d)**. One batch divides by zero, and every score is NaN, as there.
/// - `iterative`: what conjugate gradients converge to, where the mean is divided by the length of the vector:
///   **α = 1/d** (the data loader having one batch).
///
/// Solved as (F + (λ/α)I)⁻¹V/α by [`Exact`], in f64. With the Hessian instead of Gauss–Newton, pyDVL's default,
/// both are exact.
///
/// Source: pyDVL 0.10.0, `functional.gauss_newton` under `DirectInfluence`, `GaussNewtonOperator` and
/// `PointAveraging` under `CgInfluence`. Its damping is a constant, none by default; the default here is our
/// λ_l. Cost: as [`Exact`].
#[derive(Clone, Debug, PartialEq)]
pub struct ExactPydvl {
    /// Which of the two.
    pub solver: PydvlSolver,
    /// Examples a batch, at least 1; of `direct` alone.
    pub batch_size: usize,
    /// λ.
    pub damping: Damping,
    /// What solves.
    exact: Exact,
}

/// Solver of [`ExactPydvl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PydvlSolver {
    /// `DirectInfluence`.
    Direct,
    /// `CgInfluence`, one vector at a time, converged.
    Iterative,
}

impl Listed for ExactPydvl {
    const INFO: MethodInfo = MethodInfo {
        name: "exact_pydvl",
        summary: "pyDVL's Gauss-Newton solution: the mean over examples with a wrong count",
        formula: "(αF + λI)⁻¹v, α = n/((B − 1)d) direct with B batches, 1/d iterative",
        cost: "min(n d² + d³, n² d + n³)",
        memory: "min(n, d)²",
        passes: "as exact",
        damping: "λ_l/α on the diagonal of F, or of one constant as in the library",
        source: "pyDVL 0.10.0",
        when: "to explain figures published with pyDVL",
        options: &[
            OptionInfo {
                key: "solver",
                default: "direct",
                allowed: Allowed::Word(&["direct", "iterative"]),
                help: "direct: its matrix, n/((B − 1)d) times F; iterative: its products, F/d",
            },
            BATCH_SIZE,
            DAMPING,
        ],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            solver: if values.word("solver") == Some("iterative") {
                PydvlSolver::Iterative
            } else {
                PydvlSolver::Direct
            },
            batch_size: values.count("batch_size"),
            damping: Damping::from_values(values),
            exact: Exact::default(),
        }
    }
}

impl InfluenceMethod for ExactPydvl {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let (n, d) = (block.rows(), block.dim() as f64);
        let alpha = match self.solver {
            PydvlSolver::Iterative => 1.0 / d,
            PydvlSolver::Direct => {
                let later = batches(n, self.batch_size).count() - 1;
                if later == 0 {
                    return Ok(Box::new(DividedByZero));
                }
                n as f64 / (later as f64 * d)
            }
        };
        let inner = self.exact.prepare(block, self.damping.of(lambda) / alpha)?;
        Ok(Box::new(Rescaled { inner, alpha }))
    }

    fn precision(&self, asked: Precision) -> Precision {
        self.exact.precision(asked)
    }
}

/// One batch: the matrix is GᵀG/0.
struct DividedByZero;

impl Preconditioner for DividedByZero {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        Ok(Mat::from_fn(v.nrows(), v.ncols(), |_, _| f64::NAN).into())
    }
}

struct Rescaled<'a> {
    inner: Box<dyn Preconditioner + 'a>,
    alpha: f64,
}

impl Preconditioner for Rescaled<'_> {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let mut applied = self.inner.apply(v)?;
        let inverse = 1.0 / self.alpha;
        combine(v, &mut applied.x, |_, x| x * inverse);
        Ok(applied)
    }
}
