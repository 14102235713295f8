//! Top eigenpairs of F from a Krylov space: what `lanczos` and `arnoldi` share.
//!
//! q₁, Fq₁, F²q₁, … made orthonormal, one product with F each; F seen from there, H = QᵀFQ, is a small matrix
//! whose eigenpairs (θ, y) give the Ritz pairs (θ, Qy) of F. Since F is symmetric, H is symmetric and
//! tridiagonal in exact arithmetic, and the two processes are one.

use faer::{Mat, Par};
use rand_distr::{Distribution, StandardNormal};

use super::dense::{eigen, product};
use super::exact::{self, Exact};
use super::low_rank::{Complement, LowRank};
use crate::influence::block::columns::{column, contiguous_mut, each_column};
use crate::influence::block::precision::Precision;
use crate::influence::block::reduce::{add_scaled, dot, sum_of_squares};
use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::diagnostics::SolverDiagnostics;
use crate::influence::error::InfluenceError;
use crate::influence::method::{Applied, Preconditioner};
use crate::influence::registry::{Allowed, ExactAt, OptionInfo, Values};
use crate::random::rng;

/// How a Krylov space is built. They differ in rounding only, and in where they start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// Starts at Fz with z Gaussian, so that the null space of F, which holds no eigenpair worth keeping, is
    /// never entered; every vector is orthogonalised against all others twice (classical Gram–Schmidt); H is
    /// symmetric by construction; the largest θ are kept.
    Lanczos,
    /// Starts at a Gaussian z; modified Gram–Schmidt once; H cut to its three diagonals and made symmetric
    /// by the mean with its transpose; the θ largest in magnitude are kept. This is what is published.
    Arnoldi,
}

/// Option of both methods.
const RANK: OptionInfo = OptionInfo {
    key: "rank",
    default: "32",
    allowed: Allowed::Size(ExactAt::Rank),
    help: "Ritz pairs kept k",
};

/// Option of both methods.
const STEPS: OptionInfo = OptionInfo {
    key: "iterations",
    default: "auto",
    allowed: Allowed::CountOr(&["auto"]),
    help: "dimensions s of the Krylov space; auto is k + max(k, 20)",
};

/// The options of both methods. They differ in the default of the complement, on purpose: `lanczos` damps what the pairs
/// miss, `arnoldi` drops it as published.
pub(crate) const fn options(complement: &'static str) -> [OptionInfo; 3] {
    [
        RANK,
        STEPS,
        OptionInfo {
            key: "complement",
            default: complement,
            allowed: Allowed::Word(&["damp", "drop"]),
            help: "what becomes of the query outside the pairs: times 1/λ, or nothing, as published",
        },
    ]
}

/// The settings of both methods.
#[derive(Clone, Debug, PartialEq)]
pub struct Krylov {
    /// Ritz pairs kept k, at least 1; exact from min(n, d) on.
    pub rank: usize,
    /// Steps s; `None`: k + max(k, 20). At least k, at most d, and at most min(n, d) for Lanczos.
    pub iterations: Option<usize>,
    /// What becomes of the rest.
    pub complement: Complement,
}

impl Krylov {
    pub(crate) fn from_values(values: &Values) -> Self {
        Self {
            rank: values.count(RANK.key),
            iterations: values.count_or(STEPS.key),
            complement: Complement::of(values.word("complement")),
        }
    }

    fn steps(&self) -> usize {
        self.iterations.unwrap_or(self.rank + self.rank.max(20))
    }

    /// The damped inverse on the Ritz vectors; the exact inverse when F has no more eigenpairs than are kept.
    ///
    /// # Errors
    /// Only of the exact inverse.
    pub(crate) fn prepare<'a>(
        &self,
        block: &'a Block<'a>,
        lambda: f64,
        process: Process,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        if self.rank >= block.rows().min(block.dim()) {
            return exact::whole(block, lambda);
        }
        Ok(Box::new(Inverted {
            ritz: ritz(block, self.rank, self.steps(), process),
            lambda,
            complement: self.complement,
        }))
    }

    /// A step is a product with F of one vector, and `orthogonalise`·s·d operations on the mean.
    pub(crate) fn cost(&self, size: &BlockSize, orthogonalise: f64) -> Cost {
        if size.keeps_all(self.rank) {
            return Exact::default().cost_of(size);
        }
        let (n, m, d, k) = (size.examples, size.queries, size.dim, self.rank as f64);
        let s = (self.steps() as f64).max(k).min(d);
        let fixed = 2.0 * s * k * d + 4.0 * m * k * d;
        let step = 4.0 * n * d + orthogonalise * s * d;
        Cost::iterated(size, (fixed, step, s), (s + k) * d + n)
    }
}
/// Ritz pairs of F.
pub(crate) struct Ritz {
    pub low: LowRank,
    /// Products with F of one vector, not counting starts.
    pub steps: usize,
}

