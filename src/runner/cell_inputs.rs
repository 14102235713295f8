//! The first half of a cell: task → fine-tune (`tuning`) → gradients (`collecting`) and what stands beside them
//! (`companions`).

use std::time::Instant;

use super::by_token::ByToken;
use super::collecting::{Collected, collect};
use super::companions::{self, AuxiliaryData, Requirements};
use super::embeddings::embeddings;
use super::error::sentence;
use super::source::{Tuned, tensors};
use super::stores::{SPLITS, Stores, keeps_unrounded, unrounded};
use super::tuning::{Place, tune};
use crate::batching;
use crate::config::{Cell, TaskConfig};
use crate::data::{Inputs, ShownImages, Split, Truth};
use crate::finetune::Retrainer;
use crate::gradients::store::{GradientStore, TensorInfo};
use crate::gradients::synthetic;
use crate::models::Model;
use crate::progress::Progress;
use crate::results::record::{AnswerInfo, ModelInfo, SampleInfo, TaskInfo, TrainingInfo};
use crate::tasks::GradientsTask;

/// Gradients and metadata of one cell.
pub(super) struct CellInputs {
    pub train: GradientStore,
    pub query: GradientStore,
    /// Training and query gradients before they were rounded, when exact influence on these is the reference or gaps
    /// are split.
    pub unrounded: Option<[GradientStore; 2]>,
    pub truth: Truth,
    pub task: TaskInfo,
    pub model: Option<ModelInfo>,
    pub training: Option<TrainingInfo>,
    /// What the methods need beside the gradients.
    pub beside: AuxiliaryData,
    /// Wall time of taking the gradients, without what stands beside them.
    pub seconds: f64,
    /// Share of the computed positions that were padding; `None` where there are no token lists.
    pub padding: Option<f64>,
    /// The fine-tune on parts of the training examples, when the settings ask for it.
    pub retrainer: Option<Retrainer>,
    /// What gradients by token are taken of; `None` where no tokens are predicted.
    pub by_token: Option<ByToken>,
    /// What a language model answers before and after the fine-tune.
    pub answers: Vec<AnswerInfo>,
    /// Training images and queries, for readers; `None` of a task without.
    pub images: Option<[ShownImages; 2]>,
    /// What a diffusion model draws before and after it.
    pub samples: Vec<SampleInfo>,
}

impl CellInputs {
    /// Everything of a cell up to the gradients.
    ///
    /// # Errors
    /// A sentence for the record.
    pub(super) fn new(place: &Place, cell: &Cell, progress: &Progress) -> Result<Self, String> {
        let stores = Stores {
            root: &place.root,
            cell,
        };
        let inputs = match &cell.settings.task {
            TaskConfig::Gradients(task) => drawn(task, &stores, progress)?,
            _ => fine_tuned(place, &stores, progress)?,
        };
        if !keeps_unrounded(&cell.settings) {
            return Ok(inputs);
        }
        let [train, query] = SPLITS;
        Ok(Self {
            train: stores.rounded(train, &inputs.train)?,
            query: stores.rounded(query, &inputs.query)?,
            unrounded: Some([inputs.train, inputs.query]),
            ..inputs
        })
    }

    /// The gradients, by the names of their files.
    pub(super) fn stores(&self) -> impl Iterator<Item = (String, &GradientStore)> {
        let names = SPLITS.map(str::to_owned).into_iter();
        let own = names.zip([&self.train, &self.query]);
        let first = SPLITS.map(unrounded).into_iter();
        own.chain(first.zip(self.unrounded.iter().flatten()))
            .chain(self.beside.stores())
    }
}

