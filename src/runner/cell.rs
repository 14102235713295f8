//! One cell: task → fine-tune → gradients → methods → metrics → record.

use std::path::PathBuf;
use std::time::Instant;

use ndarray::{Array2, Axis, s};

use super::progress::Progress;
use super::{Execute, facts};
use crate::config::{Cell, MethodSpec, ModelConfig, Plan, TaskConfig};
use crate::device::DeviceChoice;
use crate::finetune::{self, Stage};
use crate::gradients::per_example;
use crate::gradients::store::{GradientStore, StoreWriter, Target, TensorInfo};
use crate::influence::{
    BlockLayout, Evidence, Influence, Queries, RunOptions, damping, run_method,
};
use crate::metrics::{self, Inputs, Scores};
use crate::models::Model;
use crate::models::peft::{self, PeftError};
use crate::results::ResultsDir;
use crate::results::environment;
use crate::results::record::{
    BlockFacts, GradientFacts, MethodRecord, ModelFacts, Provenance, Record, SCHEMA, Status,
    TaskFacts, TrainingFacts,
};
use crate::tasks::{self, Split, Truth};

/// Runs cells for real.
pub struct CellRunner {
    device: DeviceChoice,
    description: String,
    root: PathBuf,
    scores: bool,
    adapters: bool,
    gradients: bool,
}

/// What the methods work on, whatever task it came from.
struct Material {
    train: GradientStore,
    query: GradientStore,
    truth: Truth,
    task: TaskFacts,
    model: Option<ModelFacts>,
    training: Option<TrainingFacts>,
    /// Wall time of taking the gradients.
    seconds: f64,
}

