//! Ground truth by retraining: what influence is meant to predict, measured.
//!
//! - [`leave_one_out`]: the loss without an example against the loss with all;
//! - [`subset_retraining`]: losses on random subsets, for the linear datamodeling score;
//! - [`selection`]: training on what a method calls helpful, or without it.
//!
//! In: the settings and what can be retrained ([`RetrainContext`]). Out: losses for [`crate::metrics`] and info for the record
//! ([`Truth`]).
//!
//! All methods of a cell are held against the same retrainings. What a retraining is, is behind the trait
//! [`Retrain`] (of a fine-tune: [`crate::finetune::Retrainer`]), so that all of this is tested where the truth is known in
//! closed form. Every finished retraining is a file of its own in the cache, named by what decides it: a killed
//! run loses the ones that were running, and more subsets or seeds add to those that are there. Retrainings
//! go on all threads, one a thread, and do not depend on their number.

pub mod decomposition;
mod draws;
pub mod info;
pub mod leave_one_out;
mod retrain;
pub mod retrain_cache;
pub mod selection;
pub mod settings;
mod shares;
pub mod subset_retraining;
mod work;

use std::time::Instant;

use crate::metrics::retraining::Retraining;

use info::GroundTruthInfo;

pub use decomposition::DecompositionConfig;
pub use draws::seeds;
pub use retrain::Retrain;
pub use retrain_cache::RetrainCache;
pub use settings::GroundTruthConfig;
pub use work::{Job, RetrainContext};

/// The truth that the methods are held against, and what the record says of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// For the metrics.
    pub retraining: Retraining,
    /// For the record.
    pub info: GroundTruthInfo,
}

/// Retrains as the settings say, as far as that does not depend on a method.
///
/// # Errors
/// A retraining that failed (those that were finished are kept), a file that cannot be written, or more
/// examples asked for than there are.
pub fn measure(config: &GroundTruthConfig, bench: &RetrainContext) -> Result<Truth, String> {
    let start = Instant::now();
    if let Some((at, problem)) = config.problem(Some(bench.retrain.examples())) {
        return Err(format!("ground_truth.{at}: {problem}"));
    }
    let mut truth = Truth::default();
    if let Some(settings) = &config.leave_one_out {
        let losses = leave_one_out::measure(settings, bench)?;
        truth.info.leave_one_out = Some(leave_one_out::info(&losses));
        truth.retraining.leave_one_out = Some(losses);
    }
    if let Some(settings) = &config.subset_retraining {
        for subsets in subset_retraining::measure(settings, bench)? {
            truth
                .info
                .subsets
                .push(subset_retraining::info(&subsets, bench.seed));
            truth.retraining.subsets.push(subsets);
        }
    }
    truth.info.curves = selection::baselines(config, bench)?;
    truth.info.seconds = start.elapsed().as_secs_f64();
    Ok(truth)
}

/// The retrainings of a cell that do not depend on a method and can be done by themselves, in any order: without one
/// example, and on random subsets, of n. [`measure`] finds them in the cache.
pub fn jobs(config: &GroundTruthConfig, n: usize, seed: u64) -> Vec<Job> {
    let leave_one_out = config.leave_one_out.iter();
    let subsets = config.subset_retraining.iter();
    leave_one_out
        .flat_map(|settings| leave_one_out::jobs(settings, n, seed))
        .chain(subsets.flat_map(|settings| subset_retraining::jobs(settings, n, seed)))
        .collect()
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
