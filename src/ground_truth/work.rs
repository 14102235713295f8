//! Retrainings on all threads, kept as they finish.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::retrain::Retrain;
use super::retrain_cache::RetrainCache;
use crate::finetune::Outcome;
use crate::interrupt;
use crate::progress::Progress;
use crate::workers;

/// One retraining.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Which of the n examples are trained on.
    pub kept: Vec<bool>,
    /// The seed.
    pub seed: u64,
    /// Whether the accuracy after every epoch is wanted.
    pub by_epoch: bool,
}

impl Job {
    /// How the cache calls its outcome.
    pub fn name(&self) -> String {
        RetrainCache::name(&self.kept, self.seed, self.by_epoch)
    }
}

/// Where retrainings are done.
pub struct RetrainContext<'a> {
    /// What is retrained.
    pub retrain: &'a dyn Retrain,
    /// The cell's seed: subsets and the seeds of retrainings are drawn from it.
    pub seed: u64,
    /// Where outcomes are kept.
    pub cache: RetrainCache,
    /// Where finished retrainings are counted.
    pub progress: &'a Progress,
}

impl RetrainContext<'_> {
    /// The outcomes of `jobs`, in order; what is in the cache is not done again, nor the same job twice.
    ///
    /// # Errors
    /// The first failure; jobs that were not started then are not, finished ones are kept.
    pub fn run(&self, what: &str, jobs: &[Job]) -> Result<Vec<Outcome>, String> {
        let m = self.retrain.queries();
        let names: Vec<String> = jobs.iter().map(Job::name).collect();
        let mut known: HashMap<&str, Outcome> = HashMap::new();
        let mut todo: Vec<usize> = Vec::new();
        for (index, name) in names.iter().enumerate() {
            if known.contains_key(name.as_str()) || todo.iter().any(|&other| names[other] == *name)
            {
                continue;
            }
            match self.cache.read(name, m) {
                Some(outcome) => {
                    known.insert(name, outcome);
                }
                None => todo.push(index),
            }
        }
        let (before, all) = (known.len(), known.len() + todo.len());
        let done = AtomicUsize::new(before);
        let stopped = AtomicBool::new(false);
        let failure: Mutex<Option<String>> = Mutex::new(None);
        let count = |done| {
            self.progress
                .count(&format!("retraining, {what}"), done, all)
        };
        if !todo.is_empty() {
            count(before);
        }
        let made = workers::map_at_most(self.retrain.at_a_time(), todo.len(), |piece| {
            if stopped.load(Ordering::Relaxed) {
                return None;
            }
            if interrupt::requested() {
                stopped.store(true, Ordering::Relaxed);
                let mut failure = failure.lock().unwrap_or_else(|e| e.into_inner());
                failure.get_or_insert_with(|| format!("interrupted while retraining ({what})"));
                return None;
            }
            let job = &jobs[todo[piece]];
            let outcome = self.retrain.retrain(&job.kept, job.seed, job.by_epoch);
            let kept = outcome.and_then(|outcome| {
                self.cache.write(&names[todo[piece]], &outcome)?;
                Ok(outcome)
            });
            match kept {
                Ok(outcome) => {
                    count(done.fetch_add(1, Ordering::Relaxed) + 1);
                    Some(outcome)
                }
                Err(error) => {
                    stopped.store(true, Ordering::Relaxed);
                    let left_out = job.kept.iter().filter(|kept| !**kept).count();
                    let mut failure = failure.lock().unwrap_or_else(|e| e.into_inner());
                    failure.get_or_insert(format!(
                        "retraining ({what}) without {left_out} of {} examples, seed {}: {error}",
                        job.kept.len(),
                        job.seed
                    ));
                    None
                }
            }
        });
        if let Some(failure) = failure.into_inner().unwrap_or_else(|e| e.into_inner()) {
            return Err(failure);
        }
        for (&index, outcome) in todo.iter().zip(made) {
            known.insert(
                &names[index],
                outcome.expect("without a failure every job was done"),
            );
        }
        Ok(names
            .iter()
            .map(|name| known[name.as_str()].clone())
            .collect())
    }
}