/// A product of Gram–Schmidt below this share of what went in has lost its digits.
const CANCELLED: f64 = 0.1;

/// At most `rank` Ritz pairs from a Krylov space of `steps` dimensions, both cut to what F can have.
///
/// When the space is invariant, a fresh random vector orthogonal to it goes on, so that repeated
/// eigenvalues are found one after the other. The products are f64 whatever is asked, since orthogonality
/// lives on them.
pub(crate) fn ritz(block: &Block<'_>, rank: usize, steps: usize, process: Process) -> Ritz {
    let block = block.with_precision(Precision::F64);
    let (n, d) = (block.rows(), block.dim());
    let rank = rank.min(n).min(d);
    let limit = if process == Process::Lanczos {
        n.min(d)
    } else {
        d
    };
    let steps = steps.max(rank).min(limit);
    // rounding of a sum over n and d terms
    let rounding = f64::EPSILON * (n + d) as f64;
    let mut random = rng(block.seed(), block.name(), "krylov_start");
    let mut fresh = || {
        let z = Mat::from_fn(d, 1, |_, _| StandardNormal.sample(&mut random));
        let start = if process == Process::Lanczos {
            block.fisher_vector_product(&z)
        } else {
            z
        };
        normalised(start)
    };

    let mut basis = Mat::<f64>::zeros(d, steps);
    let mut projected = Mat::<f64>::zeros(steps, steps);
    let mut used = 0;
    let mut largest = 0.0f64;
    let mut next = fresh();
    while let Some(q) = next.take() {
        contiguous_mut(basis.as_mut().col_mut(used)).copy_from_slice(column(q.as_ref(), 0));
        used += 1;
        let mut w = block.fisher_vector_product(&q);
        let before = sum_of_squares(column(w.as_ref(), 0)).sqrt();
        largest = largest.max(before);
        let coefficients = orthogonalise(process, &basis, used, &mut w, before);
        for (i, c) in coefficients.into_iter().enumerate() {
            projected[(i, used - 1)] = c;
        }
        if used == steps {
            break;
        }
        let beta = sum_of_squares(column(w.as_ref(), 0)).sqrt();
        if beta > rounding * largest {
            projected[(used, used - 1)] = beta;
            next = normalised(w);
        } else {
            // an invariant space; a restart that finds nothing outside it has found all
            next = fresh().and_then(|mut start| {
                for _ in 0..2 {
                    orthogonalise(Process::Lanczos, &basis, used, &mut start, 0.0);
                }
                let left = sum_of_squares(column(start.as_ref(), 0)).sqrt();
                // of a start in the range of F, the rounding of the product that made it is left
                let rounding = if process == Process::Lanczos {
                    10.0 * rounding
                } else {
                    rounding
                };
                (left > rounding).then(|| normalised(start)).flatten()
            });
        }
    }
    Ritz {
        low: pairs(&basis, &projected, used, rank, process),
        steps: used,
    }
}

/// The vector over its norm; `None` for zeros.
fn normalised(mut w: Mat<f64>) -> Option<Mat<f64>> {
    let norm = sum_of_squares(column(w.as_ref(), 0)).sqrt();
    each_column(&mut w, |_, w| w.iter_mut().for_each(|w| *w /= norm));
    (norm > 0.0).then_some(w)
}

