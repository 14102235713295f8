//! From a task to a fine-tuned model: pretrain the base, freeze it, train adapters and head.

pub mod cache;
pub mod checkpoints;
pub mod optimizer;
mod pretrain;
pub mod retrain;
pub mod reuse;
#[cfg(test)]
mod tests;
mod training;

use std::path::{Path, PathBuf};
use std::time::Instant;

use thiserror::Error;

use self::cache::{Cache, Key};
use self::checkpoints::{AdapterState, Keeper};
use self::optimizer::Optimizer;
use self::training::Run;
use crate::config::{LoraConfig, ModelConfig, TrainConfig};
use crate::data::{Split, TaskData};
use crate::device::DeviceChoice;
use crate::models::files::WeightFileError;
use crate::models::{self, Dropout, Model, ModelError, Role};
use crate::objectives;
use crate::results::record::{BaseDropoutFacts, EpochFacts, ModelFacts, TrainingFacts};

pub use pretrain::{Base, BaseFacts, pretrained_base};
pub use retrain::Retrainer;

/// Why fine-tuning ended.
#[derive(Debug, Error)]
pub enum FinetuneError {
    /// The settings do not fit the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A loss or a gradient is NaN or infinite.
    #[error(
        "the loss {loss} or its gradient is not finite in epoch {epoch}, step {step}; a smaller learning rate may help"
    )]
    NotFinite {
        /// Mean loss of the batch.
        loss: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step, from 0.
        step: usize,
    },
    /// Pretraining is asked for, but the task has nothing to pretrain on.
    #[error(
        "model.pretrain is set, but the task leaves no examples to pretrain on; set it to null"
    )]
    NothingToPretrain,
    /// A file of weights.
    #[error(transparent)]
    File(#[from] WeightFileError),
    /// The history beside a file of weights.
    #[error("{path}: {source}")]
    Facts {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// What decides a fine-tune besides the data.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The architecture.
    pub model: &'a ModelConfig,
    /// Decides initialisation, order and dropout.
    pub seed: u64,
    /// Where it is computed.
    pub device: DeviceChoice,
    /// Folder for results, or none.
    pub cache: Option<&'a Path>,
    /// Most bytes of activations below the first adapted layer to keep (see [`reuse`]), training and query
    /// examples each.
    pub activations: u64,
}

/// What is being done, for a progress display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Training the base.
    Pretrain,
    /// Training the adapters.
    FineTune,
}

/// An epoch has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Of which stage.
    pub stage: Stage,
    /// Which, from 1.
    pub epoch: usize,
    /// Of how many.
    pub epochs: usize,
    /// Its mean training loss, nats.
    pub train_loss: f64,
    /// Loss and, where there is one, accuracy on the queries after it; `None` while pretraining.
    pub query: Option<(f64, Option<f64>)>,
}

/// A fine-tuned model.
#[derive(Clone, Debug)]
pub struct FineTuned {
    /// Hash of everything that decides it.
    pub key: String,
    /// The model, for gradients.
    pub model: Model,
    /// The history.
    pub training: TrainingFacts,
    /// Sizes.
    pub facts: ModelFacts,
    /// Training and query examples as the first adapted layer sees them without dropout, when they were kept.
    pub reused: [Option<Split>; 2],
    /// States along the way, when they were asked for; the last one is the model's.
    pub checkpoints: Vec<AdapterState>,
}

/// Fine-tunes adapters and head on the task's training split, the base frozen; read from the cache
/// when it is there.
///
/// # Errors
/// See [`FinetuneError`].
pub fn fine_tune(
    settings: &Settings,
    base: &Base,
    data: &TaskData,
    lora: &LoraConfig,
    train: &TrainConfig,
    progress: &mut dyn FnMut(Progress),
) -> Result<FineTuned, FinetuneError> {
    run(settings, base, data, lora, train, &[], progress)
}

/// [`fine_tune`], and the states after the epochs of [`TrainConfig::checkpoint_epochs`]. The same model with or
/// without them; a fine-tune in the cache that lacks them is done again.
///
/// # Errors
/// See [`FinetuneError`].
pub fn fine_tune_with_checkpoints(
    settings: &Settings,
    base: &Base,
    data: &TaskData,
    lora: &LoraConfig,
    train: &TrainConfig,
    progress: &mut dyn FnMut(Progress),
) -> Result<FineTuned, FinetuneError> {
    let epochs = train.checkpoint_epochs();
    run(settings, base, data, lora, train, &epochs, progress)
}

