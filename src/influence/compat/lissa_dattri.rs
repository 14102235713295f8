//! LiSSA as dattri has it.

use super::fixed_point::FixedPoint;
use super::settings::{Damping, scale, steps};
use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Allowed, Listed, MethodInfo, OptionInfo, Values, plain};

/// dattri's LiSSA: r ← v + (1 − δ) r − F r/s from r = v, k times, result r/s. **The damping is outside the
/// scale**, so that it converges to (F + sδI)⁻¹v, and is none by default: singular where n < d.
///
/// Here every step takes all examples. dattri draws `batch_size` (1) of them anew at each step and for each query,
/// of which this is the mean.
///
/// Source: dattri 0.3.0, `hessian.ihvp_lissa`, on a loss whose Hessian is F. Cost: 4·k·m·n·d to apply; m·d
/// numbers. SolverDiagnostics as of [`Lissa`](crate::influence::methods::lissa::Lissa).
#[derive(Clone, Debug, PartialEq)]
pub struct LissaDattri {
    /// Steps k, at least 1.
    pub iterations: usize,
    /// s > 0.
    pub scale: f64,
    /// δ.
    pub damping: Damping,
}

impl Listed for LissaDattri {
    const INFO: MethodInfo = MethodInfo {
        name: "lissa_dattri",
        title: "LiSSA as in dattri",
        look: None,
        variant: plain,
        summary: "dattri's LiSSA on full batches: the damping outside the scale",
        formula: "r ← v + (1 − δ) r − F r/s, result r/s",
        cost: "k n d",
        memory: "2 m d",
        passes: "k + 1",
        damping: "none; one constant δ, or λ_l, outside the scale",
        source: "dattri 0.3.0; Koh, Liang 2017, arXiv 1703.04730",
        when: "to explain figures published with dattri",
        options: &[
            steps("5000"),
            scale("50"),
            OptionInfo {
                key: "damping",
                default: "none",
                allowed: Allowed::NumberOr(&["none", "auto"]),
                help: "δ: one constant for all blocks, none as in the library, auto is our λ of each block",
            },
        ],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            iterations: values.count("iterations"),
            scale: values.number("scale").unwrap_or(50.0),
            damping: Damping::from_values(values),
        }
    }
}

impl InfluenceMethod for LissaDattri {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        Ok(Box::new(FixedPoint {
            block,
            keep: 1.0 - self.damping.of(lambda),
            scale: self.scale,
            iterations: self.iterations,
            tolerance: 0.0,
        }))
    }

    fn measure_residual(&self) -> bool {
        true
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        let (n, m, d) = (size.examples, size.queries, size.dim);
        let work = (0.0, 2.0 * size.product(), self.iterations as f64);
        Cost::iterated(size, work, m * n + m * d)
    }
}
