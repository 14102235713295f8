//! Retraining on random subsets of the training examples.

use ndarray::Array3;

use super::draws::{choose, seeds, without};
use super::info::SubsetInfo;
use super::settings::SubsetRetrainingConfig;
use super::shares::{count, percent};
use super::work::{Job, RetrainContext};
use crate::metrics::datamodel::noise_ceiling;
use crate::metrics::retraining::Subsets;

/// Losses after training on the subsets of every share. A subset keeps round(share · n) examples, drawn
/// uniformly by (cell's seed, share, its number), so that more subsets go on with the same ones.
///
/// shares · subsets · seeds retrainings.
///
/// # Errors
/// See [`RetrainContext::run`].
pub fn measure(
    settings: &SubsetRetrainingConfig,
    bench: &RetrainContext,
) -> Result<Vec<Subsets>, String> {
    let (n, m) = (bench.retrain.examples(), bench.retrain.queries());
    settings
        .fractions
        .iter()
        .map(|&fraction| {
            let percent = percent(fraction);
            let kept = subsets(settings, fraction, n, bench.seed);
            let jobs = jobs_on(settings, &kept, bench.seed);
            let outcomes = bench.run(&format!("subsets of {percent} %"), &jobs)?;
            let seeds = settings.seeds;
            let losses = Array3::from_shape_fn((kept.len(), seeds, m), |(s, r, q)| {
                outcomes[s * seeds + r].losses[q]
            });
            Ok(Subsets {
                percent,
                kept,
                losses,
            })
        })
        .collect()
}

/// The subsets of n examples of a share.
fn subsets(
    settings: &SubsetRetrainingConfig,
    fraction: f64,
    n: usize,
    seed: u64,
) -> Vec<Vec<bool>> {
    let percent = percent(fraction);
    let subset = |index| {
        let purpose = format!("subset/{percent}/{index}");
        without(n, &choose(n, n - count(n, fraction), seed, &purpose))
    };
    (0..settings.subsets).map(subset).collect()
}

/// The retrainings on some subsets, seeds innermost.
fn jobs_on(settings: &SubsetRetrainingConfig, subsets: &[Vec<bool>], seed: u64) -> Vec<Job> {
    let seeds = seeds(seed, settings.seeds);
    let of_subset = |kept: &Vec<bool>| {
        let job = |&seed: &u64| Job {
            kept: kept.clone(),
            seed,
            by_epoch: false,
        };
        seeds.iter().map(job).collect::<Vec<_>>()
    };
    subsets.iter().flat_map(of_subset).collect()
}

/// The retrainings of a cell with this seed on n examples.
pub(super) fn jobs(settings: &SubsetRetrainingConfig, n: usize, seed: u64) -> Vec<Job> {
    let of_share = |&fraction: &f64| jobs_on(settings, &subsets(settings, fraction, n, seed), seed);
    settings.fractions.iter().flat_map(of_share).collect()
}

/// What the record says.
pub fn info(subsets: &Subsets, seed: u64) -> SubsetInfo {
    let (count, seeds, _) = subsets.losses.dim();
    let ceiling = noise_ceiling(subsets, seed);
    SubsetInfo {
        percent: subsets.percent,
        subsets: count,
        seeds,
        split_half: ceiling
            .split_half
            .named("split_half", (Some(-1.0), Some(1.0))),
        ceiling: ceiling.ceiling.named("lds_ceiling", (Some(0.0), Some(1.0))),
    }
}
