//! Time and memory of a stage of work.

use serde::{Deserialize, Serialize};

/// Wall time by stage, seconds. Damping, input and output, and set-up are outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageSeconds {
    /// Query-independent work.
    pub prepare: f64,
    /// (F+λI)⁻¹ on all queries.
    pub apply: f64,
    /// The contraction with the training gradients.
    pub score: f64,
}

impl StageSeconds {
    /// Sum of the stages.
    pub fn total(&self) -> f64 {
        self.prepare + self.apply + self.score
    }
}

/// Peak memory by stage, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageBytes {
    /// While preparing.
    pub prepare: u64,
    /// While applying (what prepare left included).
    pub apply: u64,
    /// While scoring.
    pub score: u64,
}

impl StageBytes {
    /// The largest of the stages.
    pub fn peak(&self) -> u64 {
        self.prepare.max(self.apply).max(self.score)
    }
}
