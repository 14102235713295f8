//! The base: all parameters trained on the task's pretraining split, then frozen.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::cache::{Cache, Key};
use super::optimizer::Optimizer;
use super::training::{Run, evaluate};
use super::{FinetuneError, Progress, Settings, Stage};
use crate::batching;
use crate::config::train::Optimizer as OptimizerKind;
use crate::config::{ModelConfig, PretrainConfig};
use crate::models::{Model, Role, Weights};
use crate::tasks::TaskData;

/// AdamW's weight decay while pretraining (PyTorch's default).
const PRETRAIN_DECAY: f64 = 0.01;

/// A base network, pretrained or random, to be frozen.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    /// Hash of everything that decides it.
    pub key: String,
    /// All parameters but the head.
    pub weights: Weights,
    /// How it was trained.
    pub facts: BaseFacts,
}

/// How a base was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaseFacts {
    /// Wall time; of the original run when it came from the cache.
    pub seconds: f64,
    /// Whether it was read from the cache.
    pub cached: bool,
    /// Mean training loss of every epoch, nats; empty when the base is random.
    pub losses: Vec<f64>,
    /// Accuracy on the pretraining split at the end; `null` when the base is random.
    pub accuracy: Option<f64>,
}

/// The base of `settings.model` for a task: pretrained on the task's pretraining split, with a head of
/// its own that is thrown away; read from the cache when it is there.
///
/// # Errors
/// See [`FinetuneError`].
pub fn pretrained_base(
    settings: &Settings,
    data: &TaskData,
    progress: &mut dyn FnMut(Progress),
) -> Result<Base, FinetuneError> {
    let pretrain = match settings.model {
        ModelConfig::Transformer(config) => &config.pretrain,
        ModelConfig::Mlp(config) => &config.pretrain,
    };
    let mut key = Key::new("base");
    key.settings(settings.model);
    key.settings(&settings.seed);
    key.settings(&settings.device);
    let input = batching::input_shape(&data.train);
    let device = settings.device.inner();
    let Some(PretrainConfig {
        epochs,
        lr,
        batch_size,
    }) = *pretrain
    else {
        key.text(&format!("{input:?}"));
        let mut model = Model::new(settings.model, &input, data.classes, settings.seed, &device)?;
        let facts = BaseFacts {
            seconds: 0.0,
            cached: false,
            losses: Vec::new(),
            accuracy: None,
        };
        return Ok(Base {
            key: key.finish(),
            weights: model.export(&[Role::Base]),
            facts,
        });
    };
    let (split, classes) = data
        .pretrain
        .as_ref()
        .filter(|(split, _)| !split.is_empty())
        .ok_or(FinetuneError::NothingToPretrain)?;
    key.split(split);
    key.settings(classes);
    let key = key.finish();
    let cache = Cache(settings.cache);
    if let Some((weights, facts)) = cache.read::<BaseFacts>("base", &key)? {
        return Ok(Base {
            key,
            weights,
            facts: BaseFacts {
                cached: true,
                ..facts
            },
        });
    }
    let start = Instant::now();
    let mut model = Model::new(settings.model, &input, *classes, settings.seed, &device)?;
    let mut losses = Vec::with_capacity(epochs);
    let run = Run {
        roles: &[Role::Base, Role::Head],
        split,
        epochs,
        batch_size,
        lr: &|_, _| lr,
        dropout: 0.0,
        seed: settings.seed,
        scope: "pretrain",
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
            });
            Ok(())
        },
    )?;
    let accuracy = Some(evaluate(&model, split).1);
    let facts = BaseFacts {
        seconds: start.elapsed().as_secs_f64(),
        cached: false,
        losses,
        accuracy,
    };
    let weights = model.export(&[Role::Base]);
    cache.write("base", &key, &weights, &facts)?;
    Ok(Base {
        key,
        weights,
        facts,
    })
}
