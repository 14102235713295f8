//! The same fine-tune on a part of the training split, again and again.
//!
//! What is kept constant: the frozen base, the adapters' shape, the optimiser, epochs, batches, the number of
//! steps and the learning rate of each – those of the fine-tune on everything (see `Run::kept`). What a seed
//! decides: the first adapters and head, the order of the examples, and dropout. Two retrainings of one seed
//! on parts that differ by an example thus differ by that example's gradients alone (with dropout also by
//! their masks: set `lora.dropout` and `train.base_dropout` to 0 for pairs of little noise).

use super::cache::Key;
use super::optimizer::Optimizer;
use super::training::Run;
use super::{Base, FinetuneError, Settings, deciding, dropout, reuse};
use crate::config::{LoraConfig, ModelConfig, TrainConfig};
use crate::data::{Split, TaskData};
use crate::ground_truth::{Outcome, Retrain};
use crate::models::{Dropout, Model, Role};
use crate::objectives;
use crate::workers;

/// Fine-tunes on parts of a training split, and looks at the queries.
#[derive(Clone, Debug)]
pub struct Retrainer {
    key: String,
    base: Model,
    config: ModelConfig,
    lora: LoraConfig,
    train: TrainConfig,
    /// Training and query examples, as the first adapted layer sees them where that was worth it.
    splits: [Split; 2],
    dropout: Dropout,
    classes: usize,
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
        let mut key = Key::new("retraining");
        key.text(&base.key);
        key.settings(lora);
        key.settings(&deciding(train));
        key.split(&data.train);
        key.split(&data.query);
        key.settings(&data.classes);
        key.settings(&settings.activations);
        let mut adapted = base.model.clone();
        adapted.adapt(settings.model, lora, settings.seed)?;
        let dropout = dropout(lora, train, &adapted);
        let query = reuse::below_adapters(&adapted, &data.query, settings.activations);
        let train_split = if reuse::while_training(dropout) {
            reuse::below_adapters(&adapted, &data.train, settings.activations)
        } else {
            None
        };
        let splits = [(train_split, &data.train), (query, &data.query)]
            .map(|(reused, split)| reused.unwrap_or_else(|| split.clone()));
        Ok(Self {
            key: key.finish(),
            base: base.model.clone(),
            config: settings.model.clone(),
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
        model.adapt(&self.config, &self.lora, seed)?;
        let settings = &self.train;
        let run = Run {
            roles: &[Role::Adapter, Role::Head],
            split: train,
            epochs: settings.epochs,
            batch_size: settings.batch_size,
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
}

impl Retrain for Retrainer {
    fn key(&self) -> &str {
        &self.key
    }

    fn examples(&self) -> usize {
        self.splits[0].len()
    }

    fn queries(&self) -> usize {
        self.splits[1].len()
    }

    fn at_a_time(&self) -> usize {
        workers::at_a_time(self.base.device())
    }

    fn retrain(&self, kept: &[bool], seed: u64, by_epoch: bool) -> Result<Outcome, String> {
        self.run(kept, seed, by_epoch).map_err(|e| e.to_string())
    }
}
