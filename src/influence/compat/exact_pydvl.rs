//! Gauss–Newton solutions as pyDVL has them.

use faer::Mat;

use super::settings::{BATCH_SIZE, DAMPING, Damping, batches};
use crate::influence::block::columns::combine;
use crate::influence::block::precision::Precision;
use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{Applied, InfluenceMethod, Preconditioner};
use crate::influence::registry::{Allowed, Listed, MethodInfo, OptionInfo, Values, plain};
use crate::influence::solve::exact::Exact;

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
        title: "Exact as in pyDVL",
        look: None,
        variant: plain,
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

    fn cost(&self, size: &BlockSize) -> Cost {
        self.exact.cost_of(size)
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
