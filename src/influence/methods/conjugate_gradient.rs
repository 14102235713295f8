//! Conjugate gradients on the damped Fisher.

use faer::Mat;

use crate::influence::block::columns::{
    above, column, combine, contiguous_mut, dots, each_column, keep, norms, relative, scale_rows,
    worst,
};
use crate::influence::block::reduce::add_scaled;
use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::diagnostics::SolverDiagnostics;
use crate::influence::error::InfluenceError;
use crate::influence::method::{Applied, InfluenceMethod, Limit, Preconditioner};
use crate::influence::registry::{Allowed, Listed, MethodInfo, OptionInfo, Values};
use crate::influence::solve::low_rank::LowRank;
use crate::influence::solve::sketch::{self, sketch};
use crate::look::{Dash, Drawn, Given, Look, Marker};

/// Conjugate gradients for (F + λI)x = v, every query by its own recurrence, all of them in one product with F
/// an iteration.
///
/// A query whose residual has fallen to the tolerance is left alone from then on, and the products go on with
/// the others. When the recurrences say all is done, the true residual is computed from G in f64; if it stands
/// above the tolerance (as it does when the products are f32 and λ is small), the iteration goes on from it, as
/// long as that halves it at least. What is reported is the true residual of every query, and the history's
/// last entry with it; its other entries are the recurrences'.
///
/// A preconditioner P makes eigenvalues of P⁻¹(F+λI) lie closer, so that fewer iterations do: `diagonal`
/// P = diag F + λ; `nystrom` P = U(Θ+λI)Uᵀ/(θ_k+λ) + I − UUᵀ of the randomised rank-k Fisher UΘUᵀ of
/// [`nystrom`](super::nystrom), which takes the top of the spectrum away.
///
/// Source: Hestenes, Stiefel 1952; for influence Martens 2010, Koh and Liang 2017; preconditioner Frangella, Tropp,
/// Udell 2021 (arXiv 2110.02820). Cost: 4·m·n·d an iteration with m the queries still open; 4·m·d numbers. About
/// √κ·ln(2/tolerance)/2 iterations at most with κ the condition of F + λI, at most 1 + d/c for λ = c·tr(F)/d.
#[derive(Clone, Debug, PartialEq)]
pub struct ConjugateGradient {
    /// ‖(F+λI)x − v‖/‖v‖ to reach.
    pub tolerance: f64,
    /// Iterations at most, restarts included, at least 1.
    pub iterations: usize,
    /// What it is preconditioned with.
    pub preconditioner: Conditioning,
    /// Not converging is an error; else it is counted in [`SolverDiagnostics::not_converged`].
    pub must_converge: bool,
}

/// Preconditioner of [`ConjugateGradient`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conditioning {
    /// None.
    None,
    /// The diagonal of F + λI.
    Diagonal,
    /// A randomised low-rank Fisher.
    Nystrom {
        /// Its rank, at least 1.
        rank: usize,
    },
}

impl Listed for ConjugateGradient {
    const INFO: MethodInfo = MethodInfo {
        name: "conjugate_gradient",
        title: "Conjugate gradient",
        look: Some(Look::new([0x7a, 0x30, 0x8c], Marker::Circle, Dash::Dashed)),
        variant: conditioned,
        summary: "conjugate gradients for all queries at once, to a residual",
        formula: "(F + λI)⁻¹v to ‖(F + λI)x − v‖ ≤ tolerance·‖v‖",
        cost: "k n d",
        memory: "4 m d",
        passes: "k + 2, and 1 for each restart; preconditioner=diagonal or nystrom 1 more",
        damping: "λ_l added to F",
        source: "Hestenes, Stiefel 1952; Martens 2010; Frangella, Tropp, Udell 2021, arXiv 2110.02820",
        when: "exact influence to a chosen residual where neither n² nor d² numbers fit",
        options: &[
            OptionInfo {
                key: "tolerance",
                default: "1e-6",
                allowed: Allowed::Number,
                help: "residual ‖(F+λI)x − v‖/‖v‖ that every query is to reach",
            },
            OptionInfo {
                key: "iterations",
                default: "1000",
                allowed: Allowed::Count,
                help: "iterations at most",
            },
            OptionInfo {
                key: "preconditioner",
                default: "none",
                allowed: Allowed::Word(&["none", "diagonal", "nystrom"]),
                help: "none, the diagonal of F + λI, or a randomised low-rank Fisher of rank `rank`",
            },
            OptionInfo {
                key: "rank",
                default: "32",
                allowed: Allowed::Count,
                help: "rank of the nystrom preconditioner",
            },
            OptionInfo {
                key: "must_converge",
                default: "true",
                allowed: Allowed::Switch,
                help: "not reaching the tolerance is an error; false: it is counted",
            },
        ],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            tolerance: values.number("tolerance").unwrap_or(1e-6),
            iterations: values.count("iterations"),
            preconditioner: match values.word("preconditioner") {
                Some("diagonal") => Conditioning::Diagonal,
                Some("nystrom") => Conditioning::Nystrom {
                    rank: values.count("rank"),
                },
                _ => Conditioning::None,
            },
            must_converge: values.switch("must_converge"),
        }
    }
}

