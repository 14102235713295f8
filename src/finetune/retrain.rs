//! The same fine-tune on a part of the training split, again and again.
//!
//! What is kept constant: the frozen base, the adapters' shape, the optimiser, epochs, batches, the number of
//! steps and the learning rate of each – those of the fine-tune on everything (see `Run::kept`). What a seed
//! decides: the first adapters and head, the order of the examples, and dropout. Two retrainings of one seed
//! on parts that differ by an example thus differ by that example's gradients alone (with dropout also by
//! their masks: set `lora.dropout` and `train.base_dropout` to 0 for pairs of little noise).

use super::cache::Key;
use super::context::Settings;
use super::error::FinetuneError;
use super::optimizer::Optimizer;
use super::pretrain::Base;
use super::reuse;
use super::run::Run;
use super::settings::TrainConfig;
use crate::batching;
use crate::data::{Split, TaskData};
use crate::models::{Dropout, LoraConfig, Model, Role};
use crate::objectives;

/// What a retraining leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Loss of every query after training, nats.
    pub losses: Vec<f64>,
    /// Accuracy on the queries after every epoch, 0–1; empty unless asked for.
    pub accuracy: Vec<f64>,
}

/// Fine-tunes on parts of a training split, and looks at the queries.
#[derive(Clone, Debug)]
pub struct Retrainer {
    key: String,
    base: Model,
    lora: LoraConfig,
    train: TrainConfig,
    /// Training and query examples, as the first adapted layer sees them where that was worth it.
    splits: [Split; 2],
    dropout: Dropout,
    classes: usize,
}

/// Hash of everything that decides the outcome of a retraining beside the arguments of [`Retrainer::run`], for the base
/// of this key.
pub fn retraining_key(
    settings: &Settings,
    base: &str,
    data: &TaskData,
    lora: &LoraConfig,
    train: &TrainConfig,
) -> String {
    let mut key = Key::new("retraining");
    key.text(base);
    key.settings(lora);
    key.settings(&train.deciding());
    key.trained_on(data.tuned_on());
    key.split(&data.query);
    key.settings(&data.classes);
    key.settings(&settings.activations);
    key.finish()
}

impl Retrainer {
    /// Of the fine-tune of these settings.
    ///
    /// # Errors
    /// When the adapters do not fit the model.
    pub fn new(
        settings: &Settings,
        base: &Base,
        data: &TaskData,
        lora: &LoraConfig,
        train: &TrainConfig,
    ) -> Result<Self, FinetuneError> {
        let mut adapted = base.model.clone();
        adapted.adapt(lora, settings.seed)?;
        let dropout = train.dropout(lora.dropout, &adapted);
        let query = reuse::below_adapters(&adapted, &data.query, settings.activations);
        let train_split = if reuse::while_training(dropout) {
            reuse::below_adapters(&adapted, data.tuned_on(), settings.activations)
        } else {
            None
        };
        let splits = [(train_split, data.tuned_on()), (query, &data.query)]
            .map(|(reused, split)| reused.unwrap_or_else(|| split.clone()));
        Ok(Self {
            key: retraining_key(settings, &base.key, data, lora, train),
            base: base.model.clone(),
            lora: lora.clone(),
            train: train.clone(),
            splits,
            dropout,
            classes: data.classes,
        })
    }

    /// The outcome of training on the examples `kept` with `seed`; with the whole split and the seed of a
    /// cell, that of the cell's own fine-tune.
    ///
    /// # Errors
    /// A loss or a gradient that is not finite.
    pub fn run(&self, kept: &[bool], seed: u64, by_epoch: bool) -> Result<Outcome, FinetuneError> {
        let [train, query] = &self.splits;
        let objective = objectives::of(&query.targets);
        let mut model = self.base.clone();
        if !model.has_pretrained_head() {
            model.replace_head(self.classes, seed);
        }
        model.adapt(&self.lora, seed)?;
        let settings = &self.train;
        let run = Run {
            roles: &[Role::Adapter, Role::Head],
            split: train,
            epochs: settings.epochs,
            batch_size: settings.batch_size,
            accumulate: settings.accumulate,
            max_grad_norm: settings.max_grad_norm,
            lr: &|step, total| settings.lr_at(step, total),
            dropout: self.dropout,
            seed,
            scope: "finetune",
            kept: Some(kept),
        };
        let mut accuracy = Vec::new();
        run.train(
            &mut model,
            |sizes| Optimizer::new(settings.optimizer, settings.weight_decay, sizes),
            &mut |model, _, _| {
                if by_epoch {
                    accuracy.extend(objective.evaluate(model, query).accuracy);
                }
                Ok(())
            },
        )?;
        let losses = objective.evaluate(&model, query).losses;
        Ok(Outcome { losses, accuracy })
    }

    /// Hash of everything that decides an outcome beside the arguments of [`Self::run`].
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Training examples n.
    pub fn examples(&self) -> usize {
        self.splits[0].len()
    }

    /// Queries m.
    pub fn queries(&self) -> usize {
        self.splits[1].len()
    }

    /// Retrainings that may be at work at a time.
    pub fn at_a_time(&self) -> usize {
        batching::at_a_time(self.base.device())
    }
}
