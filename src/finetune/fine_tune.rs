//! The fine-tune: adapters and head are trained, the base stays frozen.

use std::time::Instant;

use super::cache::{Cache, Key};
use super::checkpoints::{self, AdapterState, Keeper};
use super::context::{Progress, Settings, Stage};
use super::error::FinetuneError;
use super::optimizer::Optimizer;
use super::pretrain::Base;
use super::reuse;
use super::run::Run;
use super::settings::TrainConfig;
use crate::data::{BaseDropoutInfo, EpochInfo, ModelInfo, Split, TaskData, TrainingInfo};
use crate::models::{Dropout, LoraConfig, Model, ModelConfig, Role};
use crate::objectives;

/// A fine-tuned model.
#[derive(Clone, Debug)]
pub struct FineTuned {
    /// Hash of everything that decides it.
    pub key: String,
    /// The model, for gradients.
    pub model: Model,
    /// The history.
    pub training: TrainingInfo,
    /// Sizes.
    pub info: ModelInfo,
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

/// Hash of everything that decides a fine-tune of the base of this key, without making it: what [`FineTuned::key`] will
/// be.
pub fn fine_tune_key(
    settings: &Settings,
    base: &str,
    data: &TaskData,
    lora: &LoraConfig,
    train: &TrainConfig,
) -> String {
    let mut key = Key::new("adapters");
    key.text(base);
    key.settings(&settings.seed);
    key.settings(lora);
    key.settings(&train.deciding());
    key.trained_on(data.tuned_on());
    key.split(&looked_at(data));
    key.settings(&data.classes);
    // reuse changes sums by rounding
    key.settings(&settings.activations);
    key.finish()
}

/// The queries of the history: the same for every number of draws, so that they share a fine-tune.
fn looked_at(data: &TaskData) -> Split {
    Split {
        targets: data.query.targets.clone().first_draw(),
        ..data.query.clone()
    }
}

/// Whether the cache lacks the fine-tune of this key, or its states after `epochs`.
pub fn lacks_fine_tune(settings: &Settings, key: &str, epochs: &[usize]) -> bool {
    let cache = Cache(settings.cache);
    !(cache.has(KIND, key) && checkpoints::has(cache, key, epochs))
}

/// How the cache calls fine-tuned adapters.
const KIND: &str = "adapters";

fn run(
    settings: &Settings,
    base: &Base,
    data: &TaskData,
    lora: &LoraConfig,
    train: &TrainConfig,
    kept_epochs: &[usize],
    progress: &mut dyn FnMut(Progress),
) -> Result<FineTuned, FinetuneError> {
    let key = fine_tune_key(settings, &base.key, data, lora, train);
    let mut model = base.model.clone();
    model.adapt(lora, settings.seed)?;
    let roles = [Role::Adapter, Role::Head];
    let dropout = train.dropout(lora.dropout, &model);
    let info = info(settings.model, dropout, &mut model);
    // also for a fine-tune that is in the cache, so that what is computed from it is the same to the byte
    let reused = [&data.train, &data.query]
        .map(|split| reuse::below_adapters(&model, split, settings.activations));

    let cache = Cache(settings.cache);
    let checkpoints = checkpoints::read(cache, &key, kept_epochs);
    let cached = cache.read::<TrainingInfo>(KIND, &key);
    if let (Some((weights, training)), Some(checkpoints)) = (cached, checkpoints) {
        model.import(&roles, &weights)?;
        return Ok(FineTuned {
            key,
            model,
            training: TrainingInfo {
                cached: true,
                accuracy_of: objectives::of(&data.query.targets).unit().to_owned(),
                ..training
            },
            info,
            reused,
            checkpoints,
        });
    }
    let start = Instant::now();
    let tuned_on = data.tuned_on();
    let kept = match (reuse::while_training(dropout), data.is_tuned_on_train()) {
        (false, _) => None,
        (true, true) => reused[0].clone(),
        (true, false) => reuse::below_adapters(&model, tuned_on, settings.activations),
    };
    let train_split = kept.as_ref().unwrap_or(tuned_on);
    let queries = looked_at(data);
    let query_split = reused[1].as_ref().unwrap_or(&queries);
    let objective = objectives::of(&query_split.targets);
    let mut epochs = Vec::with_capacity(train.epochs);
    let steps = train.steps_an_epoch(data.train.len());
    let evaluated = train.evaluated_epochs();
    let mut keeper = Keeper::new(kept_epochs, steps, |step, total| train.lr_at(step, total));
    let run = Run {
        roles: &roles,
        split: train_split,
        epochs: train.epochs,
        batch_size: train.batch_size,
        accumulate: train.accumulate,
        max_grad_norm: train.max_grad_norm,
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
            if !evaluated.contains(&epoch) {
                return Ok(());
            }
            let found = objective.evaluate(model, query_split);
            epochs.push(EpochInfo {
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
    let training = TrainingInfo {
        seconds: start.elapsed().as_secs_f64(),
        cached: false,
        accuracy_of: objective.unit().to_owned(),
        epochs,
    };
    let checkpoints = keeper.finish();
    checkpoints::write(cache, &key, &checkpoints)?;
    cache.write(KIND, &key, &model.export(&roles), &training)?;
    Ok(FineTuned {
        key,
        model,
        training,
        info,
        reused,
        checkpoints,
    })
}

fn info(config: &ModelConfig, dropout: Dropout, model: &mut Model) -> ModelInfo {
    let trainable = model.count(&[Role::Adapter, Role::Head]);
    ModelInfo {
        name: config.name().to_owned(),
        parameters: trainable + model.count(&[Role::Base]),
        trainable,
        layers: model.layers(),
        adapted_layers: model.adapted_layers(),
        commit: config.commit().map(str::to_owned),
        base_dropout: Some(BaseDropoutInfo {
            hidden: dropout.base.hidden,
            attention: dropout.base.attention,
            classifier: dropout.base.classifier,
        }),
    }
}
