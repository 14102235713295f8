//! The damped Fisher inverted exactly: the ground truth of every comparison.

use crate::influence::block::precision::Precision;
use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Limit, Preconditioner};
use crate::influence::registry::{Allowed, Listed, MethodInfo, OptionInfo, Values, plain};
use crate::look::{Dash, Look, Marker};

pub use crate::influence::solve::exact::{Exact, Solver};

impl Listed for Exact {
    const INFO: MethodInfo = MethodInfo {
        name: "exact",
        title: "Exact",
        look: Some(Look::new([0x00, 0x00, 0x00], Marker::Square, Dash::Solid)),
        variant: plain,
        summary: "the damped Fisher inverted in f64, with its residual: the reference",
        formula: "(F + λI)⁻¹v, or (v − Gᵀ(nλI + GGᵀ)⁻¹Gv)/λ",
        cost: "min(n d² + d³, n² d + n³), or k n d",
        memory: "min(n, d)² numbers; cg: 5 m d",
        passes: "primal 3, dual 5, each refinement 3 more; cg k + 2",
        damping: "λ_l on the diagonal of F",
        source: "the definition; Woodbury 1950; O'Leary 1980 and Dubrulle 2001 for cg",
        when: "always, while it fits the time: the ground truth, and for n in the thousands often cheap enough to be the answer",
        options: &[
            OptionInfo {
                key: "solver",
                default: "auto",
                allowed: Allowed::Word(&["auto", "primal", "dual", "cg"]),
                help: "factorise d×d (primal) or n×n (dual), or iterate (cg); auto takes the cheaper factorisation that fits for each block",
            },
            OptionInfo {
                key: "memory_mib",
                default: "4096",
                allowed: Allowed::Count,
                help: "largest matrix that auto factorises, MiB; beyond it takes cg",
            },
        ],
    };

    fn from_values(values: &Values) -> Self {
        let solver = match values.word("solver") {
            Some("primal") => Solver::Primal,
            Some("dual") => Solver::Dual,
            Some("cg") => Solver::Cg,
            _ => Solver::Auto,
        };
        Self {
            solver,
            memory_mib: values.count("memory_mib"),
        }
    }
}

impl InfluenceMethod for Exact {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        self.solve(block, lambda)
    }

    /// The reference is f64 to its last product.
    fn precision(&self, _: Precision) -> Precision {
        Precision::F64
    }

    fn limit(&self) -> Limit {
        Limit::Exact
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        self.cost_of(size)
    }
}