/// The gradients of the task that has no model.
fn drawn(task: &GradientsTask, stores: &Stores, progress: &Progress) -> Result<CellInputs, String> {
    progress.stage("making gradients");
    let start = Instant::now();
    let blocks = 0..task.blocks;
    let tensors = blocks.map(|b| TensorInfo::new(format!("block.{b}"), [task.dim]));
    let tensors: Vec<TensorInfo> = tensors.collect();
    let [train, query] = SPLITS;
    let made = synthetic::generate(
        task,
        stores.cell.seed,
        stores.target(train, &tensors, task.train, 1)?,
        stores.target(query, &tensors, task.query, 1)?,
    )
    .map_err(sentence)?;
    let classes = made.truth.train_classes.as_ref();
    let classes = classes.map(|_| task.shared_directions);
    Ok(CellInputs {
        train: made.train,
        query: made.query,
        unrounded: None,
        task: TaskInfo {
            name: stores.cell.settings.task.name().to_owned(),
            train: task.train,
            query: task.query,
            classes,
            flipped: flipped(&made.truth),
            passed_over: 0,
            truncated: 0,
            long_prompts: 0,
            duplicates: 0,
        },
        truth: made.truth,
        model: None,
        training: None,
        beside: AuxiliaryData::default(),
        seconds: start.elapsed().as_secs_f64(),
        padding: None,
        retrainer: None,
        by_token: None,
        answers: Vec::new(),
        images: None,
        samples: Vec::new(),
    })
}

/// The gradients of a fine-tuned model, and what the methods need beside them.
fn fine_tuned(place: &Place, stores: &Stores, progress: &Progress) -> Result<CellInputs, String> {
    let cell = stores.cell;
    let wanted = Requirements::by(&cell.settings.influence.methods);
    let outcome = tune(place, cell, wanted.checkpoints, progress)?;
    let (data, tuned) = (outcome.data, outcome.tuned);
    let tensors = tensors(&tuned.model, &data.train.targets);
    let parameters = tensors.iter().map(TensorInfo::dim).sum();
    let wanted = wanted.with_decomposition(&cell.settings, parameters);
    progress.stage("taking gradients");
    let source = Tuned::new(&tuned, [&data.train, &data.query]);
    let Collected {
        train,
        query,
        factors,
        seconds,
    } = collect(&source, stores, wanted.factors)?;
    let beside = companions::beside(&source, stores, wanted, factors, progress)?;
    let embeddings = wanted.embeddings.then(|| embeddings(&data)).flatten();
    let about = data.texts.as_ref();
    let texts = about.map(|about| about.texts.clone());
    Ok(CellInputs {
        train,
        query,
        unrounded: None,
        task: TaskInfo {
            name: cell.settings.task.name().to_owned(),
            train: data.train.len(),
            query: data.query.len(),
            classes: Some(data.classes),
            flipped: flipped(&data.truth),
            passed_over: data.passed_over,
            truncated: about.map_or(0, |about| about.truncated),
            long_prompts: about.map_or(0, |about| about.long_prompts),
            duplicates: about.map_or(0, |about| about.duplicates),
        },
        padding: padding(&data.train, &data.query, &tuned.model),
        by_token: ByToken::new(
            &tuned,
            [&data.train, &data.query],
            cell.settings
                .model
                .as_ref()
                .and_then(|model| model.tokenizer()),
        ),
        truth: data.truth,
        model: Some(tuned.info),
        training: Some(tuned.training),
        beside: beside.with_texts(texts).with_embeddings(embeddings),
        images: data.images,
        seconds,
        retrainer: outcome.retrainer,
        answers: outcome.answers,
        samples: outcome.samples,
    })
}

/// What bucketing by length leaves of the padding, in the pieces that the gradients are taken in.
fn padding(train: &Split, query: &Split, model: &Model) -> Option<f64> {
    let tokens = batching::tokens_at_a_time(model);
    matches!(train.inputs, Inputs::Tokens { .. })
        .then(|| batching::padding(&[train, query], tokens))
}

/// Training examples whose label was flipped; `None` when the task flips none.
fn flipped(truth: &Truth) -> Option<usize> {
    let flipped = truth.flipped.as_ref()?;
    Some(flipped.iter().filter(|flipped| **flipped).count())
}
