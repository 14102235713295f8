//! The first half of a cell: task → fine-tune → gradients.

use std::path::PathBuf;
use std::time::Instant;

use super::cell::CellRunner;
use super::companions::{Beside, Wanted};
use super::sentence;
use crate::batching;
use crate::config::experiment::Settings;
use crate::config::{Cell, ModelConfig, TaskConfig};
use crate::data::{Inputs, Split, Targets, Truth};
use crate::finetune::Retrainer;
use crate::finetune::{self, Stage};
use crate::gradients;
use crate::gradients::per_example::{self, Collect, WithFactors};
use crate::gradients::settings::{GradientType, Reference};
use crate::gradients::store::{GradientStore, StoreWriter, Target, TensorInfo};
use crate::gradients::synthetic;
use crate::models::Model;
use crate::models::peft::{self, PeftError};
use crate::progress::Progress;
use crate::results::record::{ModelFacts, TaskFacts, TrainingFacts};

/// What the methods work on, whatever task it came from.
pub(super) struct Material {
    pub train: GradientStore,
    pub query: GradientStore,
    /// Training and query gradients before they were rounded, when exact influence on these is the reference or gaps
    /// are split.
    pub unrounded: Option<[GradientStore; 2]>,
    pub truth: Truth,
    pub task: TaskFacts,
    pub model: Option<ModelFacts>,
    pub training: Option<TrainingFacts>,
    /// What the methods need beside the gradients.
    pub beside: Beside,
    /// Wall time of taking the gradients, without what stands beside them.
    pub seconds: f64,
    /// Share of the computed positions that were padding; `None` where there are no token lists.
    pub padding: Option<f64>,
    /// The fine-tune on parts of the training examples, when the settings ask for it.
    pub retrainer: Option<Retrainer>,
}

/// Names of the stores that are rounded.
const SPLITS: [&str; 2] = ["train", "query"];

/// Name of a split's gradients before they are rounded.
fn unrounded(split: &str) -> String {
    format!("{split}.f32")
}

/// Whether the gradients of a cell are kept as they come, too, before they are rounded to `store.dtype`.
pub(super) fn keeps_unrounded(settings: &Settings) -> bool {
    let (store, truth) = (&settings.store, &settings.ground_truth);
    let split = truth.as_ref().is_some_and(|t| t.decomposition.is_some());
    store.dtype != GradientType::F32 && (store.reference == Reference::F32 || split)
}

impl Material {
    /// The gradients, by the names of their files.
    pub(super) fn stores(&self) -> impl Iterator<Item = (String, &GradientStore)> {
        let names = SPLITS.map(str::to_owned).into_iter();
        let own = names.zip([&self.train, &self.query]);
        let first = SPLITS.map(unrounded).into_iter();
        own.chain(first.zip(self.unrounded.iter().flatten()))
            .chain(self.beside.stores())
    }
}

impl CellRunner {
    /// Where a store of `rows` examples, one of `alike`, goes: to memory, or when they are above the size of the
    /// settings to a file.
    fn target(
        &self,
        cell: &Cell,
        split: &str,
        tensors: &[TensorInfo],
        rows: usize,
        alike: usize,
    ) -> Result<Target, String> {
        let numbers = tensors.iter().map(|t| t.dim() as u64).sum::<u64>() * rows as u64;
        let store = &cell.settings.store;
        // what is rounded later comes in f32, under another name
        let first = keeps_unrounded(&cell.settings) && SPLITS.contains(&split);
        let (dtype, file) = if first {
            (GradientType::F32, unrounded(split))
        } else {
            (store.dtype, split.to_owned())
        };
        self.target_of(cell, &file, dtype, numbers, alike)
    }

    fn target_of(
        &self,
        cell: &Cell,
        file: &str,
        dtype: GradientType,
        numbers: u64,
        alike: usize,
    ) -> Result<Target, String> {
        let bytes = dtype.bytes() as u64 * numbers;
        if bytes * alike as u64 <= cell.settings.store.in_memory_mib << 20 {
            return Ok(Target::new(None, dtype));
        }
        let folder = self.root.join("gradients");
        std::fs::create_dir_all(&folder)
            .map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        Ok(Target::new(Some(self.gradient_path(cell, file)), dtype))
    }

    pub(super) fn gradient_path(&self, cell: &Cell, split: &str) -> PathBuf {
        self.root
            .join("gradients")
            .join(format!("{}.{split}.safetensors", cell.id))
    }