/// An error as a sentence for the record.
fn sentence(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl CellRunner {
    /// A runner that keeps its caches in `results`.
    pub fn new(results: &ResultsDir, device: DeviceChoice, plan: &Plan) -> Self {
        Self {
            device,
            description: plan.description.clone(),
            root: results.root().to_owned(),
            scores: plan.outputs.scores,
            adapters: plan.outputs.adapters,
            gradients: plan.outputs.gradients,
        }
    }

    /// Where a store of `rows` examples goes: to memory, or above the size of the settings to a file.
    fn target(
        &self,
        cell: &Cell,
        split: &str,
        tensors: &[TensorInfo],
        rows: usize,
    ) -> Result<Target, String> {
        let bytes = tensors.iter().map(|t| t.dim() as u64).sum::<u64>() * rows as u64 * 4;
        if bytes <= cell.settings.store.in_memory_mib << 20 {
            return Ok(Target::Memory);
        }
        let folder = self.root.join("gradients");
        std::fs::create_dir_all(&folder)
            .map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        Ok(Target::Mapped(self.gradient_path(cell, split)))
    }

    fn gradient_path(&self, cell: &Cell, split: &str) -> PathBuf {
        self.root
            .join("gradients")
            .join(format!("{}.{split}.safetensors", cell.id))
    }

    fn material(&self, cell: &Cell, progress: &Progress) -> Result<Material, String> {
        match &cell.settings.task {
            TaskConfig::Gradients(task) => {
                progress.stage("making gradients");
                let start = Instant::now();
                let tensors: Vec<TensorInfo> = (0..task.blocks)
                    .map(|b| TensorInfo::new(format!("block.{b}"), [task.dim]))
                    .collect();
                let target = |split, rows| self.target(cell, split, &tensors, rows);
                let made = tasks::gradients::generate(
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
                    truth: made.truth,
                    task,
                    model: None,
                    training: None,
                    seconds,
                })
            }
            task => self.from_model(cell, task, progress),
        }
    }

    fn from_model(
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
        let data = tasks::build_for(task, model, cell.seed).map_err(sentence)?;
        let cache = self.root.join("cache");
        let settings = finetune::Settings {
            model,
            seed: cell.seed,
            device: self.device,
            cache: Some(&cache),
        };
        let mut report = |p: finetune::Progress| {
            let stage = match p.stage {
                Stage::Pretrain => "pretraining",
                Stage::FineTune => "fine-tuning",
            };
            progress.stage(&format!(
                "{stage}, epoch {}/{}, loss {:.3}",
                p.epoch, p.epochs, p.train_loss
            ));
        };
        let base = finetune::pretrained_base(&settings, &data, &mut report).map_err(sentence)?;
        let mut tuned = finetune::fine_tune(&settings, &base, &data, lora, train, &mut report)
            .map_err(sentence)?;
        if self.adapters {
            let ModelConfig::Checkpoint(checkpoint) = model else {
                return Err(sentence(PeftError::NothingToSave));
            };
            let folder = self.root.join("adapters").join(&cell.id);
            let base = checkpoint.path.display().to_string();
            peft::save(&folder, &mut tuned.model, &base, lora.dropout).map_err(sentence)?;
        }
        progress.stage("taking gradients");
        let start = Instant::now();
        let train = self.collect(cell, "train", &tuned.model, &data.train)?;
        let query = self.collect(cell, "query", &tuned.model, &data.query)?;
        let seconds = start.elapsed().as_secs_f64();
        let task = task_facts(
            task.name(),
            data.train.len(),
            data.query.len(),
            Some(data.classes),
            &data.truth,
        );
        Ok(Material {
            train,
            query,
            truth: data.truth,
            task,
            model: Some(tuned.facts),
            training: Some(tuned.training),
            seconds,
        })
    }

    fn collect(
        &self,
        cell: &Cell,
        name: &str,
        model: &Model,
        split: &Split,
    ) -> Result<GradientStore, String> {
        let tensors: Vec<TensorInfo> = model
            .gradient_tensors()
            .into_iter()
            .map(|t| TensorInfo::new(t.name, t.shape))
            .collect();
        let target = self.target(cell, name, &tensors, split.len())?;
        let mut writer = StoreWriter::new(tensors, split.len(), target).map_err(sentence)?;
        per_example::collect(model, split, per_example::piece_size(split), &mut writer)
            .map_err(sentence)?;
        writer.finish().map_err(sentence)
    }

    /// Keeps or removes what the settings ask for.
    fn outputs(
        &self,
        cell: &Cell,
        material: &Material,
        scores: &[(String, Array2<f64>)],
    ) -> Result<(), String> {
        for (name, store) in [("train", &material.train), ("query", &material.query)] {
            let path = self.gradient_path(cell, name);
            match (self.gradients, store.storage() == "mapped") {
                (true, false) => {
                    std::fs::create_dir_all(self.root.join("gradients")).map_err(sentence)?;
                    store.save(&path).map_err(sentence)?;
                }
                // on every system with memory maps, a removed file lives as long as it is mapped
                (false, true) => std::fs::remove_file(&path)
                    .map_err(|e| format!("cannot remove {}: {e}", path.display()))?,
                _ => {}
            }
        }
        if self.scores && !scores.is_empty() {
            let path = self
                .root
                .join("scores")
                .join(format!("{}.safetensors", cell.id));
            let views = scores.iter().map(|(label, scores)| {
                let values = scores.as_slice().expect("scores are made in row order");
                let view = safetensors::tensor::TensorView::new(
                    safetensors::Dtype::F64,
                    scores.shape().to_vec(),
                    bytemuck::cast_slice(values),
                );
                (
                    label.clone(),
                    view.expect("the shape is that of the values"),
                )
            });
            let bytes = safetensors::serialize(views, None).map_err(sentence)?;
            crate::results::write_atomically(&path, &bytes)
                .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        }
        Ok(())
    }
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
    }
}

