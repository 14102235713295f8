//! LiSSA as pyDVL has it.

use super::fixed_point::FixedPoint;
use super::settings::{Damping, scale, steps};
use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Allowed, Listed, MethodInfo, OptionInfo, Values, plain};

/// pyDVL's LiSSA: r ← v + (1 − δ) r − (F + λI) r/s from r = v, at most k times, result r/s. It **stops when the
/// largest relative change |Δ/r| of any entry of any query** is below a tolerance: one query asked alone stops
/// elsewhere than among others, and an entry near zero keeps all of them going.
///
/// Here every step takes all examples, which is pyDVL with one batch; it takes the first batch of a new shuffle.
///
/// Source: pyDVL 0.10.0, `LissaOperator`, on a loss whose Hessian is F or with Gauss–Newton (whose batches are
/// averaged rightly here). Cost: 4·k·m·n·d to apply; m·d numbers. SolverDiagnostics as of
/// [`Lissa`](crate::influence::methods::lissa::Lissa).
#[derive(Clone, Debug, PartialEq)]
pub struct LissaPydvl {
    /// Steps k at most, at least 1.
    pub iterations: usize,
    /// s > 0.
    pub scale: f64,
    /// δ ≥ 0; 0.
    pub dampen: f64,
    /// λ.
    pub damping: Damping,
    /// Relative change below which it stops.
    pub tolerance: f64,
}

impl Listed for LissaPydvl {
    const INFO: MethodInfo = MethodInfo {
        name: "lissa_pydvl",
        title: "LiSSA as in pyDVL",
        look: None,
        variant: plain,
        summary: "pyDVL's LiSSA on full batches: one stop for all queries",
        formula: "r ← v + (1 − δ) r − (F + λI) r/s until max|Δ/r| < tolerance, result r/s",
        cost: "k n d",
        memory: "2 m d",
        passes: "k + 1",
        damping: "none; one constant, or λ_l, inside the iteration",
        source: "pyDVL 0.10.0; Koh, Liang 2017, arXiv 1703.04730",
        when: "to explain figures published with pyDVL",
        options: &[
            steps("1000"),
            scale("10"),
            OptionInfo {
                key: "dampen",
                default: "none",
                allowed: Allowed::NumberOr(&["none"]),
                help: "δ",
            },
            OptionInfo {
                key: "damping",
                default: "none",
                allowed: Allowed::NumberOr(&["none", "auto"]),
                help: "λ: one constant for all blocks, none as in the library, auto is our λ of each block",
            },
            OptionInfo {
                key: "tolerance",
                default: "1e-4",
                allowed: Allowed::Number,
                help: "largest relative change of any entry below which all queries stop",
            },
        ],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            iterations: values.count("iterations"),
            scale: values.number("scale").unwrap_or(10.0),
            dampen: values.number("dampen").unwrap_or(0.0),
            damping: Damping::from_values(values),
            tolerance: values.number("tolerance").unwrap_or(1e-4),
        }
    }
}

impl InfluenceMethod for LissaPydvl {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        Ok(Box::new(FixedPoint {
            block,
            keep: 1.0 - self.dampen - self.damping.of(lambda) / self.scale,
            scale: self.scale,
            iterations: self.iterations,
            tolerance: self.tolerance,
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
