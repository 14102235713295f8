//! Lanczos: the top eigenpairs of the Fisher, the rest damped.

use super::block::Block;
use super::error::InfluenceError;
use super::krylov::{Process, RANK, STEPS, complement, prepare};
use super::low_rank::Complement;
use super::method::{InfluenceMethod, Preconditioner};
use super::registry::{Listed, MethodInfo, Values};

/// Lanczos: X = U(Θ+λI)⁻¹UᵀV + (V − UUᵀV)/λ with the k largest Ritz pairs (Θ, U) of F.
///
/// The same space as [`arnoldi`](super::arnoldi) and the same settings, done for accuracy, where that one is done as
/// published; so `complement` is `damp` here and `drop` there. It starts in the range of F, where all its
/// steps count; every vector is orthogonalised against all others twice; an invariant space is gone on
/// from with a fresh vector; and what the pairs miss is damped by 1/λ, not dropped. Along an eigenvector
/// that they miss with eigenvalue θ the answer is too large by θ/λ of the right one, where dropping loses all of it: so
/// damping is closer where θ < λ. Exact when k reaches the rank of F; from k = min(n, d) on the block is solved exactly,
/// as [`exact`](super::exact) does, and `complement` says nothing.
///
/// Source: Lanczos 1950; full reorthogonalisation as in Parlett, The Symmetric Eigenvalue Problem.
/// Cost with s steps: 4·s·n·d + 4·s²·d to prepare, 4·m·k·d to apply; s·d numbers. One vector a step, so it is
/// bound by memory: a pass over the gradients a step. Always f64.
///
/// The residual is measured outside the clock; a block counts as not converged when it is above 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Lanczos {
    /// Ritz pairs kept k, at least 1; exact from min(n, d) on.
    pub rank: usize,
    /// Steps s; `None`: k + max(k, 20). At least k, at most min(n, d).
    pub iterations: Option<usize>,
    /// What becomes of the rest.
    pub complement: Complement,
}

impl Listed for Lanczos {
    const INFO: MethodInfo = MethodInfo {
        name: "lanczos",
        summary: "the top eigenpairs of the Fisher by Lanczos, the rest damped",
        formula: "U(Θ + λI)⁻¹Uᵀv + (v − UUᵀv)/λ",
        cost: "s n d + s² d",
        memory: "s d",
        passes: "s + 1, and one for the start; those of exact where k ≥ min(n, d)",
        damping: "λ_l added to the Ritz values; 1/λ_l outside",
        source: "Lanczos 1950; Parlett 1980",
        when: "when few directions carry the Fisher and queries keep coming",
        options: &[RANK, STEPS, complement("damp")],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            rank: values.count(RANK.key),
            iterations: values.count_or(STEPS.key),
            complement: Complement::of(values.word("complement")),
        }
    }
}

impl InfluenceMethod for Lanczos {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let (rank, steps, complement) = (self.rank, self.iterations, self.complement);
        prepare(block, lambda, Process::Lanczos, rank, steps, complement)
    }

    fn measure_residual(&self) -> bool {
        true
    }
}