impl Execute for CellRunner {
    fn execute(
        &self,
        experiment: &str,
        cell: &Cell,
        progress: &Progress,
    ) -> Result<Record, String> {
        let start = Instant::now();
        let mut provenance = self.provenance();
        let material = self.material(cell, progress)?;
        let influence = &cell.settings.influence;
        let layout = BlockLayout::new(material.train.tensors(), influence.blocks);
        let lambda = damping(&material.train, &layout, influence.damping).map_err(sentence)?;
        let options = RunOptions {
            precision: influence.precision,
            queries: Queries::EachAndMean,
            seed: cell.seed,
        };

        // exact first: the others are held against it
        let mut order: Vec<usize> = (0..influence.methods.len()).collect();
        order.sort_by_key(|&i| !influence.methods[i].is_exact());
        let mut exact: Option<Array2<f64>> = None;
        let mut kept = Vec::new();
        let mut methods: Vec<Option<MethodRecord>> = vec![None; influence.methods.len()];
        for index in order {
            let spec = &influence.methods[index];
            progress.stage(&spec.label);
            methods[index] = Some(
                match run_method(
                    spec,
                    &material.train,
                    &material.query,
                    &layout,
                    &lambda,
                    &options,
                ) {
                    Ok(found) => {
                        if spec.is_exact() && exact.is_none() {
                            exact = Some(found.scores.clone());
                        }
                        let record =
                            method_record(spec, &found, exact.as_ref(), &material.truth, cell)?;
                        if self.scores {
                            kept.push((spec.label.clone(), found.scores));
                        }
                        record
                    }
                    Err(error) => failed_method(spec, error.to_string()),
                },
            );
        }
        self.outputs(cell, &material, &kept)?;

        let examples = (material.task.train + material.task.query) as f64;
        let blocks = layout.blocks().iter().zip(&lambda);
        let gradients = GradientFacts {
            seconds: material.seconds,
            examples_per_second: examples / material.seconds,
            bytes: material.train.bytes(),
            storage: material.train.storage().to_owned(),
            blocks: blocks
                .map(|(block, &lambda)| BlockFacts {
                    name: block.name.clone(),
                    dim: block.dim,
                    lambda,
                })
                .collect(),
        };
        provenance.seconds = start.elapsed().as_secs_f64();
        Ok(Record {
            schema: SCHEMA,
            experiment: experiment.to_owned(),
            description: self.description.clone(),
            cell: facts(cell),
            status: Status::Ok,
            error: None,
            config: serde_json::to_value(&cell.settings).map_err(sentence)?,
            provenance,
            task: Some(material.task),
            model: material.model,
            training: material.training,
            gradients: Some(gradients),
            methods: methods.into_iter().flatten().collect(),
        })
    }

    fn provenance(&self) -> Provenance {
        environment::provenance(&self.device.to_string(), rayon::current_num_threads())
    }
}

/// Scores with the mean query as the last row, in two parts.
fn parts(scores: &Array2<f64>) -> Scores<'_> {
    let last = scores.len_of(Axis(0)) - 1;
    Scores {
        per_query: scores.slice(s![..last, ..]),
        mean_query: scores.row(last),
    }
}

fn method_record(
    spec: &MethodSpec,
    found: &Influence,
    exact: Option<&Array2<f64>>,
    truth: &Truth,
    cell: &Cell,
) -> Result<MethodRecord, String> {
    let inputs = Inputs {
        scores: parts(&found.scores),
        exact: exact.map(parts),
        flipped: truth.flipped.as_deref(),
        train_classes: truth.train_classes.as_deref(),
        query_classes: truth.query_classes.as_deref(),
        seed: cell.seed,
    };
    let wanted: Vec<&str> = cell.settings.metrics.iter().map(String::as_str).collect();
    let (metrics, curves) = metrics::evaluate(&inputs, &wanted).map_err(sentence)?;
    Ok(MethodRecord {
        label: spec.label.clone(),
        name: spec.name().to_owned(),
        status: Status::Ok,
        error: None,
        seconds: Some(found.seconds),
        peak_bytes: found.peak_bytes,
        evidence: found.evidence.clone(),
        non_finite: found
            .scores
            .iter()
            .filter(|score| !score.is_finite())
            .count(),
        metrics,
        curves,
    })
}

fn failed_method(spec: &MethodSpec, error: String) -> MethodRecord {
    MethodRecord {
        label: spec.label.clone(),
        name: spec.name().to_owned(),
        status: Status::Failed,
        error: Some(error),
        seconds: None,
        peak_bytes: None,
        evidence: Evidence::default(),
        non_finite: 0,
        metrics: Vec::new(),
        curves: Vec::new(),
    }
}
