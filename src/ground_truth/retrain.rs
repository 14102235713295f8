//! What a retraining is.

/// What a retraining leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Loss of every query after training, nats.
    pub losses: Vec<f64>,
    /// Accuracy on the queries after every epoch, 0–1; empty unless asked for.
    pub accuracy: Vec<f64>,
}

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
