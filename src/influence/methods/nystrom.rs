//! Nyström: a randomised low-rank Fisher, inverted by Woodbury's formula.

use faer::Mat;

use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{Applied, InfluenceMethod, Preconditioner};
use crate::influence::registry::{Allowed, ExactAt, Listed, MethodInfo, OptionInfo, Values, plain};
use crate::influence::solve::exact::{self, Exact};
use crate::influence::solve::low_rank::{Complement, LowRank};
use crate::influence::solve::sketch::{self, sketch};
use crate::look::{Dash, Look, Marker};

/// Randomised Nyström: F̂ = (FΩ)(ΩᵀFΩ)⁺(FΩ)ᵀ with k random columns Ω, X = (F̂ + λI)⁻¹V.
///
/// F̂ = UΘUᵀ is the best approximation from what F does to Ω that lies below F (0 ≤ F̂ ≤ F), so X overstates in
/// the directions it missed: F counts as zero there. It is exact once k reaches the rank of F;
/// a few columns more make it so to rounding, since the shift below is amplified by ‖Ω⊥Ω_r⁺‖² (Ω outside and inside the
/// range of F), about d/p with p columns to spare. From k = min(n, d) on the block is solved exactly, as [`exact`] does.
///
/// Source: Frangella, Tropp, Udell 2021 (arXiv 2110.02820), algorithm 2.1: Ω a seeded Gaussian `[d, k]` made
/// orthonormal; F shifted by ν = (n + d)·ε·‖FΩ‖_F, which is taken off Θ again, so that rounding leaves ΩᵀFΩ
/// positive (there √d in place of n + d; but ν must exceed the rounding error of
/// FΩ, whose sums are over n and d). The sketch is always f64: rounding of f32 would need a shift as large as a small λ.
///
/// Cost: 4·k·n·d + 8·k²·d to prepare, 4·m·k·d to apply; k·d numbers. Passes over the gradients, the contraction included: 2.
/// The residual ‖(F+λI)x − v‖/‖v‖ is measured outside the clock; a block counts in
/// [`SolverDiagnostics::not_converged`](crate::influence::SolverDiagnostics::not_converged) when it is above 1, that is worse than x = 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Nystrom {
    /// Columns of the sketch k, at least 1; exact from min(n, d) on.
    pub rank: usize,
}

impl Listed for Nystrom {
    const INFO: MethodInfo = MethodInfo {
        name: "nystrom",
        title: "Nyström",
        look: Some(Look::new([0x01, 0x66, 0x5e], Marker::Diamond, Dash::Solid)),
        variant: plain,
        summary: "a randomised rank-k Fisher, inverted by Woodbury's formula",
        formula: "(v − UΘ(Θ + λI)⁻¹Uᵀv)/λ with UΘUᵀ = (FΩ)(ΩᵀFΩ)⁺(FΩ)ᵀ",
        cost: "k n d + k² d",
        memory: "k (d + n)",
        passes: "2; those of exact where k ≥ min(n, d)",
        damping: "λ_l by Woodbury's formula",
        source: "Frangella, Tropp, Udell 2021, arXiv 2110.02820",
        when: "as lanczos, with all products at once instead of one after another",
        options: &[OptionInfo {
            key: "rank",
            default: "32",
            allowed: Allowed::Size(ExactAt::Rank),
            help: "columns of the random sketch k",
        }],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            rank: values.count("rank"),
        }
    }
}

impl InfluenceMethod for Nystrom {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        if self.rank >= block.rows().min(block.dim()) {
            return exact::whole(block, lambda);
        }
        Ok(Box::new(Sketched {
            low: sketch(block, self.rank),
            lambda,
        }))
    }

    fn measure_residual(&self) -> bool {
        true
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        if size.keeps_all(self.rank) {
            return Exact::default().cost_of(size);
        }
        let (m, d, k) = (size.queries, size.dim, self.rank as f64);
        let (operations, held) = sketch::cost(size, self.rank);
        Cost::once(size, operations + 4.0 * m * k * d, held + m * d)
    }
}

struct Sketched {
    low: LowRank,
    lambda: f64,
}

impl Preconditioner for Sketched {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        Ok(self.low.invert(v, self.lambda, Complement::Damp).into())
    }
}
