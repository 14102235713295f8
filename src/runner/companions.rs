//! What the methods of a cell need beside the gradients: collected when one of them asks.

use std::time::Instant;

use super::collecting::gradients_of;
use super::error::sentence;
use super::source::{At, Part, Source};
use super::stores::Stores;
use crate::config::{MethodSpec, Settings};
use crate::data::{Embeddings, Texts};
use crate::gradients::checkpoints::Checkpoint;
use crate::gradients::factors::KroneckerFactors;
use crate::gradients::hessian::Hessians;
use crate::gradients::per_example::WithFactors;
use crate::gradients::store::{GradientStore, TensorInfo};
use crate::influence::{BlockLayout, BlockShape, Blocks, Companions, Need, OwnedCompanions};
use crate::progress::Progress;
use crate::results::record::{CheckpointInfo, CompanionCost, CompanionInfo, HessianInfo};

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Requirements {
    pub factors: bool,
    pub sampled: bool,
    pub checkpoints: bool,
    pub hidden_states: bool,
    pub embeddings: bool,
    /// Of at most this many parameters.
    pub hessian: Option<usize>,
}

impl Requirements {
    /// What these methods need.
    pub(super) fn by(methods: &[MethodSpec]) -> Self {
        let any = |need| methods.iter().any(|spec| spec.method().need() == need);
        Self {
            factors: any(Need::Factors),
            sampled: any(Need::Sampled),
            checkpoints: any(Need::Checkpoints),
            hidden_states: any(Need::HiddenStates),
            embeddings: any(Need::Embeddings),
            hessian: methods
                .iter()
                .filter_map(|spec| match spec.method().need() {
                    Need::Hessian { limit } => Some(limit),
                    _ => None,
                })
                .max(),
        }
    }

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
pub(super) struct AuxiliaryData {
    owned: OwnedCompanions,
    info: CompanionInfo,
}

impl AuxiliaryData {
    /// As the methods take it.
    pub(super) fn companions(&self) -> Companions<'_> {
        self.owned.companions()
    }

    /// With the texts of the examples.
    pub(super) fn with_texts(mut self, texts: Option<[Texts; 2]>) -> Self {
        self.owned.texts = texts;
        self
    }

    /// With the embeddings of the images.
    pub(super) fn with_embeddings(mut self, embeddings: Option<[Embeddings; 2]>) -> Self {
        self.owned.embeddings = embeddings;
        self
    }

    /// What it cost.
    pub(super) fn info(&self) -> CompanionInfo {
        self.info.clone()
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

    /// Second derivatives.
    pub(super) fn hessians(&self) -> Option<&Hessians> {
        self.owned.hessians.as_ref()
    }
}

fn checkpoint_name(index: usize, split: &str) -> String {
    format!("checkpoint-{}.{split}", index + 1)
}

/// Collects what is `wanted` beside the gradients; `factors` came with these.
///
/// # Errors
/// A sentence for the record.
pub(super) fn beside(
    source: &dyn Source,
    stores: &Stores,
    wanted: Requirements,
    factors: Option<WithFactors>,
    progress: &Progress,
) -> Result<AuxiliaryData, String> {
    let mut beside = AuxiliaryData::default();
    beside.info.factors = factors.as_ref().map(|made| CompanionCost {
        seconds: made.seconds,
        bytes: made.factors.bytes(),
    });
    beside.owned.factors = factors.map(|made| made.factors);
    if wanted.sampled {
        progress.stage("taking gradients at sampled labels");
        beside.sampled(source, stores)?;
    }
    if wanted.hidden_states {
        progress.stage("taking hidden states");
        beside.hidden_states(source);
    }
    if let Some(limit) = wanted.hessian {
        beside.hessian(source, stores, limit, progress)?;
    }
    if wanted.checkpoints {
        beside.checkpoints(source, stores, progress)?;
    }
    Ok(beside)
}

impl AuxiliaryData {
    /// Gradients and factors at labels drawn from the predictions.
    fn sampled(&mut self, source: &dyn Source, stores: &Stores) -> Result<(), String> {
        let start = Instant::now();
        let (tensors, rows) = (source.tensors(Part::Train), source.rows(Part::Train));
        let mut writer = stores.writer("sampled", tensors, rows, 1)?;
        let made = source.with_factors(At::Sampled(stores.cell.seed), &mut writer)?;
        let store = writer.finish().map_err(sentence)?;
        self.info.sampled = Some(CompanionCost {
            seconds: start.elapsed().as_secs_f64(),
            bytes: store.bytes() + made.factors.bytes(),
        });
        self.owned.sampled = Some((store, made.factors));
        Ok(())
    }

