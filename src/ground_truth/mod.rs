//! Ground truth by retraining: what influence is meant to predict, measured.
//!
//! - [`leave_one_out`]: the loss without an example against the loss with all;
//! - [`subset_retraining`]: losses on random subsets, for the linear datamodeling score;
//! - [`selection`]: training on what a method calls helpful, or without it.
//!
//! All methods of a cell are held against the same retrainings. What a retraining is, is behind the trait
//! [`Retrain`] (see [`crate::finetune::retrain`]), so that all of this is tested where the truth is known in
//! closed form. Every finished retraining is a file of its own in the cache, named by what decides it: a killed
//! run loses the ones that were running, and more subsets or seeds add to those that are there. Retrainings
//! go on all threads, one a thread, and do not depend on their number.

pub mod journal;
pub mod leave_one_out;
pub mod selection;
pub mod subset_retraining;
mod work;

use std::time::Instant;

use rand::RngExt;

use crate::config::ground_truth::GroundTruthConfig;
use crate::metrics::retraining::Retraining;
use crate::random;
use crate::results::record::GroundTruthFacts;

pub use journal::Journal;
pub use work::{Bench, Job};

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

/// The truth that the methods are held against, and what the record says of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// For the metrics.
    pub retraining: Retraining,
    /// For the record.
    pub facts: GroundTruthFacts,
}

/// Retrains as the settings say, as far as that does not depend on a method.
///
/// # Errors
/// A retraining that failed (those that were finished are kept), a file that cannot be written, or more
/// examples asked for than there are.
pub fn measure(config: &GroundTruthConfig, bench: &Bench) -> Result<Truth, String> {
    let start = Instant::now();
    if let Some((at, problem)) = config.problem(Some(bench.retrain.examples())) {
        return Err(format!("ground_truth.{at}: {problem}"));
    }
    let mut truth = Truth::default();
    if let Some(settings) = &config.leave_one_out {
        let losses = leave_one_out::measure(settings, bench)?;
        truth.facts.leave_one_out = Some(leave_one_out::facts(&losses));
        truth.retraining.leave_one_out = Some(losses);
    }
    if let Some(settings) = &config.subset_retraining {
        for subsets in subset_retraining::measure(settings, bench)? {
            truth
                .facts
                .subsets
                .push(subset_retraining::facts(&subsets, bench.seed));
            truth.retraining.subsets.push(subsets);
        }
    }
    truth.facts.curves = selection::baselines(config, bench)?;
    truth.facts.seconds = start.elapsed().as_secs_f64();
    Ok(truth)
}

/// The first `count` seeds of the retrainings of a cell; more of them go on with the same ones.
pub fn seeds(cell_seed: u64, count: usize) -> Vec<u64> {
    let draw = |index| random::rng(cell_seed, "ground_truth", &format!("seed/{index}")).random();
    (0..count).map(draw).collect()
}

/// `count` of n examples, uniformly, by a purpose.
fn choose(n: usize, count: usize, cell_seed: u64, purpose: &str) -> Vec<usize> {
    use rand::seq::SliceRandom;
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut random::rng(cell_seed, "ground_truth", purpose));
    order.truncate(count);
    order.sort_unstable();
    order
}

/// All n examples but some.
fn without(n: usize, some: &[usize]) -> Vec<bool> {
    let mut kept = vec![true; n];
    some.iter().for_each(|&k| kept[k] = false);
    kept
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
