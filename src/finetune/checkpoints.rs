//! States of adapters and head along the fine-tune, with their learning rates.

use serde::{Deserialize, Serialize};

use super::cache::Cache;
use super::error::FinetuneError;
use crate::models::{Model, Role, Weights};

/// What is trained.
const ROLES: [Role; 2] = [Role::Adapter, Role::Head];
/// Name of their files in the cache.
const KIND: &str = "checkpoints";

/// Adapters and head after an epoch of the fine-tune.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterState {
    /// The epoch, from 1.
    pub epoch: usize,
    /// η: the mean learning rate of the steps since the state before, or since the start.
    pub learning_rate: f64,
    /// The parameters of adapters and head.
    pub weights: Weights,
}

/// What stands beside the weights in the cache.
#[derive(Serialize, Deserialize)]
struct StateInfo {
    epoch: usize,
    learning_rate: f64,
}

/// Keeps the states that are asked for while a fine-tune goes on.
pub(super) struct Keeper<'a, Rate: Fn(usize, usize) -> f64> {
    epochs: &'a [usize],
    steps_an_epoch: usize,
    rate: Rate,
    /// Steps before the last state.
    behind: usize,
    states: Vec<AdapterState>,
}

impl<'a, Rate: Fn(usize, usize) -> f64> Keeper<'a, Rate> {
    /// A keeper of the states after `epochs`; `rate` is the learning rate at a step of a total.
    pub(super) fn new(epochs: &'a [usize], steps_an_epoch: usize, rate: Rate) -> Self {
        Self {
            epochs,
            steps_an_epoch,
            rate,
            behind: 0,
            states: Vec::with_capacity(epochs.len()),
        }
    }

    /// Hears that `epoch` of `epochs` is over.
    pub(super) fn after_epoch(&mut self, model: &Model, epoch: usize, epochs: usize) {
        if !self.epochs.contains(&epoch) {
            return;
        }
        let (steps, total) = (epoch * self.steps_an_epoch, epochs * self.steps_an_epoch);
        let rates = (self.behind..steps).map(|step| (self.rate)(step, total));
        let learning_rate = rates.sum::<f64>() / (steps - self.behind) as f64;
        self.behind = steps;
        self.states.push(AdapterState {
            epoch,
            learning_rate,
            weights: model.clone().export(&ROLES),
        });
    }

    /// The states, in order.
    pub(super) fn finish(self) -> Vec<AdapterState> {
        self.states
    }
}

/// The cache knows the states of a fine-tune by its key and their epochs.
fn key_of(key: &str, epochs: &[usize]) -> String {
    let epochs: Vec<String> = epochs.iter().map(usize::to_string).collect();
    format!("{key}-{}", epochs.join("-"))
}

/// Whether the states after `epochs` of the fine-tune `key` are there; none are needed for no epoch.
pub(super) fn has(cache: Cache, key: &str, epochs: &[usize]) -> bool {
    epochs.is_empty() || cache.has(KIND, &key_of(key, epochs))
}

/// The states after `epochs` of the fine-tune `key`, if they are there; none are needed for no epoch.
pub(super) fn read(cache: Cache, key: &str, epochs: &[usize]) -> Option<Vec<AdapterState>> {
    if epochs.is_empty() {
        return Some(Vec::new());
    }
    let (mut weights, info) = cache.read::<Vec<StateInfo>>(KIND, &key_of(key, epochs))?;
    let states = info.into_iter().map(
        |StateInfo {
             epoch,
             learning_rate,
         }| {
            let prefix = prefix(epoch);
            let rest = weights.split_off(&prefix);
            let (own, rest): (Weights, Weights) = rest
                .into_iter()
                .partition(|(name, _)| name.starts_with(&prefix));
            weights.extend(rest);
            AdapterState {
                epoch,
                learning_rate,
                weights: own
                    .into_iter()
                    .map(|(name, array)| (name[prefix.len()..].to_owned(), array))
                    .collect(),
            }
        },
    );
    Some(states.collect())
}

/// Writes the states of the fine-tune `key`, all in one file.
pub(super) fn write(cache: Cache, key: &str, states: &[AdapterState]) -> Result<(), FinetuneError> {
    if states.is_empty() {
        return Ok(());
    }
    let epochs: Vec<usize> = states.iter().map(|state| state.epoch).collect();
    let named = states.iter().flat_map(|state| {
        let arrays = state.weights.iter();
        arrays.map(|(name, array)| (format!("{}{name}", prefix(state.epoch)), array.clone()))
    });
    let info: Vec<StateInfo> = states
        .iter()
        .map(|state| StateInfo {
            epoch: state.epoch,
            learning_rate: state.learning_rate,
        })
        .collect();
    cache.write(KIND, &key_of(key, &epochs), &named.collect(), &info)
}

fn prefix(epoch: usize) -> String {
    format!("epoch.{epoch}/")
}
