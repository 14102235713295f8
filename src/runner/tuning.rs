//! The step of a cell from its settings to a fine-tuned model.

use std::path::Path;

use super::answers::Asked;
use super::examples::{self, Encoding};
use super::sentence;
use crate::checkpoints::diffusers_lora::LORA_FILE;
use crate::config::{Cell, ModelConfig};
use crate::data::{Reads, TaskData};
use crate::device::DeviceChoice;
use crate::finetune::{self, FineTuned, Retrainer, Stage};
use crate::models::diffusion::adapter;
use crate::models::peft::{self, PeftError};
use crate::objectives;
use crate::progress::Progress;
use crate::results::record::AnswerFacts;

/// Where a cell runs, and what it leaves there.
pub(super) struct Place<'a> {
    /// The folder of the results, with the cache.
    pub root: &'a Path,
    /// Where the model is computed.
    pub device: DeviceChoice,
    /// Whether adapters are saved.
    pub adapters: bool,
    /// Queries that a language model answers before and after the fine-tune.
    pub answers: usize,
}

/// What the fine-tune of a cell leaves.
pub(super) struct Outcome {
    pub data: TaskData,
    pub tuned: FineTuned,
    /// The fine-tune on parts of the training examples, when the settings ask for retraining.
    pub retrainer: Option<Retrainer>,
    /// What a language model answers before and after.
    pub answers: Vec<AnswerFacts>,
}

/// Makes the examples of a cell and fine-tunes its model; `checkpoints` keeps the states along the way.
///
/// # Errors
/// A sentence for the record.
pub(super) fn tune(
    place: &Place,
    cell: &Cell,
    checkpoints: bool,
    progress: &Progress,
) -> Result<Outcome, String> {
    let task = &cell.settings.task;
    let (Some(model), Some(lora), Some(train)) = (
        &cell.settings.model,
        &cell.settings.lora,
        &cell.settings.train,
    ) else {
        return Err(format!("the task `{}` needs a model", task.name()));
    };
    progress.stage("making examples");
    let cache = place.root.join("cache");
    let encoding = Encoding::By(place.device, &cache);
    let data = examples::make(task, model, cell.seed, encoding).map_err(sentence)?;
    let settings = finetune::Settings {
        model,
        seed: cell.seed,
        device: place.device,
        cache: Some(&cache),
        activations: cell.settings.store.activations_mib << 20,
    };
    let unit = objectives::of(&data.query.targets).unit();
    let mut report = |epoch: finetune::Progress| progress.stage(&stage(&epoch, unit));
    let base = finetune::pretrained_base(&settings, &data, &mut report).map_err(sentence)?;
    let asked = Asked::new(&data, model.tokenizer(), place.answers)?;
    let before = asked.answers(&base.model, "before the fine-tune", progress)?;
    let tune = if checkpoints {
        finetune::fine_tune_with_checkpoints
    } else {
        finetune::fine_tune
    };
    let mut tuned = tune(&settings, &base, &data, lora, train, &mut report).map_err(sentence)?;
    let after = asked.answers(&tuned.model, "after the fine-tune", progress)?;
    if place.adapters {
        let ModelConfig::Checkpoint(checkpoint) = model else {
            return Err(sentence(PeftError::NothingToSave));
        };
        let folder = place.root.join("adapters").join(&cell.id);
        if task.reads() == Reads::Images {
            adapter::save(&folder.join(LORA_FILE), &mut tuned.model).map_err(sentence)?;
        } else {
            let base = checkpoint.path.display().to_string();
            peft::save(&folder, &mut tuned.model, &base, lora.dropout).map_err(sentence)?;
        }
    }
    let truth = cell.settings.ground_truth.as_ref();
    let retrainer = truth.map(|_| Retrainer::new(&settings, &base, &data, lora, train));
    Ok(Outcome {
        retrainer: retrainer.transpose().map_err(sentence)?,
        answers: asked.facts(before, after),
        data,
        tuned,
    })
}

/// An epoch, for a progress line.
fn stage(epoch: &finetune::Progress, unit: &str) -> String {
    let stage = match epoch.stage {
        Stage::Pretrain => "pretraining",
        Stage::FineTune => "fine-tuning",
    };
    let query = epoch.query.map_or_else(String::new, |(loss, accuracy)| {
        let accuracy =
            accuracy.map_or_else(String::new, |a| format!(", {a:.3} of the {unit} right"));
        format!("; queries: loss {loss:.3}{accuracy}")
    });
    format!(
        "{stage}, epoch {}/{}, loss {:.3}{query}",
        epoch.epoch, epoch.epochs, epoch.train_loss
    )
}
