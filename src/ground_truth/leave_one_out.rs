//! Retraining without one example, for each of some.

use ndarray::{Array2, Array3};

use super::draws::{choose, seeds, without};
use super::info::LeaveOneOutInfo;
use super::settings::LeaveOneOutConfig;
use super::work::{Job, RetrainContext};
use crate::metrics::leave_one_out::{noise_ceiling, signals};
use crate::metrics::retraining::LeaveOneOut;

/// Losses with all examples and without each, with the same seeds: pairs that differ by one example.
///
/// (examples + 1) · seeds retrainings.
///
/// # Errors
/// See [`RetrainContext::run`].
pub fn measure(
    settings: &LeaveOneOutConfig,
    bench: &RetrainContext,
) -> Result<LeaveOneOut, String> {
    let (n, m) = (bench.retrain.examples(), bench.retrain.queries());
    let (examples, seeds) = (left_out(settings, n, bench.seed), settings.seeds);
    let outcomes = bench.run("leave one out", &jobs(settings, n, bench.seed))?;
    let (full, rest) = outcomes.split_at(seeds);
    Ok(LeaveOneOut {
        full: Array2::from_shape_fn((seeds, m), |(s, q)| full[s].losses[q]),
        without: Array3::from_shape_fn((examples.len(), seeds, m), |(k, s, q)| {
            rest[k * seeds + s].losses[q]
        }),
        examples,
        min_snr: settings.min_snr,
    })
}

/// The examples of n that are left out.
fn left_out(settings: &LeaveOneOutConfig, n: usize, seed: u64) -> Vec<usize> {
    choose(n, settings.examples.unwrap_or(n), seed, "leave one out")
}

/// The retrainings of a cell with this seed: with all n examples, then without each, seeds innermost.
pub(super) fn jobs(settings: &LeaveOneOutConfig, n: usize, seed: u64) -> Vec<Job> {
    let seeds = seeds(seed, settings.seeds);
    let job = |kept: &[bool], &seed: &u64| Job {
        kept: kept.to_vec(),
        seed,
        by_epoch: false,
    };
    let mut jobs: Vec<Job> = seeds.iter().map(|seed| job(&vec![true; n], seed)).collect();
    for k in left_out(settings, n, seed) {
        let kept = without(n, &[k]);
        jobs.extend(seeds.iter().map(|seed| job(&kept, seed)));
    }
    jobs
}

/// What the record says.
pub fn info(losses: &LeaveOneOut) -> LeaveOneOutInfo {
    let (examples, seeds, _) = losses.without.dim();
    LeaveOneOutInfo {
        examples,
        seeds,
        min_snr: losses.min_snr,
        snr: signals(losses)
            .iter()
            .map(|s| s.map(|s| s.ratio()).filter(|ratio| ratio.is_finite()))
            .collect(),
        ceiling: noise_ceiling(losses).named("loo_ceiling", (Some(0.0), Some(1.0))),
    }
}
