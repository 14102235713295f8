//! An experiment as written in YAML.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    GroundTruthConfig, InfluenceConfig, LoraConfig, ModelConfig, StoreConfig, TaskConfig,
    TrainConfig,
};
use crate::models::diffusion::Sampling;

/// An infbench experiment: one task, one model, several influence methods, swept over a grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Name; results go to `runs/<name>` unless `--out` says otherwise. Letters (A to Z), digits, `-`, `_`, and `.` inside;
    /// at most 100 characters.
    #[schemars(regex(pattern = super::name::PATTERN))]
    pub name: String,
    /// What the experiment asks, in a sentence or two; shown in the report.
    #[serde(default)]
    pub description: String,
    /// One seed. Give `seed` or `seeds`; without either the seed is 0.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Several seeds: every cell of the grid runs once with each.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub seeds: Option<Vec<u64>>,
    /// The data: a task's name, or a mapping with `name` and its options.
    pub task: TaskConfig,
    /// The network: `transformer` or `mlp`, or a mapping with `name` and its options. Default: `mlp`
    /// for `clusters`, `transformer` for `digits` and `sentences`, none for `gradients`.
    #[serde(default)]
    pub model: Option<ModelConfig>,
    /// The adapters.
    #[serde(default)]
    pub lora: LoraConfig,
    /// The fine-tuning loop.
    #[serde(default)]
    pub train: TrainConfig,
    /// Damping, blocks, precision, methods.
    #[serde(default)]
    pub influence: InfluenceConfig,
    /// What retraining says, to hold influence against. Default: nothing is retrained.
    #[serde(default)]
    pub ground_truth: Option<GroundTruthConfig>,
    /// The metrics, by name (`infbench list metrics`). Default: all that the task and the methods allow.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub metrics: Option<Vec<String>>,
    /// The grid: for dotted paths of settings, the values to run. See [`Sweep`].
    #[serde(default)]
    pub sweep: Sweep,
    /// Named sets of settings, of which one is chosen with `--profile`: for dotted paths of settings,
    /// as `--set` takes them, the values. See [`Profiles`].
    #[serde(default)]
    pub profiles: Profiles,
    /// What is written beside the records.
    #[serde(default)]
    pub outputs: Outputs,
    /// Where the gradients live.
    #[serde(default)]
    pub store: StoreConfig,
}

/// The grid. Each entry `dotted.path: [values]` is an axis, and every combination of the axes runs.
/// The entries of `zip` vary together instead, as one axis: their lists are equally long.
///
/// ```yaml
/// sweep:
///   lora.rank: [1, 2, 4, 8]
///   zip:
///     model.layers: [2, 4]
///     train.lr: [1.0e-3, 5.0e-4]
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sweep {
    /// Paths that vary together; their lists are equally long.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub zip: BTreeMap<String, Vec<Value>>,
    /// Paths that vary independently.
    #[serde(flatten)]
    pub grid: BTreeMap<String, Vec<Value>>,
}

/// Settings for different purposes, chosen by name: `infbench run FILE --profile laptop`. A profile is
/// applied before `--set`; its paths reach every setting, `seeds` and single axes of the sweep included.
///
/// ```yaml
/// profiles:
///   laptop:
///     task.train: 400
///     sweep.lora.rank: [1, 4]
///   paper: {seeds: [0, 1, 2, 3, 4]}
/// ```
pub type Profiles = BTreeMap<String, BTreeMap<String, Value>>;

/// What a run writes beside the records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Outputs {
    /// Draw figures, tables and `report.html` at the end.
    pub report: bool,
    /// Keep every cell's scores as `scores/<cell>.safetensors` (one `[m + 1, n]` float64 tensor a
    /// method, the last row for the mean query).
    pub scores: bool,
    /// Keep every cell's fine-tuned adapter and classifier as `adapters/<cell>/`, in the layout of
    /// PEFT; for `model: {name: checkpoint}` only.
    pub adapters: bool,
    /// Keep every cell's gradients as `gradients/<cell>.{train,query}.safetensors`.
    pub gradients: bool,
    /// For so many queries, from the first, score the training examples that help and harm most token by token; of
    /// language models.
    pub tokens: usize,
    /// For so many queries, of as many classes as there are, keep what a language model answers before and after the
    /// fine-tune.
    pub answers: usize,
    /// For so many query images, evenly spread over all, keep the five training images that help and the five that harm
    /// most by every method, with their pictures in `images/`; of diffusion models.
    pub images: usize,
    /// What a diffusion model draws for captions of queries before and after the fine-tune.
    pub samples: SampleOutputs,
}

/// Samples of a diffusion model: `outputs.samples`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SampleOutputs {
    /// For so many captions of queries, the first of every class before the second of any.
    pub prompts: usize,
    /// Images per caption.
    #[schemars(range(min = 1, max = 64))]
    pub images: usize,
    /// Steps and guidance.
    pub sampling: Sampling,
}

impl Default for SampleOutputs {
    fn default() -> Self {
        Self {
            prompts: 0,
            images: 4,
            sampling: Sampling::default(),
        }
    }
}

impl Default for Outputs {
    fn default() -> Self {
        Self {
            report: true,
            scores: false,
            adapters: false,
            gradients: false,
            tokens: 0,
            answers: 3,
            images: 0,
            samples: SampleOutputs::default(),
        }
    }
}

/// The settings of one cell, with every default filled in: what decides its numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// The task.
    pub task: TaskConfig,
    /// The model; `None` for tasks without one.
    pub model: Option<ModelConfig>,
    /// The adapters; `None` without a model.
    pub lora: Option<LoraConfig>,
    /// The fine-tune; `None` without a model.
    pub train: Option<TrainConfig>,
    /// Influence.
    pub influence: InfluenceConfig,
    /// Retraining; not written without it, so that the ids of other cells do not know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ground_truth: Option<GroundTruthConfig>,
    /// The metrics, by name.
    pub metrics: Vec<String>,
    /// Where the gradients live.
    pub store: StoreConfig,
}

/// One cell of the grid: settings and a seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Position in the grid, from 0.
    pub index: usize,
    /// Content hash of settings and seed: 16 hexadecimal digits.
    pub id: String,
    /// The seed.
    pub seed: u64,
    /// The swept settings and their values here, in the order of the file.
    pub axes: Map<String, Value>,
    /// The settings.
    pub settings: Settings,
}

impl Cell {
    /// The swept values as one line, e.g. `lora.rank=4 seed=1`.
    pub fn title(&self) -> String {
        let mut parts: Vec<String> = self
            .axes
            .iter()
            .map(|(path, value)| format!("{path}={}", plain(value)))
            .collect();
        parts.push(format!("seed={}", self.seed));
        parts.join(" ")
    }
}

/// A value in few words: text without its quotes, a mapping by its name or its fields.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(map) => match map.get("name") {
            Some(Value::String(name)) => name.clone(),
            _ => map
                .iter()
                .map(|(key, value)| format!("{key}:{value}"))
                .collect::<Vec<_>>()
                .join(","),
        },
        other => other.to_string(),
    }
}
