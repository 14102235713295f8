//! What a solver says of its own answer.

use serde::{Deserialize, Serialize};

/// What a solver says of its own answer, the worst over blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// ‖(F+λI)x − v‖/‖v‖, the largest over blocks and queries; `null` when not computed.
    pub residual: Option<f64>,
    /// Iterations or refinement steps, the most over blocks.
    pub iterations: Option<usize>,
    /// How each block was solved, e.g. `primal`, `dual`, when there is a choice.
    pub solver: Option<String>,
    /// Blocks that did not converge.
    pub not_converged: usize,
}
