//! The step of a cell from its settings to a fine-tuned model.

use std::path::{Path, PathBuf};

use super::answers::Asked;
use super::error::sentence;
use super::examples;
use super::latents::Encoding;
use super::samples::Samples;
use crate::checkpoints::diffusers_lora::LORA_FILE;
use crate::config::{Cell, LoraConfig, ModelConfig, SampleOutputs, Settings, TrainConfig};
use crate::data::{Reads, TaskData};
use crate::device::DeviceChoice;
use crate::finetune::{self, Base, FineTuned, Retrainer, Stage};
use crate::models::diffusion::adapter;
use crate::models::peft::{self, PeftError};
use crate::objectives;
use crate::progress::Progress;
use crate::results::record::{AnswerInfo, SampleInfo};

/// Where a cell runs, and what it leaves there.
pub(super) struct Place {
    /// The folder of the results.
    pub root: PathBuf,
    /// Bases, fine-tunes and retrainings, by content hash.
    pub cache: PathBuf,
    /// Where the model is computed.
    pub device: DeviceChoice,
    /// Whether adapters are saved.
    pub adapters: bool,
    /// Queries that a language model answers before and after the fine-tune.
    pub answers: usize,
    /// What a diffusion model draws before and after it.
    pub samples: SampleOutputs,
}

impl Place {
    /// In the folder `root` of results.
    pub fn new(root: &Path, device: DeviceChoice, adapters: bool) -> Self {
        Self {
            root: root.to_owned(),
            cache: root.join("cache"),
            device,
            adapters,
            answers: 0,
            samples: SampleOutputs::default(),
        }
    }
}

/// What the fine-tune of a cell is made from.
#[derive(Clone, Copy)]
pub(super) struct Recipe<'a> {
    pub lora: &'a LoraConfig,
    pub train: &'a TrainConfig,
    pub settings: finetune::Settings<'a>,
}

impl<'a> Recipe<'a> {
    /// Of a cell.
    ///
    /// # Errors
    /// A task without a model.
    pub fn of(place: &'a Place, cell: &'a Cell) -> Result<Self, String> {
        let Settings {
            task,
            model,
            lora,
            train,
            store,
            ..
        } = &cell.settings;
        let (Some(model), Some(lora), Some(train)) = (model, lora, train) else {
            return Err(format!("the task `{}` needs a model", task.name()));
        };
        let settings = finetune::Settings {
            model,
            seed: cell.seed,
            device: place.device,
            cache: Some(&place.cache),
            activations: store.activations_mib << 20,
        };
        Ok(Self {
            lora,
            train,
            settings,
        })
    }

    /// The base.
    pub fn base(&self, data: &TaskData, progress: &Progress) -> Result<Base, String> {
        let unit = objectives::of(&data.query.targets).unit();
        let mut report = |epoch: finetune::Progress| progress.stage(&stage(&epoch, unit));
        finetune::pretrained_base(&self.settings, data, &mut report).map_err(sentence)
    }

    /// The fine-tune; `checkpoints` keeps the states along the way.
    pub fn tuned(
        &self,
        base: &Base,
        data: &TaskData,
        checkpoints: bool,
        progress: &Progress,
    ) -> Result<FineTuned, String> {
        let unit = objectives::of(&data.query.targets).unit();
        let mut report = |epoch: finetune::Progress| progress.stage(&stage(&epoch, unit));
        let tune = if checkpoints {
            finetune::fine_tune_with_checkpoints
        } else {
            finetune::fine_tune
        };
        let Self {
            lora,
            train,
            settings,
        } = self;
        tune(settings, base, data, lora, train, &mut report).map_err(sentence)
    }

    /// The fine-tune on parts of the training examples.
    pub fn retrainer(&self, base: &Base, data: &TaskData) -> Result<Retrainer, String> {
        Retrainer::new(&self.settings, base, data, self.lora, self.train).map_err(sentence)
    }
}

/// The examples of a cell.
///
/// # Errors
/// A sentence for the record.
pub(super) fn examples(cell: &Cell, encoding: Encoding) -> Result<TaskData, String> {
    let Settings { task, model, .. } = &cell.settings;
    let model = model.as_ref();
    let model = model.ok_or_else(|| format!("the task `{}` needs a model", task.name()))?;
    examples::make(task, model, cell.seed, encoding).map_err(sentence)
}

/// What the fine-tune of a cell leaves.
pub(super) struct Outcome {
    pub data: TaskData,
    pub tuned: FineTuned,
    /// The fine-tune on parts of the training examples, when the settings ask for retraining.
    pub retrainer: Option<Retrainer>,
    /// What a language model answers before and after.
    pub answers: Vec<AnswerInfo>,
    /// What a diffusion model draws before and after.
    pub samples: Vec<SampleInfo>,
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
    let recipe = Recipe::of(place, cell)?;
    progress.stage("making examples");
    let data = examples(cell, Encoding::By(place.device, &place.cache))?;
    let base = recipe.base(&data, progress)?;
    let asked = Asked::new(&data, recipe.settings.model.tokenizer(), place.answers)?;
    let before = asked.answers(&base.model, "before the fine-tune", progress)?;
    let context = (place.device, cell.seed, place.root.as_path());
    let folder = recipe.settings.model.checkpoint();
    let samples = Samples::new(&data, folder, place.samples, context)?;
    let drawn_before = samples.images(&base.model, "before the fine-tune", progress)?;
    let mut tuned = recipe.tuned(&base, &data, checkpoints, progress)?;
    let after = asked.answers(&tuned.model, "after the fine-tune", progress)?;
    let drawn_after = samples.images(&tuned.model, "after the fine-tune", progress)?;
    if place.adapters {
        let ModelConfig::Checkpoint(checkpoint) = recipe.settings.model else {
            return Err(sentence(PeftError::NothingToSave));
        };
        let folder = place.root.join("adapters").join(&cell.id);
        if cell.settings.task.reads() == Reads::Images {
            adapter::save(&folder.join(LORA_FILE), &mut tuned.model).map_err(sentence)?;
        } else {
            let base = checkpoint.path.display().to_string();
            let dropout = recipe.lora.dropout;
            peft::save(&folder, &mut tuned.model, &base, dropout).map_err(sentence)?;
        }
    }
    let truth = cell.settings.ground_truth.as_ref();
    let retrainer = truth.map(|_| recipe.retrainer(&base, &data));
    Ok(Outcome {
        retrainer: retrainer.transpose()?,
        answers: asked.info(before, after),
        samples: samples.info(&drawn_before, &drawn_after)?,
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
