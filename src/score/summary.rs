//! What was computed, and what it cost.

use serde::Serialize;

use crate::influence::SolverDiagnostics;
use crate::measure::{StageBytes, StageSeconds};

/// What was computed.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreSummary {
    /// Training examples n.
    pub train: usize,
    /// Rows of scores: m, or 1 for the mean query.
    pub queries: usize,
    /// The blocks with their damping.
    pub blocks: Vec<ScoredBlock>,
    /// One entry a method, in the order asked.
    pub methods: Vec<ScoredMethod>,
}

impl ScoreSummary {
    /// The methods that have no scores, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &str)> {
        self.methods.iter().filter_map(|method| {
            let error = method.outcome.as_ref().err()?;
            Some((method.label.as_str(), error.as_str()))
        })
    }

    /// Whether a file of scores was written: one method is enough.
    pub fn is_written(&self) -> bool {
        self.methods.iter().any(|method| method.outcome.is_ok())
    }
}

/// A block of [`ScoreSummary`].
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredBlock {
    /// Name.
    pub name: String,
    /// Size d_l.
    pub dim: usize,
    /// Damping λ_l; 0 when all gradients of the block are zero, so that it adds nothing to any score.
    pub lambda: f64,
}

/// A method of [`ScoreSummary`].
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredMethod {
    /// The string given, which is also the tensor's name.
    pub label: String,
    /// What its scores cost, or why there are none.
    pub outcome: Result<Measured, String>,
}

/// What the scores of a method cost, and what is known about them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Wall time by stage.
    pub seconds: StageSeconds,
    /// Peak memory by stage; `null` when the allocator does not count.
    pub peak_bytes: Option<StageBytes>,
    /// Bytes of the training gradients fetched: over their size, the passes made.
    pub bytes_read: u64,
    /// What the solver says of its own answer.
    pub evidence: SolverDiagnostics,
    /// Scores that are NaN or infinite; they are written as they are.
    pub non_finite: usize,
    /// How far the scores of an example's tokens add up to something else than its own, the worst difference over the
    /// largest score; `None` without scores by token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_difference: Option<f64>,
}