/// Takes from w its parts along the first `used` columns of the basis, and gives their sizes.
fn orthogonalise(
    process: Process,
    basis: &Mat<f64>,
    used: usize,
    w: &mut Mat<f64>,
    before: f64,
) -> Vec<f64> {
    let mut coefficients = vec![0.0; used];
    match process {
        Process::Lanczos => {
            let known = basis.as_ref().subcols(0, used);
            for _ in 0..2 {
                let parts = product(known.transpose(), w.as_ref());
                *w -= product(known, parts.as_ref());
                for (sum, &part) in coefficients.iter_mut().zip(column(parts.as_ref(), 0)) {
                    *sum += part;
                }
            }
        }
        Process::Arnoldi => {
            // once, as published; again only where the first left little but rounding
            for pass in 0..2 {
                let w = contiguous_mut(w.as_mut().col_mut(0));
                for (j, sum) in coefficients.iter_mut().enumerate() {
                    let q = column(basis.as_ref(), j);
                    let part = dot(q, w);
                    add_scaled(w, -part, q);
                    *sum += part;
                }
                if pass == 1 || sum_of_squares(w).sqrt() > CANCELLED * before {
                    break;
                }
            }
        }
    }
    coefficients
}

/// The Ritz pairs kept.
fn pairs(
    basis: &Mat<f64>,
    projected: &Mat<f64>,
    used: usize,
    rank: usize,
    process: Process,
) -> LowRank {
    let h = match process {
        Process::Lanczos => Mat::from_fn(used, used, |i, j| projected[(i.min(j), i.max(j))]),
        Process::Arnoldi => Mat::from_fn(used, used, |i, j| {
            if i.abs_diff(j) > 1 {
                0.0
            } else {
                0.5 * (projected[(i, j)] + projected[(j, i)])
            }
        }),
    };
    let (values, vectors) =
        eigen(&h, Par::Seq).unwrap_or_else(|| (vec![0.0; used], Mat::identity(used, used)));
    let mut order: Vec<usize> = (0..used).rev().collect();
    if process == Process::Arnoldi {
        order.sort_by(|&a, &b| values[b].abs().total_cmp(&values[a].abs()));
    }
    order.truncate(rank);
    let turn = Mat::from_fn(used, order.len(), |i, j| vectors[(i, order[j])]);
    LowRank {
        vectors: product(basis.as_ref().subcols(0, used), turn.as_ref()),
        // F has none below zero
        values: order.iter().map(|&j| values[j].max(0.0)).collect(),
    }
}

/// The damped inverse on the Ritz vectors.
struct Inverted {
    ritz: Ritz,
    lambda: f64,
    complement: Complement,
}

impl Preconditioner for Inverted {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let evidence = SolverDiagnostics {
            iterations: Some(self.ritz.steps),
            ..SolverDiagnostics::default()
        };
        let x = self.ritz.low.invert(v, self.lambda, self.complement);
        Ok(Applied { x, evidence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influence::block::testing::Axes;

    #[test]
    fn repeated_and_missing_eigenvalues_are_found_after_restarts() {
        // 5 five times, 2 twice, 1: three distinct ones, so that the first space ends after three steps
        let sigma = [5.0, 5.0, 2.0, 5.0, 1.0, 5.0, 2.0, 5.0];
        let axes = Axes::new(&sigma, 12);
        let block = axes.block();
        for process in [Process::Lanczos, Process::Arnoldi] {
            let found = ritz(&block, 8, 28, process);
            let expected = [5.0, 5.0, 5.0, 5.0, 5.0, 2.0, 2.0, 1.0];
            assert_eq!(found.low.values.len(), 8);
            for (found, expected) in found.low.values.iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{process:?}: {found} {expected}"
                );
            }
            // orthonormal, whatever was restarted
            let u = &found.low.vectors;
            let gram = product(u.transpose(), u.as_ref());
            for i in 0..8 {
                for j in 0..8 {
                    let identity = f64::from(u8::from(i == j));
                    assert!(
                        (gram[(i, j)] - identity).abs() < 1e-9,
                        "{process:?} {i} {j}"
                    );
                }
            }
        }
        // from the range of F no step is spent on the null space
        assert_eq!(ritz(&block, 8, 28, Process::Lanczos).steps, 8);
    }

    #[test]
    fn a_rank_of_one_ends_at_once() {
        let axes = Axes::new(&[4.0, 0.0, 0.0], 5);
        let found = ritz(&axes.block(), 3, 10, Process::Lanczos);
        assert_eq!(found.steps, 1);
        assert!((found.low.values[0] - 4.0).abs() < 1e-6);
    }
}