    /// Everything up to the gradients.
    ///
    /// # Errors
    /// A sentence for the record.
    pub(super) fn material(&self, cell: &Cell, progress: &Progress) -> Result<Material, String> {
        let material = self.as_collected(cell, progress)?;
        if !keeps_unrounded(&cell.settings) {
            return Ok(material);
        }
        let rounded = |split: &str, store: &GradientStore| {
            let dtype = cell.settings.store.dtype;
            let numbers = store.bytes() / GradientType::F32.bytes() as u64;
            let target = self.target_of(cell, split, dtype, numbers, 1)?;
            store.copy(target).map_err(sentence)
        };
        let [train, query] = SPLITS;
        Ok(Material {
            train: rounded(train, &material.train)?,
            query: rounded(query, &material.query)?,
            unrounded: Some([material.train, material.query]),
            ..material
        })
    }

    fn as_collected(&self, cell: &Cell, progress: &Progress) -> Result<Material, String> {
        match &cell.settings.task {
            TaskConfig::Gradients(task) => {
                progress.stage("making gradients");
                let start = Instant::now();
                let tensors: Vec<TensorInfo> = (0..task.blocks)
                    .map(|b| TensorInfo::new(format!("block.{b}"), [task.dim]))
                    .collect();
                let target = |split, rows| self.target(cell, split, &tensors, rows, 1);
                let made = synthetic::generate(
                    task,
                    cell.seed,
                    target("train", task.train)?,
                    target("query", task.query)?,
                )
                .map_err(sentence)?;
                let classes = made
                    .truth
                    .train_classes
                    .as_ref()
                    .map(|_| task.shared_directions);
                let task = task_facts("gradients", task.train, task.query, classes, &made.truth);
                let seconds = start.elapsed().as_secs_f64();
                Ok(Material {
                    train: made.train,
                    query: made.query,
                    unrounded: None,
                    truth: made.truth,
                    task,
                    model: None,
                    training: None,
                    beside: Beside::default(),
                    seconds,
                    padding: None,
                    retrainer: None,
                })
            }
            task => self.fine_tuned(cell, task, progress),
        }
    }

    fn fine_tuned(
        &self,
        cell: &Cell,
        task: &TaskConfig,
        progress: &Progress,
    ) -> Result<Material, String> {
        let (Some(model), Some(lora), Some(train)) = (
            &cell.settings.model,
            &cell.settings.lora,
            &cell.settings.train,
        ) else {
            return Err(format!("the task `{}` needs a model", task.name()));
        };
        progress.stage("making examples");
        let data = task.build(model.tokenizer(), cell.seed).map_err(sentence)?;
        let cache = self.root.join("cache");
        let settings = finetune::Settings {
            model,
            seed: cell.seed,
            device: self.device,
            cache: Some(&cache),
            activations: cell.settings.store.activations_mib << 20,
        };
        let mut report = |p: finetune::Progress| {
            let stage = match p.stage {
                Stage::Pretrain => "pretraining",
                Stage::FineTune => "fine-tuning",
            };
            let query = p.query.map_or_else(String::new, |(loss, accuracy)| {
                let accuracy = accuracy.map_or_else(String::new, |a| format!(", accuracy {a:.3}"));
                format!("; queries: loss {loss:.3}{accuracy}")
            });
            progress.stage(&format!(
                "{stage}, epoch {}/{}, loss {:.3}{query}",
                p.epoch, p.epochs, p.train_loss
            ));
        };
        let wanted = Wanted::by(&cell.settings.influence.methods);
        let base = finetune::pretrained_base(&settings, &data, &mut report).map_err(sentence)?;
        let tune = if wanted.checkpoints {
            finetune::fine_tune_with_checkpoints
        } else {
            finetune::fine_tune
        };
        let mut tuned =
            tune(&settings, &base, &data, lora, train, &mut report).map_err(sentence)?;
        let tensors = gradients::tensors(&tuned.model, &data.train.targets).into_iter();
        let parameters = tensors.map(|t| t.shape.iter().product::<usize>()).sum();
        let wanted = wanted.with_decomposition(&cell.settings, parameters);
        if self.adapters {
            let ModelConfig::Checkpoint(checkpoint) = model else {
                return Err(sentence(PeftError::NothingToSave));
            };
            let folder = self.root.join("adapters").join(&cell.id);
            let base = checkpoint.path.display().to_string();
            peft::save(&folder, &mut tuned.model, &base, lora.dropout).map_err(sentence)?;
        }
        let retrainer = match &cell.settings.ground_truth {
            None => None,
            Some(_) => {
                let retrainer = Retrainer::new(&settings, &base, &data, lora, train);
                Some(retrainer.map_err(sentence)?)
            }
        };
        progress.stage("taking gradients");
        let start = Instant::now();
        let [train, query] = &tuned.reused;
        let train_split = train.as_ref().unwrap_or(&data.train);
        let query_split = query.as_ref().unwrap_or(&data.query);
        let (train, factors) = if wanted.factors {
            let targets = &train_split.targets;
            let (store, cost) =
                self.collect_with_factors(cell, "train", &tuned.model, train_split, targets)?;
            (store, Some(cost))
        } else {
            let store = self.collect(
                cell,
                "train",
                per_example::collect,
                &tuned.model,
                train_split,
                1,
            )?;
            (store, None)
        };
        let asked = per_example::collect_measurements;
        let query = self.collect(cell, "query", asked, &tuned.model, query_split, 1)?;
        let of_factors = factors.as_ref().map_or(0.0, |factors| factors.seconds);
        let seconds = start.elapsed().as_secs_f64() - of_factors;
        let splits = [train_split, query_split];
        let beside = self.beside(cell, wanted, &tuned, splits, factors, progress)?;
        let task = task_facts(
            task.name(),
            data.train.len(),
            data.query.len(),
            Some(data.classes),
            &data.truth,
        );
        let task = TaskFacts {
            passed_over: data.passed_over,
            ..task
        };
        Ok(Material {
            train,
            query,
            unrounded: None,
            truth: data.truth,
            task,
            model: Some(tuned.facts),
            training: Some(tuned.training),
            beside,
            seconds,
            padding: padding(&data.train, &data.query, &tuned.model),
            retrainer,
        })
    }

