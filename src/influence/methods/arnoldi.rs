//! Arnoldi: the top eigenpairs of the Fisher, the rest dropped, as the literature has it.

use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Listed, MethodInfo, Values, plain};
use crate::influence::solve::krylov::{self, Krylov, Process};
use crate::look::{Dash, Look, Marker};

/// Arnoldi: X = U(Θ+λI)⁻¹UᵀV with the k Ritz pairs (Θ, U) of F that are largest in magnitude.
///
/// As published: a Gaussian start, modified Gram–Schmidt once, the projected matrix cut to its three diagonals
/// and made symmetric, the complement dropped. Three things differ: the damping (Θ+λ, there Θ alone), a
/// vector that Gram–Schmidt left less than a tenth of is orthogonalised once more, and on breakdown it restarts
/// with a random vector orthogonal to the basis, where the published code stops. F being symmetric, this is
/// [`lanczos`](super::lanczos) up to rounding and the start. Because every training gradient lies in the
/// range of F, the dropped part costs no score once k reaches the rank of F: only then is it exact, and only in
/// scores; its residual stays ‖v⊥‖/‖v‖. From k = min(n, d) on the block is solved exactly, as
/// [`exact`](super::exact) does, and `complement` says nothing.
///
/// `complement` is `drop` here because the paper, its code, dattri and pyDVL (without `use_woodbury`) have it so, and
/// `damp` in `lanczos` because that is right in the null space of F: the other settings and their defaults are the same.
///
/// Source: Schioppa, Zablotskaia, Vilar, Sokolov 2022 (arXiv 2112.03052), and their public code. Cost with s
/// steps: 4·s·n·d + 2·s²·d to prepare, 4·m·k·d to apply; s·d numbers; s passes over the gradients, twice. Always
/// f64.
///
/// The residual is measured outside the clock; a block counts as not converged when it is above 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Arnoldi(pub Krylov);

impl Listed for Arnoldi {
    const INFO: MethodInfo = MethodInfo {
        name: "arnoldi",
        title: "Arnoldi",
        look: Some(Look::new([0xbf, 0x81, 0x2d], Marker::Down, Dash::Dotted)),
        variant: plain,
        summary: "the top eigenpairs of the Fisher by Arnoldi, the rest dropped",
        formula: "U(Θ + λI)⁻¹Uᵀv",
        cost: "s n d + s² d",
        memory: "s d",
        passes: "s + 1; those of exact where k ≥ min(n, d)",
        damping: "λ_l added to the Ritz values; outside them nothing",
        source: "Schioppa et al. 2022, arXiv 2112.03052",
        when: "to reproduce published results; lanczos keeps what it drops",
        options: &krylov::options("drop"),
    };

    fn from_values(values: &Values) -> Self {
        Self(Krylov::from_values(values))
    }
}

impl InfluenceMethod for Arnoldi {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        self.0.prepare(block, lambda, Process::Arnoldi)
    }

    fn measure_residual(&self) -> bool {
        true
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        // orthogonalised once against all
        self.0.cost(size, 2.0)
    }
}
