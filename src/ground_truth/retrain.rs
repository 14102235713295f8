//! What a retraining is.

use crate::finetune::{Outcome, Retrainer};

/// Trains on a part of the training examples.
pub trait Retrain: Sync {
    /// Hash of everything that decides an outcome beside the arguments of [`retrain`](Self::retrain).
    fn key(&self) -> &str;
    /// Training examples n.
    fn examples(&self) -> usize;
    /// Queries m.
    fn queries(&self) -> usize;
    /// Retrainings that may be at work at a time: as many as there are threads, but where each takes memory of a
    /// GPU.
    fn at_a_time(&self) -> usize {
        usize::MAX
    }
    /// Trains on the examples `kept` of n with `seed`; the same arguments have the same outcome.
    ///
    /// # Errors
    /// A sentence for the record.
    fn retrain(&self, kept: &[bool], seed: u64, by_epoch: bool) -> Result<Outcome, String>;
}

impl Retrain for Retrainer {
    fn key(&self) -> &str {
        self.key()
    }

    fn examples(&self) -> usize {
        self.examples()
    }

    fn queries(&self) -> usize {
        self.queries()
    }

    fn at_a_time(&self) -> usize {
        self.at_a_time()
    }

    fn retrain(&self, kept: &[bool], seed: u64, by_epoch: bool) -> Result<Outcome, String> {
        self.run(kept, seed, by_epoch).map_err(|e| e.to_string())
    }
}