impl InfluenceMethod for ConjugateGradient {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let conditioner = match self.preconditioner {
            Conditioning::None => Conditioner::None,
            Conditioning::Diagonal => {
                let n = block.rows() as f64;
                let weights = block.column_squares().into_iter();
                Conditioner::Diagonal(weights.map(|sum| 1.0 / (sum / n + lambda)).collect())
            }
            Conditioning::Nystrom { rank } => Conditioner::LowRank(sketch(block, rank)),
        };
        Ok(Box::new(Iteration {
            settings: self,
            block,
            lambda,
            conditioner,
        }))
    }

    fn limit(&self) -> Limit {
        Limit::Exact
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        let (n, m, d) = (size.examples, size.queries, size.dim);
        let (prepare, held) = match self.preconditioner {
            Conditioning::None => (0.0, 0.0),
            Conditioning::Diagonal => (2.0 * n * d, d),
            Conditioning::Nystrom { rank } => sketch::cost(size, rank),
        };
        let product = size.product();
        let steps = size.conjugate_steps().min(self.iterations as f64);
        // a step with all queries open, and the residual at the end
        let work = (prepare + 2.0 * product, 2.0 * product, steps);
        Cost::iterated(size, work, held + m * n + 4.0 * m * d)
    }
}

/// P⁻¹.
enum Conditioner {
    None,
    Diagonal(Vec<f64>),
    LowRank(LowRank),
}

struct Iteration<'a> {
    settings: &'a ConjugateGradient,
    block: &'a Block<'a>,
    lambda: f64,
    conditioner: Conditioner,
}

/// What all queries have in common while they are worked on.
struct Progress {
    /// X, `[d, m]`.
    x: Mat<f64>,
    /// The latest residual of every query.
    residuals: Vec<f64>,
    /// The largest after every iteration.
    history: Vec<f64>,
}

impl Preconditioner for Iteration<'_> {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let ConjugateGradient {
            tolerance,
            iterations,
            must_converge,
            ..
        } = *self.settings;
        let sizes = norms(v);
        let mut progress = Progress {
            x: Mat::zeros(v.nrows(), v.ncols()),
            residuals: sizes
                .iter()
                .map(|&v| f64::from(u8::from(v > 0.0)))
                .collect(),
            history: Vec::new(),
        };
        let mut r = v.clone();
        loop {
            // NaN stays open
            let open: Vec<usize> = (0..v.ncols())
                .filter(|&j| above(progress.residuals[j], tolerance))
                .collect();
            let before = worst(progress.residuals.iter().copied());
            if open.is_empty() || progress.history.len() >= iterations {
                break;
            }
            self.round(keep(&r, &open), open, &sizes, &mut progress);
            r = self.block.residual(v, &progress.x, self.lambda).0;
            progress.residuals = relative(&r, &sizes);
            let now = worst(progress.residuals.iter().copied());
            if let Some(last) = progress.history.last_mut() {
                *last = now;
            }
            if now.is_nan() || now >= 0.5 * before {
                break;
            }
        }
        let residual = worst(progress.residuals.iter().copied());
        if must_converge && above(residual, tolerance) {
            return Err(InfluenceError::NotConverged {
                block: self.block.name().to_owned(),
                residual,
                iterations: progress.history.len(),
                tolerance,
            });
        }
        let evidence = SolverDiagnostics {
            iterations: Some(progress.history.len()),
            history: SolverDiagnostics::readable(&progress.history),
            ..SolverDiagnostics::of_queries(&progress.residuals, tolerance)
        };
        Ok(Applied {
            x: progress.x,
            evidence,
        })
    }
}

