//! The damped Fisher inverted exactly: the ground truth of every comparison.

use faer::Mat;

use super::block::Block;
use super::cholesky::Cholesky;
use super::error::InfluenceError;
use super::evidence::Evidence;
use super::kernels::{combine, parallel};
use super::method::{Applied, InfluenceMethod, Preconditioner};
use super::registry::{Allowed, Listed, MethodInfo, OptionInfo, Values};
use crate::config::influence::Precision;

/// Residual above which the answer is refined.
const REFINE_ABOVE: f64 = 1e-12;
/// Refinement steps at most; each gains as many digits as the factorisation has, so a second is rare.
const MAX_REFINEMENTS: usize = 3;
/// Residual above which a block counts as not converged.
const CONVERGED_BELOW: f64 = 1e-9;

/// Exact: X = (F + λI)⁻¹V, always in f64, by whichever of two factorisations is cheaper.
///
/// - primal: Cholesky of F + λI, d×d. n·d² + d³/3 flops to prepare, 2·m·d² to apply; d² numbers.
/// - dual (Woodbury): X = (V − Gᵀ(nλI + GGᵀ)⁻¹GV)/λ, n×n. n²·d + n³/3 flops to prepare,
///   4·m·n·d + 2·m·n² to apply; n² numbers.
///
/// Both give the same answer to rounding. `auto` counts the flops of both for the queries at hand; when
/// they differ by less than a quarter, the smaller matrix decides.
///
/// The residual ‖(F+λI)x − v‖/‖v‖ is always computed, from G itself rather than from the factorised matrix,
/// and the answer is refined (x += (F+λI)⁻¹r) while it is above 1e-12 and improves. Both belong to the
/// apply time. A block that stays above 1e-9 is counted in [`Evidence::not_converged`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exact {
    /// Which factorisation.
    pub solver: Solver,
}

/// Factorisation of [`Exact`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Solver {
    /// Whichever costs less.
    #[default]
    Auto,
    /// d×d.
    Primal,
    /// n×n.
    Dual,
}

impl Listed for Exact {
    const INFO: MethodInfo = MethodInfo {
        name: "exact",
        summary: "the damped Fisher inverted in f64, with its residual: the reference",
        formula: "(F + λI)⁻¹v, or (v − Gᵀ(nλI + GGᵀ)⁻¹Gv)/λ",
        cost: "min(n d² + d³, n² d + n³)",
        options: &[OptionInfo {
            key: "solver",
            default: "auto",
            allowed: Allowed::Word(&["auto", "primal", "dual"]),
            help: "factorise d×d (primal) or n×n (dual); auto takes the cheaper for each block",
        }],
    };

    fn from_values(values: &Values) -> Self {
        let solver = match values.word("solver") {
            Some("primal") => Solver::Primal,
            Some("dual") => Solver::Dual,
            _ => Solver::Auto,
        };
        Self { solver }
    }
}

impl Solver {
    /// The factorisation for n examples, size d and m queries.
    fn choose(self, n: usize, d: usize, m: usize) -> Self {
        let (n, d, m) = (n as f64, d as f64, m as f64);
        let primal = n * d * d + d * d * d / 3.0 + 2.0 * m * d * d;
        let dual = n * n * d + n * n * n / 3.0 + 4.0 * m * n * d + 2.0 * m * n * n;
        match self {
            Self::Auto if primal.max(dual) < 1.25 * primal.min(dual) => {
                if d <= n {
                    Self::Primal
                } else {
                    Self::Dual
                }
            }
            Self::Auto if primal < dual => Self::Primal,
            Self::Auto => Self::Dual,
            chosen => chosen,
        }
    }
}

impl InfluenceMethod for Exact {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let block = block.with_precision(Precision::F64);
        let (n, d) = (block.rows(), block.dim());
        let solver = self.solver.choose(n, d, block.queries());
        let (mut matrix, shift, what) = match solver {
            Solver::Dual => (
                block.gram(&(0..n).collect::<Vec<_>>(), parallel()),
                n as f64 * lambda,
                "nλI + GGᵀ",
            ),
            _ => (block.fisher(), lambda, "F + λI"),
        };
        let size = matrix.nrows();
        (0..size).for_each(|i| matrix[(i, i)] += shift);
        let factor = Cholesky::new(matrix, parallel()).map_err(|pivot| {
            InfluenceError::NotPositiveDefinite {
                block: block.name().to_owned(),
                matrix: what,
                size,
                pivot,
                lambda,
            }
        })?;
        Ok(Box::new(Factorised {
            block,
            lambda,
            factor,
            dual: solver == Solver::Dual,
        }))
    }

    /// The reference is f64 to its last product.
    fn precision(&self, _: Precision) -> Precision {
        Precision::F64
    }
}

struct Factorised<'a> {
    block: Block<'a>,
    lambda: f64,
    factor: Cholesky,
    dual: bool,
}

impl Factorised<'_> {
    fn solve(&self, v: &Mat<f64>) -> Mat<f64> {
        if self.dual {
            let mut c = self.block.project(v);
            self.factor.solve(c.as_mut(), parallel());
            let mut x = self.block.expand(&c);
            combine(v, &mut x, |v, y| (v - y) / self.lambda);
            x
        } else {
            let mut x = v.clone();
            self.factor.solve(x.as_mut(), parallel());
            x
        }
    }
}

impl Preconditioner for Factorised<'_> {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let mut x = self.solve(v);
        let (mut r, mut worst) = self.block.residual(v, &x, self.lambda);
        let mut steps = 0;
        while worst > REFINE_ABOVE && steps < MAX_REFINEMENTS {
            let mut refined = self.solve(&r);
            combine(&x, &mut refined, |x, step| x + step);
            let (next_r, next) = self.block.residual(v, &refined, self.lambda);
            // also stops on NaN
            if !matches!(next.partial_cmp(&worst), Some(std::cmp::Ordering::Less)) {
                break;
            }
            (x, r, worst) = (refined, next_r, next);
            steps += 1;
        }
        let evidence = Evidence {
            residual: worst.is_finite().then_some(worst),
            iterations: Some(steps),
            solver: Some(if self.dual { "dual" } else { "primal" }.to_owned()),
            not_converged: usize::from(worst.is_nan() || worst > CONVERGED_BELOW),
            ..Evidence::default()
        };
        Ok(Applied { x, evidence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheaper_factorisation_is_taken() {
        assert_eq!(Solver::Auto.choose(10_000, 64, 10), Solver::Primal);
        assert_eq!(Solver::Auto.choose(100, 4096, 10), Solver::Dual);
        assert_eq!(Solver::Auto.choose(1000, 1000, 1), Solver::Primal);
        // many queries: the dual's two products with G outweigh a slightly larger factorisation
        assert_eq!(Solver::Auto.choose(900, 1000, 10_000), Solver::Primal);
        assert_eq!(Solver::Dual.choose(10_000, 64, 10), Solver::Dual);
    }
}
