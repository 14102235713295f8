//! The damped Fisher inverted exactly: the ground truth of every comparison.

use faer::Mat;

use super::block_cg;
use super::cholesky::Cholesky;
use crate::influence::block::columns::{combine, norms, parallel, relative};
use crate::influence::block::precision::Precision;
use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::diagnostics::SolverDiagnostics;
use crate::influence::error::InfluenceError;
use crate::influence::method::{Applied, Preconditioner};

/// Residual above which the answer is refined.
const REFINE_ABOVE: f64 = 1e-12;
/// Refinement steps at most; each gains as many digits as the factorisation has, so a second is rare.
const MAX_REFINEMENTS: usize = 3;
/// Residual above which a block counts as not converged.
const CONVERGED_BELOW: f64 = 1e-9;

/// Exact: X = (F + λI)⁻¹V, always in f64, by whichever of two factorisations is cheaper, or without one.
///
/// - primal: Cholesky of F + λI, d×d. n·d² + d³/3 flops to prepare, 2·m·d² to apply; d² numbers.
/// - dual (Woodbury): X = (V − Gᵀ(nλI + GGᵀ)⁻¹GV)/λ, n×n. n²·d + n³/3 flops to prepare,
///   4·m·n·d + 2·m·n² to apply; n² numbers.
///
/// - cg: block conjugate gradients for all queries in one Krylov space, matrix-free, to a residual of 1e-10. 4·m·n·d
///   flops an iteration, 5·m·d numbers.
///
/// All give the same answer to rounding. `auto` counts the flops of both factorisations for the queries at hand;
/// when they differ by less than a quarter, the smaller matrix decides. A factorisation whose matrix takes more than
/// `memory_mib` (8·d² or 8·n² bytes) is out of the question; when both do, it is `cg`. That is not a matter of speed:
/// at the limit of 4 GiB (n, d ≥ 23,170) a factorisation is some d/3m products with G, and conjugate gradients need
/// √(1 + d/c)·ln(2/1e-10)/2 iterations at the very worst for λ = c·tr(F)/d, d/m when every eigenvalue counts, and far
/// fewer on spectra that fall.
///
/// The residual ‖(F+λI)x − v‖/‖v‖ is always computed, from G itself rather than from the factorised matrix,
/// and the answer is refined (x += (F+λI)⁻¹r) while it is above 1e-12 and improves (of `cg`,
/// by starting it again, while it is above 1e-10). Both belong to the apply time. A block that stays above 1e-9 (1e-10
/// for `cg`) is counted in [`SolverDiagnostics::not_converged`].
#[derive(Clone, Debug, PartialEq)]
pub struct Exact {
    /// Which way.
    pub solver: Solver,
    /// Memory that `auto` may give to a matrix, MiB, at least 1.
    pub memory_mib: usize,
}

impl Default for Exact {
    fn default() -> Self {
        Self {
            solver: Solver::Auto,
            memory_mib: 4096,
        }
    }
}

/// Way of [`Exact`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Solver {
    /// Whichever costs less.
    #[default]
    Auto,
    /// d×d.
    Primal,
    /// n×n.
    Dual,
    /// None: block conjugate gradients.
    Cg,
}

impl Exact {
    /// The way for n examples, size d and m queries.
    pub fn choose(&self, n: usize, d: usize, m: usize) -> Solver {
        if self.solver != Solver::Auto {
            return self.solver;
        }
        let (nf, df, mf) = (n as f64, d as f64, m as f64);
        let primal = nf * df * df + df * df * df / 3.0 + 2.0 * mf * df * df;
        let dual = nf * nf * df + nf * nf * nf / 3.0 + 4.0 * mf * nf * df + 2.0 * mf * nf * nf;
        let alike = primal.max(dual) < 1.25 * primal.min(dual);
        let primal_first = if alike { d <= n } else { primal < dual };
        let fits = |size: f64| 8.0 * size * size <= self.memory_mib as f64 * f64::from(1 << 20);
        match (fits(df), fits(nf)) {
            (true, true) if primal_first => Solver::Primal,
            (true, false) => Solver::Primal,
            (_, true) => Solver::Dual,
            (false, false) => Solver::Cg,
        }
    }