impl Iteration<'_> {
    /// P⁻¹R; `None`: R itself.
    fn conditioned(&self, r: &Mat<f64>) -> Option<Mat<f64>> {
        match &self.conditioner {
            Conditioner::None => None,
            Conditioner::Diagonal(weights) => {
                let mut z = r.clone();
                scale_rows(&mut z, |i| weights[i]);
                Some(z)
            }
            Conditioner::LowRank(low) => Some(low.condition(r, self.lambda)),
        }
    }

    /// One start from the residuals R, `[d, open]`, of the queries `open`, until their recurrences reach the
    /// tolerance.
    fn round(&self, mut r: Mat<f64>, mut open: Vec<usize>, sizes: &[f64], progress: &mut Progress) {
        let ConjugateGradient {
            tolerance,
            iterations,
            ..
        } = *self.settings;
        let mut p = self.conditioned(&r).unwrap_or_else(|| r.clone());
        let mut rz = dots(&r, &p);
        while progress.history.len() < iterations {
            let mut q = self.block.fisher_vector_product(&p);
            combine(&p, &mut q, |p, q| q + self.lambda * p);
            // a curvature that is not positive is rounding: such a query stops here, where it stands
            let steps: Vec<f64> = rz
                .iter()
                .zip(dots(&p, &q))
                .map(|(rz, curvature)| rz / curvature)
                .map(|step| {
                    if step.is_finite() && step > 0.0 {
                        step
                    } else {
                        0.0
                    }
                })
                .collect();
            for (k, &j) in open.iter().enumerate() {
                let x = contiguous_mut(progress.x.as_mut().col_mut(j));
                add_scaled(x, steps[k], column(p.as_ref(), k));
            }
            each_column(&mut r, |k, r| {
                add_scaled(r, -steps[k], column(q.as_ref(), k))
            });
            for (r, &j) in norms(&r).into_iter().zip(&open) {
                progress.residuals[j] = r / sizes[j];
            }
            progress
                .history
                .push(worst(progress.residuals.iter().copied()));

            let going: Vec<usize> = (0..open.len())
                .filter(|&k| steps[k] > 0.0 && progress.residuals[open[k]] > tolerance)
                .collect();
            if going.is_empty() {
                break;
            }
            if going.len() < open.len() {
                r = keep(&r, &going);
                p = keep(&p, &going);
                rz = going.iter().map(|&k| rz[k]).collect();
                open = going.iter().map(|&k| open[k]).collect();
            }
            let z = self.conditioned(&r);
            let z = z.as_ref().unwrap_or(&r);
            let next = dots(&r, z);
            each_column(&mut p, |k, p| {
                let turn = next[k] / rz[k];
                for (p, z) in p.iter_mut().zip(column(z.as_ref(), k)) {
                    *p = z + turn * *p;
                }
            });
            rz = next;
        }
    }
}

/// By the preconditioner.
fn conditioned(options: &Given<'_>, drawn: &mut Drawn) {
    let look = |marker, dash| Some(Look::new([0x7a, 0x30, 0x8c], marker, dash));
    let preconditioner = match options.get("preconditioner") {
        None | Some("none") => "",
        Some("diagonal") => {
            drawn.look = look(Marker::Up, Dash::Dashed);
            ", diagonal preconditioner"
        }
        Some("nystrom") => {
            drawn.look = look(Marker::Diamond, Dash::Dotted);
            ", Nyström preconditioner"
        }
        Some(_) => return,
    };
    drawn.title.push_str(preconditioner);
    drawn.shown.extend(["preconditioner", "must_converge"]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influence::block::testing::Axes;

    fn solve(preconditioner: Conditioning, v: &Mat<f64>) -> Applied {
        let settings = ConjugateGradient {
            tolerance: 1e-12,
            iterations: 50,
            preconditioner,
            must_converge: true,
        };
        let axes = Axes::new(&[8.0, 8.0, 2.0, 2.0, 2.0, 1.0], 6);
        let block = axes.block();
        let prepared = settings.prepare(&block, 0.25).unwrap();
        prepared.apply(v).unwrap()
    }

    #[test]
    fn as_many_iterations_as_eigenvalues() {
        let v = Mat::from_fn(6, 3, |i, j| {
            [1.0 + i as f64, 0.0, f64::from(u8::from(i < 2))][j]
        });
        let plain = solve(Conditioning::None, &v);
        assert_eq!(plain.evidence.iterations, Some(3));
        // zeros stay zeros, and what is an eigenvector was left alone after one step
        assert!((0..6).all(|i| plain.x[(i, 1)] == 0.0));
        assert!((plain.x[(0, 2)] - 1.0 / 8.25).abs() < 1e-6 && plain.x[(4, 2)] == 0.0);
        // a diagonal matrix is its own preconditioner, and so is the whole spectrum
        assert_eq!(
            solve(Conditioning::Diagonal, &v).evidence.iterations,
            Some(1)
        );
        let all = Conditioning::Nystrom { rank: 6 };
        assert_eq!(solve(all, &v).evidence.iterations, Some(1));
    }

    #[test]
    fn zeros_alone_need_none() {
        let answer = solve(Conditioning::None, &Mat::zeros(6, 2));
        assert_eq!(answer.evidence.iterations, Some(0));
        assert_eq!(answer.evidence.residuals, [0.0, 0.0]);
        assert_eq!(answer.x, Mat::<f64>::zeros(6, 2));
    }
}
