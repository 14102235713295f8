//! What the methods of a cell need beside the gradients: collected when one of them asks.

use std::time::Instant;

use super::cell::CellRunner;
use super::sentence;
use crate::config::{Cell, MethodSpec, Settings};
use crate::data::{Split, Targets};
use crate::finetune::FineTuned;
use crate::gradients;
use crate::gradients::checkpoints::Checkpoint;
use crate::gradients::factors::KroneckerFactors;
use crate::gradients::hessian::Hessians;
use crate::gradients::hessian::differences::hessian;
use crate::gradients::per_example::{self, Collect, WithFactors};
use crate::gradients::store::{GradientStore, TensorInfo};
use crate::influence::{BlockLayout, BlockShape, Companions, Need, OwnedCompanions};
use crate::models::Role;
use crate::objectives;
use crate::progress::Progress;
use crate::results::record::{CheckpointFacts, CompanionCost, CompanionFacts, HessianFacts};

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub factors: bool,
    pub sampled: bool,
    pub checkpoints: bool,
    /// Of at most this many parameters.
    pub hessian: Option<usize>,
}

impl Wanted {
    /// What these methods need.
    pub(super) fn by(methods: &[MethodSpec]) -> Self {
        let any = |need| methods.iter().any(|spec| spec.method().need() == need);
        Self {
            factors: any(Need::Factors),
            sampled: any(Need::Sampled),
            checkpoints: any(Need::Checkpoints),
            hessian: methods
                .iter()
                .filter_map(|spec| match spec.method().need() {
                    Need::Hessian { limit } => Some(limit),
                    _ => None,
                })
                .max(),
        }
    }
}

impl Wanted {
    /// And the Hessian that the upper end of a decomposition needs, where the settings allow one of so many
    /// parameters.
    pub(super) fn with_decomposition(self, settings: &Settings, parameters: usize) -> Self {
        let truth = settings.ground_truth.as_ref();
        let limit = truth
            .and_then(|truth| truth.decomposition.as_ref())
            .map(|config| config.hessian_limit)
            .filter(|limit| parameters <= *limit);
        Self {
            hessian: self.hessian.max(limit),
            ..self
        }
    }
}

/// What was collected.
#[derive(Default)]
pub(super) struct Beside {
    owned: OwnedCompanions,
    facts: CompanionFacts,
}

impl Beside {
    /// As the methods take it.
    pub(super) fn companions(&self) -> Companions<'_> {
        self.owned.companions()
    }

    /// What it cost.
    pub(super) fn facts(&self) -> CompanionFacts {
        self.facts.clone()
    }

    /// The gradients, by the names of their files.
    pub(super) fn stores(&self) -> impl Iterator<Item = (String, &GradientStore)> {
        let sampled = self.owned.sampled.iter();
        let sampled = sampled.map(|(store, _)| ("sampled".to_owned(), store));
        let checkpoints = self
            .owned
            .checkpoints
            .iter()
            .enumerate()
            .flat_map(|(i, c)| {
                [("train", &c.train), ("query", &c.query)]
                    .map(|(split, store)| (checkpoint_name(i, split), store))
            });
        sampled.chain(checkpoints)
    }

    /// The factors, by the names of their files.
    pub(super) fn factors(&self) -> impl Iterator<Item = (&'static str, &KroneckerFactors)> {
        let own = self
            .owned
            .factors
            .iter()
            .map(|factors| ("factors", factors));
        let sampled = self.owned.sampled.iter();
        own.chain(sampled.map(|(_, factors)| ("sampled.factors", factors)))
    }
}

impl Beside {
    /// Second derivatives.
    pub(super) fn hessians(&self) -> Option<&Hessians> {
        self.owned.hessians.as_ref()
    }
}

fn checkpoint_name(index: usize, split: &str) -> String {
    format!("checkpoint-{}.{split}", index + 1)
}

impl CellRunner {
    /// Collects what is `wanted` beside the gradients; `factors` came with these.
    ///
    /// # Errors
    /// A sentence for the record.
    pub(super) fn beside(
        &self,
        cell: &Cell,
        wanted: Wanted,
        tuned: &FineTuned,
        [train, query]: [&Split; 2],
        factors: Option<WithFactors>,
        progress: &Progress,
    ) -> Result<Beside, String> {
        let mut beside = Beside::default();
        beside.facts.factors = factors.as_ref().map(|made| CompanionCost {
            seconds: made.seconds,
            bytes: made.factors.bytes(),
        });
        beside.owned.factors = factors.map(|made| made.factors);
        if wanted.sampled {
            progress.stage("taking gradients at sampled labels");
            let start = Instant::now();
            let targets = objectives::sampled(&tuned.model, train, cell.seed).map_err(sentence)?;
            let (store, made) =
                self.collect_with_factors(cell, "sampled", &tuned.model, train, &targets)?;
            beside.facts.sampled = Some(CompanionCost {
                seconds: start.elapsed().as_secs_f64(),
                bytes: store.bytes() + made.factors.bytes(),
            });
            beside.owned.sampled = Some((store, made.factors));
        }
        if let Some(limit) = wanted.hessian {
            let start = Instant::now();
            let mut report = |done: usize, all: usize| {
                progress.stage(&format!("taking the Hessian, column {done} of {all}"));
            };
            let found = hessian(&tuned.model, train, limit, &mut report).map_err(sentence)?;
            beside.facts.hessian = Some(HessianFacts {
                seconds: start.elapsed().as_secs_f64(),
                bytes: found.bytes(),
                asymmetry: asymmetry(cell, tuned, &train.targets, &found),
            });
            beside.owned.hessians = Some(found);
        }
        if wanted.checkpoints {
            let start = Instant::now();
            let states = &tuned.checkpoints;
            let mut model = tuned.model.clone();
            for (index, state) in states.iter().enumerate() {
                progress.stage(&format!("taking gradients after epoch {}", state.epoch));
                model
                    .import(&[Role::Adapter, Role::Head], &state.weights)
                    .map_err(sentence)?;
                let take = |split: &Split, name: &str, collect: Collect| {
                    let name = checkpoint_name(index, name);
                    self.collect(cell, &name, collect, &model, split, states.len())
                };
                beside.owned.checkpoints.push(Checkpoint {
                    learning_rate: state.learning_rate,
                    train: take(train, "train", per_example::collect)?,
                    query: take(query, "query", per_example::collect_measurements)?,
                });
            }
            let bytes = |c: &Checkpoint| c.train.bytes() + c.query.bytes();
            beside.facts.checkpoints = Some(CheckpointFacts {
                seconds: start.elapsed().as_secs_f64(),
                bytes: beside.owned.checkpoints.iter().map(bytes).sum(),
                epochs: states.iter().map(|state| state.epoch).collect(),
                learning_rates: states.iter().map(|state| state.learning_rate).collect(),
            });
        }
        Ok(beside)
    }
}

/// The worst ‖H − Hᵀ‖/‖H‖ over the blocks of the settings.
fn asymmetry(cell: &Cell, tuned: &FineTuned, targets: &Targets, hessians: &Hessians) -> f64 {
    let tensors = gradients::tensors(&tuned.model, targets).into_iter();
    let tensors: Vec<_> = tensors.map(|t| TensorInfo::new(t.name, t.shape)).collect();
    let layout = BlockLayout::new(&tensors, cell.settings.influence.blocks);
    let of_block = |block: &BlockShape| {
        let names = block.segments.iter().map(|s| &*tensors[s.tensor].name);
        hessians.asymmetry(&names.collect::<Vec<_>>())
    };
    let all = layout.blocks().iter().filter_map(of_block);
    all.fold(0.0, f64::max)
}
