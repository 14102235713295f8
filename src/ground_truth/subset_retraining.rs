//! Retraining on random subsets of the training examples.

use ndarray::Array3;

use super::draws::{choose, seeds, without};
use super::facts::SubsetFacts;
use super::settings::SubsetRetrainingConfig;
use super::shares::{count, percent};
use super::work::{Bench, Job};
use crate::metrics::datamodel::noise_ceiling;
use crate::metrics::retraining::Subsets;

/// Losses after training on the subsets of every share. A subset keeps round(share · n) examples, drawn
/// uniformly by (cell's seed, share, its number), so that more subsets go on with the same ones.
///
/// shares · subsets · seeds retrainings.
///
/// # Errors
/// See [`Bench::run`].
pub fn measure(settings: &SubsetRetrainingConfig, bench: &Bench) -> Result<Vec<Subsets>, String> {
    let (n, m) = (bench.retrain.examples(), bench.retrain.queries());
    let seeds = seeds(bench.seed, settings.seeds);
    settings
        .fractions
        .iter()
        .map(|&fraction| {
            let percent = percent(fraction);
            let kept: Vec<Vec<bool>> = (0..settings.subsets)
                .map(|index| {
                    let purpose = format!("subset/{percent}/{index}");
                    let left_out = choose(n, n - count(n, fraction), bench.seed, &purpose);
                    without(n, &left_out)
                })
                .collect();
            let jobs: Vec<Job> = kept
                .iter()
                .flat_map(|kept| {
                    seeds.iter().map(|&seed| Job {
                        kept: kept.clone(),
                        seed,
                        by_epoch: false,
                    })
                })
                .collect();
            let outcomes = bench.run(&format!("subsets of {percent} %"), &jobs)?;
            let losses = Array3::from_shape_fn((kept.len(), seeds.len(), m), |(s, r, q)| {
                outcomes[s * seeds.len() + r].losses[q]
            });
            Ok(Subsets {
                percent,
                kept,
                losses,
            })
        })
        .collect()
}

/// What the record says.
pub fn facts(subsets: &Subsets, seed: u64) -> SubsetFacts {
    let (count, seeds, _) = subsets.losses.dim();
    let ceiling = noise_ceiling(subsets, seed);
    SubsetFacts {
        percent: subsets.percent,
        subsets: count,
        seeds,
        split_half: ceiling
            .split_half
            .named("split_half", (Some(-1.0), Some(1.0))),
        ceiling: ceiling.ceiling.named("lds_ceiling", (Some(0.0), Some(1.0))),
    }
}