fn run(
    settings: &Settings,
    base: &Base,
    data: &TaskData,
    lora: &LoraConfig,
    train: &TrainConfig,
    kept_epochs: &[usize],
    progress: &mut dyn FnMut(Progress),
) -> Result<FineTuned, FinetuneError> {
    models::validate(settings.model, lora)?;
    let mut key = Key::new("adapters");
    key.text(&base.key);
    key.settings(&settings.seed);
    key.settings(lora);
    key.settings(&deciding(train));
    key.split(&data.train);
    key.split(&data.query);
    key.settings(&data.classes);
    // reuse changes sums by rounding
    key.settings(&settings.activations);
    let key = key.finish();

    let mut model = base.model.clone();
    model.adapt(settings.model, lora, settings.seed)?;
    let roles = [Role::Adapter, Role::Head];
    let dropout = dropout(lora, train, &model);
    let facts = facts(settings.model, lora, dropout, &mut model);
    // also for a fine-tune that is in the cache, so that what is computed from it is the same to the byte
    let reused = [&data.train, &data.query]
        .map(|split| reuse::below_adapters(&model, split, settings.activations));

    let cache = Cache(settings.cache);
    let checkpoints = checkpoints::read(cache, &key, kept_epochs);
    let cached = cache.read::<TrainingFacts>("adapters", &key);
    if let (Some((weights, training)), Some(checkpoints)) = (cached, checkpoints) {
        model.import(&roles, &weights)?;
        return Ok(FineTuned {
            key,
            model,
            training: TrainingFacts {
                cached: true,
                ..training
            },
            facts,
            reused,
            checkpoints,
        });
    }
    let start = Instant::now();
    let train_split = reused[0]
        .as_ref()
        .filter(|_| reuse::while_training(dropout))
        .unwrap_or(&data.train);
    let query_split = reused[1].as_ref().unwrap_or(&data.query);
    let objective = objectives::of(&query_split.targets);
    let mut epochs = Vec::with_capacity(train.epochs);
    let steps = data.train.len().div_ceil(train.batch_size);
    let mut keeper = Keeper::new(kept_epochs, steps, |step, total| train.lr_at(step, total));
    let run = Run {
        roles: &roles,
        split: train_split,
        epochs: train.epochs,
        batch_size: train.batch_size,
        lr: &|step, total| train.lr_at(step, total),
        dropout,
        seed: settings.seed,
        scope: "finetune",
        kept: None,
    };
    run.train(
        &mut model,
        |sizes| Optimizer::new(train.optimizer, train.weight_decay, sizes),
        &mut |model, epoch, train_loss| {
            keeper.after_epoch(model, epoch, train.epochs);
            let found = objective.evaluate(model, query_split);
            epochs.push(EpochFacts {
                epoch,
                train_loss,
                query_loss: found.loss,
                query_accuracy: found.accuracy,
            });
            progress(Progress {
                stage: Stage::FineTune,
                epoch,
                epochs: train.epochs,
                train_loss,
                query: Some((found.loss, found.accuracy)),
            });
            Ok(())
        },
    )?;
    let training = TrainingFacts {
        seconds: start.elapsed().as_secs_f64(),
        cached: false,
        epochs,
    };
    let checkpoints = keeper.finish();
    checkpoints::write(cache, &key, &checkpoints)?;
    cache.write("adapters", &key, &model.export(&roles), &training)?;
    Ok(FineTuned {
        key,
        model,
        training,
        facts,
        reused,
        checkpoints,
    })
}

/// The settings that decide the fine-tuned model: how many states are kept on the way does not.
fn deciding(train: &TrainConfig) -> serde_json::Value {
    let mut value = serde_json::to_value(train).expect("settings are plain JSON");
    if let Some(fields) = value.as_object_mut() {
        fields.shift_remove("checkpoints");
    }
    value
}

/// Dropout while fine-tuning `model`.
pub fn dropout(lora: &LoraConfig, train: &TrainConfig, model: &Model) -> Dropout {
    Dropout {
        adapter: lora.dropout,
        base: train.base_dropout.of(model.dropout()),
    }
}

fn facts(
    config: &ModelConfig,
    lora: &LoraConfig,
    dropout: Dropout,
    model: &mut Model,
) -> ModelFacts {
    let trainable = model.count(&[Role::Adapter, Role::Head]);
    ModelFacts {
        name: match config {
            ModelConfig::Transformer(_) => "transformer",
            ModelConfig::Mlp(_) => "mlp",
            ModelConfig::Checkpoint(_) => "checkpoint",
        }
        .into(),
        parameters: trainable + model.count(&[Role::Base]),
        trainable,
        layers: model.layers(),
        adapted_layers: lora.layers.indices(model.layers()).len(),
        commit: match config {
            ModelConfig::Checkpoint(config) => config.commit().map(str::to_owned),
            _ => None,
        },
        base_dropout: Some(BaseDropoutFacts {
            hidden: dropout.base.hidden,
            attention: dropout.base.attention,
            classifier: dropout.base.classifier,
        }),
    }
}
