//! The base: all parameters trained on the task's pretraining split, then frozen.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::cache::{Cache, Key};
use super::context::{Progress, Settings, Stage};
use super::error::FinetuneError;
use super::optimizer::Optimizer;
use super::run::Run;
use super::settings::Optimizer as OptimizerKind;
use crate::batching;
use crate::data::{Split, TaskData};
use crate::models::checkpoint::Checkpoint;
use crate::models::diffusion::{PipelineConfig, is_pipeline};
use crate::models::{Dropout, Model, ModelError, PretrainConfig, Role};
use crate::objectives;

/// AdamW's weight decay while pretraining (PyTorch's default).
const PRETRAIN_DECAY: f64 = 0.01;

/// A base network, pretrained or random, to be frozen.
#[derive(Clone, Debug)]
pub struct Base {
    /// Hash of everything that decides it.
    pub key: String,
    /// The network with a fresh head for the task's classes, without adapters. Its tensors are shared
    /// by all who clone it.
    pub model: Model,
    /// How it was trained.
    pub info: BaseInfo,
}

/// How a base was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaseInfo {
    /// Wall time; of the original run when it came from the cache.
    pub seconds: f64,
    /// Whether it was read from the cache.
    pub cached: bool,
    /// Mean training loss of every epoch, nats; empty when the base is random.
    pub losses: Vec<f64>,
    /// Accuracy on the pretraining split at the end; `null` when the base is random.
    pub accuracy: Option<f64>,
}

/// How the cache calls pretrained bases.
const KIND: &str = "base";

/// Hash of everything that decides a base, without making it: what [`Base::key`] will be.
///
/// # Errors
/// A checkpoint that cannot be opened, or nothing to pretrain on.
pub fn base_key(settings: &Settings, data: &TaskData) -> Result<String, FinetuneError> {
    if let Some(folder) = settings.model.checkpoint() {
        if is_pipeline(folder) {
            let pipeline = PipelineConfig::read(folder).map_err(ModelError::from)?;
            return pipeline_key(settings, &pipeline);
        }
        let checkpoint = Checkpoint::open(folder).map_err(ModelError::from)?;
        let checkpoint = checkpoint.loaded(settings.model.loading());
        return Ok(checkpoint_key(settings, &checkpoint));
    }
    let mut key = Key::new("base");
    key.settings(settings.model);
    key.settings(&settings.seed);
    key.settings(&settings.device);
    if settings.model.pretrain().is_some() {
        let (split, classes) = pretraining_split(data)?;
        key.split(split);
        key.settings(&classes);
    } else {
        key.text(&format!("{:?}", batching::input_shape(&data.train)));
    }
    Ok(key.finish())
}

/// Whether a base has to be pretrained and is not in the cache.
pub fn lacks_base(settings: &Settings, key: &str) -> bool {
    settings.model.checkpoint().is_none()
        && settings.model.pretrain().is_some()
        && !Cache(settings.cache).has(KIND, key)
}

fn checkpoint_key(settings: &Settings, checkpoint: &Checkpoint) -> String {
    let mut key = Key::new("checkpoint");
    key.text(&checkpoint.hash());
    key.settings(&settings.seed);
    key.settings(&settings.device);
    key.finish()
}

fn pipeline_key(settings: &Settings, pipeline: &PipelineConfig) -> Result<String, FinetuneError> {
    let mut key = Key::new("pipeline");
    key.text(&pipeline.hash_of_unet().map_err(ModelError::from)?);
    key.settings(&settings.device);
    Ok(key.finish())
}

fn pretraining_split(data: &TaskData) -> Result<(&Split, usize), FinetuneError> {
    let split = data.pretrain.as_ref();
    let split = split.filter(|(split, _)| !split.is_empty());
    let (split, classes) = split.ok_or(FinetuneError::NothingToPretrain)?;
    Ok((split, *classes))
}

/// The base of `settings.model` for a task: a checkpoint as it is; else pretrained on the task's
/// pretraining split, with a head of its own that is thrown away, read from the cache when it is there.
///
/// # Errors
/// See [`FinetuneError`].
pub fn pretrained_base(
    settings: &Settings,
    data: &TaskData,
    progress: &mut dyn FnMut(Progress),
) -> Result<Base, FinetuneError> {
    let input = batching::input_shape(&data.train);
    let device = settings.device.inner();
    let random = BaseInfo {
        seconds: 0.0,
        cached: false,
        losses: Vec::new(),
        accuracy: None,
    };
    if let Some(folder) = settings.model.checkpoint().filter(|f| is_pipeline(f)) {
        let start = Instant::now();
        let pipeline = PipelineConfig::read(folder).map_err(ModelError::from)?;
        return Ok(Base {
            key: pipeline_key(settings, &pipeline)?,
            model: Model::of_pipeline(&pipeline, &input, &device)?,
            info: BaseInfo {
                seconds: start.elapsed().as_secs_f64(),
                ..random
            },
        });
    }
    if let Some(folder) = settings.model.checkpoint() {
        let start = Instant::now();
        let checkpoint = Checkpoint::open(folder).map_err(ModelError::from)?;
        let checkpoint = checkpoint.loaded(settings.model.loading());
        let model =
            Model::from_checkpoint(&checkpoint, &input, data.classes, settings.seed, &device)?;
        return Ok(Base {
            key: checkpoint_key(settings, &checkpoint),
            model,
            info: BaseInfo {
                seconds: start.elapsed().as_secs_f64(),
                ..random
            },
        });
    }
    let key = base_key(settings, data)?;
    let Some(&PretrainConfig {
        epochs,
        lr,
        batch_size,
    }) = settings.model.pretrain()
    else {
        let model = Model::new(settings.model, &input, data.classes, settings.seed, &device)?;
        return Ok(Base {
            key,
            model,
            info: random,
        });
    };
    let (split, classes) = pretraining_split(data)?;
    let cache = Cache(settings.cache);
    if let Some((weights, info)) = cache.read::<BaseInfo>(KIND, &key) {
        let mut model = Model::new(settings.model, &input, data.classes, settings.seed, &device)?;
        model.import(&[Role::Base], &weights)?;
        return Ok(Base {
            key,
            model,
            info: BaseInfo {
                cached: true,
                ..info
            },
        });
    }
    let start = Instant::now();
    let mut model = Model::new(settings.model, &input, classes, settings.seed, &device)?;
    let mut losses = Vec::with_capacity(epochs);
    let run = Run {
        roles: &[Role::Base, Role::Head],
        split,
        epochs,
        batch_size,
        accumulate: 1,
        max_grad_norm: None,
        lr: &|_, _| lr,
        dropout: Dropout::default(),
        seed: settings.seed,
        scope: "pretrain",
        kept: None,
    };
    run.train(
        &mut model,
        |sizes| Optimizer::new(OptimizerKind::Adamw, PRETRAIN_DECAY, sizes),
        &mut |_, epoch, train_loss| {
            losses.push(train_loss);
            progress(Progress {
                stage: Stage::Pretrain,
                epoch,
                epochs,
                train_loss,
                query: None,
            });
            Ok(())
        },
    )?;
    let accuracy = objectives::of(&split.targets)
        .evaluate(&model, split)
        .accuracy;
    let info = BaseInfo {
        seconds: start.elapsed().as_secs_f64(),
        cached: false,
        losses,
        accuracy,
    };
    cache.write(KIND, &key, &model.export(&[Role::Base]), &info)?;
    model.replace_head(data.classes, settings.seed);
    Ok(Base { key, model, info })
}
