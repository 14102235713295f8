//! What a method is given besides gradients, and what comes of it.

use ndarray::Array2;

use super::parts::Parts;
use super::preconditioned::PreconditionedQueries;
use super::queries::Queries;
use crate::influence::block::precision::Precision;
use crate::influence::companions::Companions;
use crate::influence::diagnostics::SolverDiagnostics;
use crate::measure::{StageBytes, StageSeconds};

/// How [`run_method`](super::run_method) computes.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions<'a> {
    /// Precision of the products; `exact` is always f64.
    pub precision: Precision,
    /// Which queries.
    pub queries: Queries,
    /// What seeded methods draw from.
    pub seed: u64,
    /// What travels beside the gradients, for the methods that need it.
    pub companions: Companions<'a>,
    /// What is scored besides the training examples.
    pub parts: Option<Parts<'a>>,
    /// Of so many queries, from the first, (F + λI)⁻¹v is kept: d float64 numbers per query.
    pub keep: usize,
}

/// A method's scores and what they cost.
#[derive(Clone, Debug)]
pub struct Influence {
    /// I(k, q), `[queries, train]`; positive = harmful. May hold NaN or infinities where an iteration
    /// diverged.
    pub scores: Array2<f64>,
    /// The same of [`RunOptions::parts`], `[queries, parts]`, outside the clock; `None` also of a method that projects
    /// gradients or goes along checkpoints, in place of a product with one answer (F + λI)⁻¹v.
    pub parts: Option<Array2<f64>>,
    /// What [`RunOptions::keep`] asked for; `None` without it, and of the same methods as `parts`.
    pub preconditioned: Option<PreconditionedQueries>,
    /// Wall time by stage, summed over blocks.
    pub seconds: StageSeconds,
    /// Peak memory by stage, the largest over blocks, above what was held before the block's first stage
    /// (the gradients, its queries and the scores); `None` without the tracking allocator.
    pub peak_bytes: Option<StageBytes>,
    /// Bytes of the training gradients fetched from the store, over all stages, those at sampled labels
    /// included. Divided by the size of the store they are the passes over the data that the method makes.
    pub bytes_read: u64,
    /// The worst over blocks.
    pub evidence: SolverDiagnostics,
    /// One for each block of the layout, and for each checkpoint if the method goes through them; a block
    /// of zeros has none to show.
    pub block_evidence: Vec<SolverDiagnostics>,
}