    /// The gradients of a split, of losses or measurements; `alike` stores of this size are held at a time.
    pub(super) fn collect(
        &self,
        cell: &Cell,
        name: &str,
        collect: Collect,
        model: &Model,
        split: &Split,
        alike: usize,
    ) -> Result<GradientStore, String> {
        let mut writer = self.writer(cell, name, model, split, alike)?;
        let tokens = batching::tokens_at_a_time(model);
        collect(model, split, tokens, &mut writer).map_err(sentence)?;
        writer.finish().map_err(sentence)
    }

    /// The gradients of a split at `targets`, and the Kronecker factors.
    pub(super) fn collect_with_factors(
        &self,
        cell: &Cell,
        name: &str,
        model: &Model,
        split: &Split,
        targets: &Targets,
    ) -> Result<(GradientStore, WithFactors), String> {
        let mut writer = self.writer(cell, name, model, split, 1)?;
        let tokens = batching::tokens_at_a_time(model);
        let made = per_example::collect_with_factors(model, split, targets, tokens, &mut writer)
            .map_err(sentence)?;
        Ok((writer.finish().map_err(sentence)?, made))
    }

    fn writer(
        &self,
        cell: &Cell,
        name: &str,
        model: &Model,
        split: &Split,
        alike: usize,
    ) -> Result<StoreWriter, String> {
        let tensors: Vec<TensorInfo> = gradients::tensors(model, &split.targets)
            .into_iter()
            .map(|t| TensorInfo::new(t.name, t.shape))
            .collect();
        let target = self.target(cell, name, &tensors, split.len(), alike)?;
        StoreWriter::new(tensors, split.len(), target).map_err(sentence)
    }
}

/// What bucketing by length leaves of the padding, in the pieces that the gradients are taken in.
fn padding(train: &Split, query: &Split, model: &Model) -> Option<f64> {
    let tokens = batching::tokens_at_a_time(model);
    matches!(train.inputs, Inputs::Tokens { .. })
        .then(|| batching::padding(&[train, query], tokens))
}

fn task_facts(
    name: &str,
    train: usize,
    query: usize,
    classes: Option<usize>,
    truth: &Truth,
) -> TaskFacts {
    let flipped = truth
        .flipped
        .as_ref()
        .map(|flipped| flipped.iter().filter(|f| **f).count());
    TaskFacts {
        name: name.to_owned(),
        train,
        query,
        classes,
        flipped,
        passed_over: 0,
    }
}