    /// Operations and memory: of the factorisation or conjugate gradients that [`choose`](Self::choose) takes.
    pub(crate) fn cost_of(&self, size: &BlockSize) -> Cost {
        let (n, m, d) = (size.examples, size.queries, size.dim);
        let product = size.product();
        match self.choose(n as usize, d as usize, m as usize) {
            // one product with F of the block, a QR and three products of it with small matrices
            Solver::Cg => {
                let s = m.min(d);
                let step = 4.0 * s * n * d + 8.0 * s * s * d + 2.0 * m * s * d;
                let work = (2.0 * product, step, size.conjugate_steps());
                Cost::iterated(size, work, 5.0 * m * d + m * n)
            }
            // the factorisation and one residual, and another of both a refinement step, which is rarely taken
            Solver::Dual => {
                let apply = 4.0 * product + 2.0 * m * n * n;
                let prepare = n * n * d + n.powi(3) / 3.0;
                Cost::iterated(size, (prepare + apply, apply, 0.0), n * n + m * n)
            }
            Solver::Primal | Solver::Auto => {
                let apply = 2.0 * product + 2.0 * m * d * d;
                let prepare = n * d * d + d.powi(3) / 3.0;
                Cost::iterated(size, (prepare + apply, apply, 0.0), d * d + m * n)
            }
        }
    }
}

/// The exact solution, in place of an approximation that would keep the whole block.
pub(crate) fn whole<'a>(
    block: &Block<'a>,
    lambda: f64,
) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
    Exact::default().solve(block, lambda)
}

impl Exact {
    pub(crate) fn solve<'a>(
        &self,
        block: &Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let block = block.with_precision(Precision::F64);
        let (n, d) = (block.rows(), block.dim());
        let solver = self.choose(n, d, block.queries());
        if solver == Solver::Cg {
            return Ok(Box::new(MatrixFree { block, lambda }));
        }
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
            let mut c = self.block.matvec(v);
            self.factor.solve(c.as_mut(), parallel());
            let mut x = self.block.rmatvec(&c);
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
        let residuals = relative(&r, &norms(v));
        let evidence = SolverDiagnostics {
            iterations: Some(steps),
            solver: Some(if self.dual { "dual" } else { "primal" }.to_owned()),
            ..SolverDiagnostics::of_queries(&residuals, CONVERGED_BELOW)
        };
        Ok(Applied { x, evidence })
    }
}

/// Without a factorisation.
struct MatrixFree<'a> {
    block: Block<'a>,
    lambda: f64,
}

impl Preconditioner for MatrixFree<'_> {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let solution = block_cg::solve(&self.block, v, self.lambda);
        let evidence = SolverDiagnostics {
            iterations: Some(solution.iterations),
            solver: Some("cg".to_owned()),
            history: SolverDiagnostics::readable(&solution.history),
            ..SolverDiagnostics::of_queries(&solution.residuals, block_cg::TOLERANCE)
        };
        Ok(Applied {
            x: solution.x,
            evidence,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheaper_factorisation_that_fits_is_taken() {
        let auto = Exact::default();
        assert_eq!(auto.choose(10_000, 64, 10), Solver::Primal);
        assert_eq!(auto.choose(100, 4096, 10), Solver::Dual);
        assert_eq!(auto.choose(1000, 1000, 1), Solver::Primal);
        // many queries: the dual's two products with G outweigh a slightly larger factorisation
        assert_eq!(auto.choose(900, 1000, 10_000), Solver::Primal);
        let dual = Exact {
            solver: Solver::Dual,
            ..auto.clone()
        };
        assert_eq!(dual.choose(10_000, 64, 10), Solver::Dual);
        // 8·23,170² bytes are just below 4 GiB
        assert_eq!(auto.choose(23_170, 100_000, 10), Solver::Dual);
        assert_eq!(auto.choose(100_000, 23_170, 10), Solver::Primal);
        assert_eq!(auto.choose(23_171, 100_000, 10), Solver::Cg);
        // the cheaper does not fit, the other does: 362² numbers are just below 1 MiB
        let small = Exact {
            memory_mib: 1,
            ..auto
        };
        assert_eq!(small.choose(362, 363, 10_000), Solver::Dual);
        assert_eq!(small.choose(400, 400, 1), Solver::Cg);
    }
}