    /// Hidden states of both splits.
    fn hidden_states(&mut self, source: &dyn Source) {
        let start = Instant::now();
        let states = [Part::Train, Part::Query].map(|part| source.hidden_states(part));
        let numbers: usize = states.iter().map(|s| s.last.len() + s.mean.len()).sum();
        self.info.hidden_states = Some(CompanionCost {
            seconds: start.elapsed().as_secs_f64(),
            bytes: (numbers * size_of::<f32>()) as u64,
        });
        self.owned.hidden_states = Some(states);
    }

    /// Second derivatives of at most `limit` parameters.
    fn hessian(
        &mut self,
        source: &dyn Source,
        stores: &Stores,
        limit: usize,
        progress: &Progress,
    ) -> Result<(), String> {
        let start = Instant::now();
        let mut report = |done: usize, all: usize| {
            progress.stage(&format!("taking the Hessian, column {done} of {all}"));
        };
        let found = source.hessian(limit, &mut report)?;
        let blocks = stores.cell.settings.influence.blocks;
        self.info.hessian = Some(HessianInfo {
            seconds: start.elapsed().as_secs_f64(),
            bytes: found.bytes(),
            asymmetry: asymmetry(&source.tensors(Part::Train), blocks, &found),
        });
        self.owned.hessians = Some(found);
        Ok(())
    }

    /// Gradients along the fine-tune.
    fn checkpoints(
        &mut self,
        source: &dyn Source,
        stores: &Stores,
        progress: &Progress,
    ) -> Result<(), String> {
        let start = Instant::now();
        let states = source.states();
        for (index, state) in states.iter().enumerate() {
            progress.stage(&format!("taking gradients after epoch {}", state.epoch));
            let then = source.at_state(index)?;
            let take = |part: Part, split: &str| {
                let name = checkpoint_name(index, split);
                gradients_of(&*then, part, stores, &name, states.len())
            };
            self.owned.checkpoints.push(Checkpoint {
                learning_rate: state.learning_rate,
                train: take(Part::Train, "train")?,
                query: take(Part::Query, "query")?,
            });
        }
        let bytes = |c: &Checkpoint| c.train.bytes() + c.query.bytes();
        self.info.checkpoints = Some(CheckpointInfo {
            seconds: start.elapsed().as_secs_f64(),
            bytes: self.owned.checkpoints.iter().map(bytes).sum(),
            epochs: states.iter().map(|state| state.epoch).collect(),
            learning_rates: states.iter().map(|state| state.learning_rate).collect(),
        });
        Ok(())
    }
}

/// The worst ‖H − Hᵀ‖/‖H‖ over the blocks of the settings.
fn asymmetry(tensors: &[TensorInfo], blocks: Blocks, hessians: &Hessians) -> f64 {
    let layout = BlockLayout::new(tensors, blocks);
    let of_block = |block: &BlockShape| {
        let names = block.segments.iter().map(|s| &*tensors[s.tensor].name);
        hessians.asymmetry(&names.collect::<Vec<_>>())
    };
    let all = layout.blocks().iter().filter_map(of_block);
    all.fold(0.0, f64::max)
}
