//! Data selection (the paper's Figure 7): training on what a method calls helpful, and without it.
//!
//! Curves, each a mean over the seeds of retraining:
//!
//! - `selection_accuracy`: query accuracy after every epoch, trained on the share of the examples with the
//!   lowest (most helpful) scores of the mean query;
//! - `removal_loss`: mean query loss at the end, against the share of the examples that was taken away, the
//!   most helpful first. A right method makes it rise faster than a random choice does.
//!
//! Scores and accuracy come from the same queries, as a validation set is used: the curves compare choices,
//! and say nothing about new data. Steps and learning rates are those of training on everything, so a choice of
//! fewer examples sees each as often, in smaller batches.

use super::draws::{choose, seeds, without};
use super::settings::GroundTruthConfig;
use super::shares::count;
use super::work::{Job, RetrainContext};
use crate::metrics::Curve;
use crate::metrics::rank::{all_finite, ascending};

/// Name of the curves of accuracy by epoch.
pub const SELECTION: &str = "selection_accuracy";
/// Name of the curves of loss by share taken away.
pub const REMOVAL: &str = "removal_loss";

/// Curves of all examples and of random choices: `selection_accuracy/full`, `selection_accuracy/random`,
/// `removal_loss/random`. A random choice is another one with every seed.
///
/// # Errors
/// See [`RetrainContext::run`].
pub fn baselines(config: &GroundTruthConfig, bench: &RetrainContext) -> Result<Vec<Curve>, String> {
    let n = bench.retrain.examples();
    let mut curves = Vec::new();
    if let Some(settings) = &config.selection {
        let all = |_| vec![true; n];
        let keep = count(n, settings.keep);
        let random = |r| {
            without(
                n,
                &choose(n, n - keep, bench.seed, &format!("selection/{r}")),
            )
        };
        curves.push(accuracy("/full", settings.seeds, &all, bench)?);
        curves.push(accuracy("/random", settings.seeds, &random, bench)?);
    }
    if let Some(settings) = &config.removal {
        // taken away in a random order, so that a larger share holds the smaller ones
        let order = |r| {
            let keys: Vec<f64> = {
                use rand::RngExt;
                let mut rng =
                    crate::random::rng(bench.seed, "ground_truth", &format!("removal/{r}"));
                (0..n).map(|_| rng.random()).collect()
            };
            ascending(&keys)
        };
        curves.push(loss(
            "/random",
            &settings.shares,
            settings.seeds,
            &order,
            bench,
        )?);
    }
    Ok(curves)
}

/// The curves of a method, from its scores of the mean query (positive = harmful); none when one of them is
/// not finite.
///
/// # Errors
/// See [`RetrainContext::run`].
pub fn curves(
    config: &GroundTruthConfig,
    scores: &[f64],
    bench: &RetrainContext,
) -> Result<Vec<Curve>, String> {
    let n = bench.retrain.examples();
    let mut curves = Vec::new();
    if !all_finite(scores) {
        return Ok(curves);
    }
    let helpful_first = ascending(scores);
    if let Some(settings) = &config.selection {
        let kept = without(n, &helpful_first[count(n, settings.keep)..]);
        curves.push(accuracy("", settings.seeds, &|_| kept.clone(), bench)?);
    }
    if let Some(settings) = &config.removal {
        let order = |_| helpful_first.clone();
        curves.push(loss("", &settings.shares, settings.seeds, &order, bench)?);
    }
    Ok(curves)
}

/// Accuracy by epoch; `kept` says what the r-th retraining is trained on.
fn accuracy(
    ending: &str,
    count: usize,
    kept: &dyn Fn(usize) -> Vec<bool>,
    bench: &RetrainContext,
) -> Result<Curve, String> {
    let jobs: Vec<Job> = seeds(bench.seed, count)
        .into_iter()
        .enumerate()
        .map(|(r, seed)| Job {
            kept: kept(r),
            seed,
            by_epoch: true,
        })
        .collect();
    let outcomes = bench.run("selection", &jobs)?;
    let epochs = outcomes.first().map_or(0, |outcome| outcome.accuracy.len());
    let mean =
        |epoch: usize| outcomes.iter().map(|o| o.accuracy[epoch]).sum::<f64>() / count as f64;
    Ok(Curve {
        name: format!("{SELECTION}{ending}"),
        x: (1..=epochs).map(|epoch| epoch as f64).collect(),
        y: (0..epochs).map(mean).collect(),
    })
}

/// Mean loss by share taken away, from none on; `order` says what goes first in the r-th retraining.
fn loss(
    ending: &str,
    shares: &[f64],
    seed_count: usize,
    order: &dyn Fn(usize) -> Vec<usize>,
    bench: &RetrainContext,
) -> Result<Curve, String> {
    let n = bench.retrain.examples();
    let x: Vec<f64> = std::iter::once(0.0).chain(shares.iter().copied()).collect();
    let seeds = seeds(bench.seed, seed_count);
    let orders: Vec<Vec<usize>> = (0..seed_count).map(order).collect();
    let jobs: Vec<Job> = x
        .iter()
        .flat_map(|&share| {
            seeds.iter().zip(&orders).map(move |(&seed, order)| Job {
                kept: without(n, &order[..count(n, share)]),
                seed,
                by_epoch: false,
            })
        })
        .collect();
    let outcomes = bench.run("removal", &jobs)?;
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let y = outcomes.chunks(seed_count).map(|same| {
        same.iter()
            .map(|outcome| mean(&outcome.losses))
            .sum::<f64>()
            / seed_count as f64
    });
    Ok(Curve {
        name: format!("{REMOVAL}{ending}"),
        y: y.collect(),
        x,
    })
}
