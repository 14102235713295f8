//! Lanczos: the top eigenpairs of the Fisher, the rest damped.

use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Listed, MethodInfo, Values, plain};
use crate::influence::solve::krylov::{self, Krylov, Process};
use crate::look::{Dash, Look, Marker};

/// Lanczos: X = U(Θ+λI)⁻¹UᵀV + (V − UUᵀV)/λ with the k largest Ritz pairs (Θ, U) of F.
///
/// The same space as [`arnoldi`](super::arnoldi) and the same settings, done for accuracy, where that one is done as
/// published; so `complement` is `damp` here and `drop` there. It starts in the range of F, where all its
/// steps count; every vector is orthogonalised against all others twice; on breakdown it
/// restarts with a random vector orthogonal to the basis; and what the pairs miss is damped by 1/λ, not dropped. Along an eigenvector
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
pub struct Lanczos(pub Krylov);

impl Listed for Lanczos {
    const INFO: MethodInfo = MethodInfo {
        name: "lanczos",
        title: "Lanczos",
        look: Some(Look::new([0x8c, 0x51, 0x0a], Marker::Up, Dash::Solid)),
        variant: plain,
        summary: "the top eigenpairs of the Fisher by Lanczos, the rest damped",
        formula: "U(Θ + λI)⁻¹Uᵀv + (v − UUᵀv)/λ",
        cost: "s n d + s² d",
        memory: "s d",
        passes: "s + 1, and one for the start; those of exact where k ≥ min(n, d)",
        damping: "λ_l added to the Ritz values; 1/λ_l outside",
        source: "Lanczos 1950; Parlett 1980",
        when: "when few directions carry the Fisher and queries keep coming",
        options: &krylov::options("damp"),
    };

    fn from_values(values: &Values) -> Self {
        Self(Krylov::from_values(values))
    }
}

impl InfluenceMethod for Lanczos {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        self.0.prepare(block, lambda, Process::Lanczos)
    }

    fn measure_residual(&self) -> bool {
        true
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        // orthogonalised twice against all
        self.0.cost(size, 4.0)
    }
}
