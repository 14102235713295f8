//! What the gradients of a cell are taken of: a fine-tuned model, or in tests a fake.

use super::error::sentence;
use crate::data::{HiddenStates, Split, Targets};
use crate::finetune::FineTuned;
use crate::finetune::checkpoints::AdapterState;
use crate::gradients::hessian::Hessians;
use crate::gradients::hessian::differences::hessian;
use crate::gradients::hidden_states;
use crate::gradients::per_example::{self, WithFactors};
use crate::gradients::store::{StoreWriter, TensorInfo};
use crate::models::{Model, Role};
use crate::{batching, gradients, objectives};

/// A split of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Gradients of the losses.
    Train,
    /// Gradients of the measurements.
    Query,
}

/// The targets at which gradients are taken with their Kronecker factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// The examples' own.
    Own,
    /// Drawn from the model's predictions with this seed.
    Sampled(u64),
}

/// A state along the fine-tune.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct State {
    /// The epoch, from 1.
    pub epoch: usize,
    /// η: the mean learning rate since the state before.
    pub learning_rate: f64,
}

/// What gradients are taken of. Errors are sentences for the record.
pub(super) trait Source {
    /// The tensors of the gradients of a split.
    fn tensors(&self, part: Part) -> Vec<TensorInfo>;

    /// Examples of a split.
    fn rows(&self, part: Part) -> usize;

    /// The gradients of a split.
    fn gradients(&self, part: Part, into: &mut StoreWriter) -> Result<(), String>;

    /// The gradients of the training examples, and the Kronecker factors.
    fn with_factors(&self, at: At, into: &mut StoreWriter) -> Result<WithFactors, String>;

    /// Second derivatives of the mean training loss, of at most `limit` parameters; `report` hears of the columns that
    /// are done and of all.
    fn hessian(
        &self,
        limit: usize,
        report: &mut dyn FnMut(usize, usize),
    ) -> Result<Hessians, String>;

    /// Hidden states of a language model's last layer for a split.
    fn hidden_states(&self, part: Part) -> HiddenStates;

    /// The states along the fine-tune that were kept.
    fn states(&self) -> Vec<State>;

    /// The same at one of its [`states`](Self::states).
    fn at_state(&self, index: usize) -> Result<Box<dyn Source + '_>, String>;
}

/// A fine-tuned model and its examples.
pub(super) struct Tuned<'a> {
    model: Model,
    /// Training and query examples, as the first adapted layer sees them where they were kept.
    train: &'a Split,
    query: &'a Split,
    states: &'a [AdapterState],
}

impl<'a> Tuned<'a> {
    /// Of a fine-tune on `train`, asked about `query`.
    pub fn new(tuned: &'a FineTuned, [train, query]: [&'a Split; 2]) -> Self {
        let [kept_train, kept_query] = &tuned.reused;
        Self {
            model: tuned.model.clone(),
            train: kept_train.as_ref().unwrap_or(train),
            query: kept_query.as_ref().unwrap_or(query),
            states: &tuned.checkpoints,
        }
    }

    fn split(&self, part: Part) -> &Split {
        match part {
            Part::Train => self.train,
            Part::Query => self.query,
        }
    }
}

impl Source for Tuned<'_> {
    fn tensors(&self, part: Part) -> Vec<TensorInfo> {
        tensors(&self.model, &self.split(part).targets)
    }

    fn rows(&self, part: Part) -> usize {
        self.split(part).len()
    }

    fn gradients(&self, part: Part, into: &mut StoreWriter) -> Result<(), String> {
        let collect = match part {
            Part::Train => per_example::collect,
            Part::Query => per_example::collect_measurements,
        };
        let tokens = batching::tokens_at_a_time(&self.model);
        collect(&self.model, self.split(part), tokens, into).map_err(sentence)?;
        Ok(())
    }

    fn with_factors(&self, at: At, into: &mut StoreWriter) -> Result<WithFactors, String> {
        let (model, split) = (&self.model, self.train);
        let sampled = match at {
            At::Own => None,
            At::Sampled(seed) => Some(objectives::sampled(model, split, seed).map_err(sentence)?),
        };
        let targets = sampled.as_ref().unwrap_or(&split.targets);
        let tokens = batching::tokens_at_a_time(model);
        per_example::collect_with_factors(model, split, targets, tokens, into).map_err(sentence)
    }

    fn hessian(
        &self,
        limit: usize,
        report: &mut dyn FnMut(usize, usize),
    ) -> Result<Hessians, String> {
        hessian(&self.model, self.train, limit, report).map_err(sentence)
    }

    fn hidden_states(&self, part: Part) -> HiddenStates {
        hidden_states::collect(&self.model, self.split(part))
    }

    fn states(&self) -> Vec<State> {
        let states = self.states.iter();
        let info = states.map(|state| State {
            epoch: state.epoch,
            learning_rate: state.learning_rate,
        });
        info.collect()
    }

    fn at_state(&self, index: usize) -> Result<Box<dyn Source + '_>, String> {
        let mut model = self.model.clone();
        model
            .import(&[Role::Adapter, Role::Head], &self.states[index].weights)
            .map_err(sentence)?;
        Ok(Box::new(Self { model, ..*self }))
    }
}

/// The tensors of a model's gradients at `targets`, as a store names them.
pub(super) fn tensors(model: &Model, targets: &Targets) -> Vec<TensorInfo> {
    let tensors = gradients::tensors(model, targets).into_iter();
    tensors.map(|t| TensorInfo::new(t.name, t.shape)).collect()
}
