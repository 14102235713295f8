//! What is asked.

use std::path::PathBuf;

use super::companions::CompanionFiles;
use crate::influence::{Blocks, MethodSpec, Precision};

/// What is asked.
#[derive(Clone, Debug)]
pub struct ScoreRequest {
    /// Training gradients: one `[n, ...]` tensor a matrix.
    pub train: PathBuf,
    /// Query gradients: the same names and sizes, `[m, ...]`.
    pub query: PathBuf,
    /// The methods; no label twice.
    pub methods: Vec<MethodSpec>,
    /// c in λ_l = c · tr(F_l)/d_l. The paper: 0.1.
    pub damping: f64,
    /// Score the mean query only: `[1, n]`.
    pub mean_query: bool,
    /// Precision of the approximations' products.
    pub precision: Precision,
    /// What one block is.
    pub blocks: Blocks,
    /// What seeded methods draw from.
    pub seed: u64,
    /// What some methods need besides.
    pub companions: CompanionFiles,
    /// What every target token of some training examples contributes to their gradients: the training gradients' tensors,
    /// a row per token, with a [list of the tokens](super::token_file) beside it.
    pub per_token: Option<PathBuf>,
    /// Where the scores go.
    pub out: PathBuf,
}

impl ScoreRequest {
    /// Every file that is read.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.train, &self.query]
            .into_iter()
            .chain(self.companions.paths())
            .chain(&self.per_token)
    }
}
