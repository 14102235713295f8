//! The versioned record of one cell: everything a figure or a reader needs, nothing recomputed.
//!
//! Times are seconds, sizes are bytes. A missing number is `null`, never 0.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::influence::SolverDiagnostics;
use crate::measure::{StageBytes, StageSeconds};
use crate::metrics::{Curve, MetricValue};

pub use crate::data::{BaseDropoutInfo, EpochInfo, ModelInfo, TrainingInfo};
pub use crate::ground_truth::info::{GroundTruthInfo, LeaveOneOutInfo, SubsetInfo};

/// Version of this layout; raised when a field changes its meaning.
pub const SCHEMA: u32 = 1;

/// One cell's results, written as one JSON file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`] at the time of writing.
    pub schema: u32,
    /// The experiment's `name`.
    pub experiment: String,
    /// The experiment's profile that ran; `null` when it has none.
    #[serde(default)]
    pub profile: Option<String>,
    /// What the experiment asks, in its own words; may be empty.
    #[serde(default)]
    pub description: String,
    /// Which cell of the grid this is.
    pub cell: CellInfo,
    /// `ok`, or `failed` with `error` saying why; a failed cell has no gradients and no methods.
    pub status: Status,
    /// Why the cell failed.
    pub error: Option<String>,
    /// The resolved settings of this cell (every default filled in).
    pub config: Value,
    /// Where and with what it was computed.
    pub provenance: Provenance,
    /// Metadata of the task.
    pub task: Option<TaskInfo>,
    /// Metadata of the model; `null` when the task has none.
    pub model: Option<ModelInfo>,
    /// The fine-tune; `null` when the task has no model.
    pub training: Option<TrainingInfo>,
    /// The gradients that all methods of the cell share.
    pub gradients: Option<GradientInfo>,
    /// What retraining found; not there when the settings ask for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ground_truth: Option<GroundTruthInfo>,
    /// One entry a method, in the order of the settings.
    pub methods: Vec<MethodRecord>,
    /// Exact influences that failed or did not converge, and why. They are no reference: the metrics against them have no
    /// value, and all their cases count as undefined.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_reference: Vec<String>,
    /// Differences between methods within this cell; not there in records from before they were kept, and of a cell
    /// with one method.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pairing: Vec<PairingInfo>,
    /// Which tokens carry the influence of the training examples that are extreme for some queries; not there unless
    /// `outputs.tokens` asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_token: Vec<ExampleByToken>,
    /// What a language model answers to some queries before and after the fine-tune (`outputs.answers`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<AnswerInfo>,
    /// Training images that help and harm some query images most; not there unless `outputs.images` asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_image: Vec<QueryImage>,
    /// What a diffusion model draws for some captions before and after the fine-tune (`outputs.samples`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<SampleInfo>,
}

/// Samples of a diffusion model for a caption. Those before and after the fine-tune begin with the same noise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleInfo {
    /// The caption.
    pub prompt: String,
    /// PNG files before the fine-tune, relative to the folder of the results.
    pub before: Vec<String>,
    /// PNG files after it.
    pub after: Vec<String>,
}

/// What a language model answers to a query, always by the most likely next token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerInfo {
    /// The query, from 0.
    pub query: usize,
    /// The prompt.
    pub prompt: String,
    /// The answer that the data has.
    pub expected: String,
    /// What the model answers before the fine-tune.
    pub before: Generated,
    /// What it answers after it.
    pub after: Generated,
}

/// A generated text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generated {
    /// The text, without special tokens.
    pub text: String,
    /// Whether a token ended it, rather than the limit of new tokens.
    pub ended: bool,
}

/// A query image and the training images that are extreme for it, by every method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueryImage {
    /// The query, from 0.
    pub query: usize,
    /// The query's image.
    pub image: ImageInfo,
    /// One entry a method that has scores.
    pub methods: Vec<ImagesByMethod>,
}

/// What is said of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// Its file, as the list of the images names it.
    pub file: String,
    /// Its caption.
    pub text: String,
    /// Its class; `null` where there are none.
    pub class: Option<String>,
    /// A PNG file of it, shrunk where it is large, relative to the folder of the results.
    pub picture: String,
}

/// The training images that are extreme for a query by one method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImagesByMethod {
    /// The method as written in the settings.
    pub label: String,
    /// Those with the smallest scores, the smallest first; none where a score is not finite.
    pub helpful: Vec<ScoredImage>,
    /// Those with the largest scores, the largest first.
    pub harmful: Vec<ScoredImage>,
}

/// A training image with its score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoredImage {
    /// The training example, from 0.
    pub example: usize,
    /// Its score; positive = harmful.
    pub score: f64,
    /// Its image.
    pub image: ImageInfo,
}

/// A training example that is extreme for a query, token by token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExampleByToken {
    /// The query, from 0.
    pub query: usize,
    /// The training example, from 0.
    pub example: usize,
    /// In what way it is extreme.
    pub extreme: Extreme,
    /// Label of the method that says so.
    pub by: String,
    /// The text of the query, without special tokens; empty without a tokenizer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub asked: String,
    /// The text of the training example before its first target token.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub given: String,
    /// The target tokens of the training example.
    pub tokens: Vec<TokenInfo>,
    /// Scores of the tokens, which add up to the score of the example; of every method that has such.
    pub methods: Vec<MethodByToken>,
}

/// Which end of a query's scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extreme {
    /// The smallest score.
    MostHelpful,
    /// The largest score.
    MostHarmful,
}

/// A target token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// The position that predicts it, from 0.
    pub position: u32,
    /// Its id.
    pub token: u32,
    /// What it reads; `null` without a tokenizer.
    pub text: Option<String>,
}

/// Scores of the tokens of an example by one method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodByToken {
    /// The method as written in the settings.
    pub label: String,
    /// One score a token; positive = harmful.
    pub scores: Vec<f64>,
}

/// Position of a cell in its grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellInfo {
    /// Content hash of the resolved settings and the seed (16 hexadecimal digits).
    pub id: String,
    /// Position in the grid, from 0.
    pub index: usize,
    /// The seed.
    pub seed: u64,
    /// The swept settings and their values here, e.g. `{"lora.rank": 4}`, in the order of the sweep.
    pub axes: Map<String, Value>,
}

/// Outcome of a cell or a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Finished.
    Ok,
    /// Ended by an error, which stands beside it.
    Failed,
}

/// Where and with what a record was computed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of infbench.
    pub version: String,
    /// Git commit of the source that infbench was built from, with `-dirty` when it had changes; `null` when it was built
    /// outside its repository or from a package.
    pub commit: Option<String>,
    /// Start, RFC 3339, UTC.
    pub started: String,
    /// Wall time of the whole cell.
    pub seconds: f64,
    /// Device the model ran on.
    pub device: String,
    /// Threads of the matrix products.
    pub threads: usize,
    /// CPU model.
    pub cpu: Option<String>,
    /// Logical CPUs.
    pub cores: usize,
    /// Main memory.
    pub memory_bytes: Option<u64>,
    /// Operating system and architecture.
    pub os: String,
    /// Versions of the libraries that decide the numbers.
    pub libraries: Map<String, Value>,
}

/// Metadata of the task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskInfo {
    /// Name, e.g. `digits`.
    pub name: String,
    /// Training examples n.
    pub train: usize,
    /// Query examples m.
    pub query: usize,
    /// Classes; `null` when there are none.
    pub classes: Option<usize>,
    /// Training examples whose label was flipped; `null` when the task flips none.
    pub flipped: Option<usize>,
    /// Rows of the data files that were broken and passed over: they are in neither split.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub passed_over: usize,
    /// Texts that were cut to the longest length.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub truncated: usize,
    /// Texts whose prompt alone is longer than the longest length.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub long_prompts: usize,
    /// Texts, or images, that are the same as one before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub duplicates: usize,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The gradients of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GradientInfo {
    /// Wall time of taking training and query gradients.
    pub seconds: f64,
    /// Training and query examples a second.
    pub examples_per_second: f64,
    /// Share of the computed positions that were padding, training and query examples together; `null`
    /// where there are no token lists, and in records from before it was measured.
    #[serde(default)]
    pub padding: Option<f64>,
    /// Size of the training gradients.
    pub bytes: u64,
    /// `memory` or `mapped`.
    pub storage: String,
    /// The blocks, with their damping.
    pub blocks: Vec<BlockInfo>,
    /// What was collected beside the gradients because a method needs it; not in `seconds` and `bytes`.
    #[serde(default)]
    pub companions: CompanionInfo,
}

/// What was collected beside the gradients; `null` for what no method of the cell needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CompanionInfo {
    /// Kronecker factors, in the same pass as the training gradients.
    pub factors: Option<CompanionCost>,
    /// Gradients and Kronecker factors at labels drawn from the model's predictions.
    pub sampled: Option<CompanionCost>,
    /// Second derivatives of the mean training loss.
    #[serde(default)]
    pub hessian: Option<HessianInfo>,
    /// Gradients along the fine-tune.
    pub checkpoints: Option<CheckpointInfo>,
    /// Hidden states of the last layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_states: Option<CompanionCost>,
}

/// Cost of a companion of the gradients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompanionCost {
    /// Wall time; of factors their share of it: what the threads spent on them over the number of threads.
    pub seconds: f64,
    /// Size.
    pub bytes: u64,
}

/// The Hessian of the mean training loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HessianInfo {
    /// Wall time.
    pub seconds: f64,
    /// Size.
    pub bytes: u64,
    /// ‖H − Hᵀ‖/‖H‖ as computed, the largest over blocks: the error of H as far as it can be seen.
    pub asymmetry: f64,
}

/// Checkpoints of the fine-tune.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointInfo {
    /// Wall time of the gradients at all of them.
    pub seconds: f64,
    /// Size of these gradients, training and query examples together.
    pub bytes: u64,
    /// The epochs after which they were kept.
    pub epochs: Vec<usize>,
    /// η of each: the mean learning rate since the one before.
    pub learning_rates: Vec<f64>,
}

/// One block of the Fisher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockInfo {
    /// Name.
    pub name: String,
    /// Size d_l.
    pub dim: usize,
    /// Damping λ_l.
    pub lambda: f64,
}

/// Differences of one metric between the methods of a cell, with queries, examples or subsets resampled together for both
/// methods of a pair: what one fine-tune can tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairingInfo {
    /// The metric.
    pub metric: String,
    /// What is resampled, in words.
    pub over: String,
    /// Labels of the methods, in the order of the rows.
    pub methods: Vec<String>,
    /// Row i has a number for each of the methods before i: value of i less that of the other; `null` where either is
    /// undefined.
    pub differences: Vec<Vec<Option<f64>>>,
    /// Standard errors of the differences.
    pub errors: Vec<Vec<Option<f64>>>,
}

/// One method on one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodRecord {
    /// The string given in the settings, e.g. `datainf:group_size=8`; unique in the cell.
    pub label: String,
    /// The method's name without options, e.g. `datainf`.
    pub name: String,
    /// `ok` or `failed`. A method that failed only when a model was trained on what it selects keeps its times,
    /// evidence and metrics.
    pub status: Status,
    /// Why it failed.
    pub error: Option<String>,
    /// Wall time by stage; `null` when it failed to score.
    pub seconds: Option<StageSeconds>,
    /// Peak memory by stage, above what was resident before; `null` when the allocator does not count.
    pub peak_bytes: Option<StageBytes>,
    /// Operations by the formula of the method's cost; `null` when it failed to score, and in records from before they
    /// were kept.
    #[serde(default)]
    pub operations: Option<f64>,
    /// Bytes of the training gradients fetched from the store over all stages: over the size of the
    /// gradients, the passes that the method made. `null` when it failed to score, and in records from before it
    /// was counted.
    #[serde(default)]
    pub bytes_read: Option<u64>,
    /// What the solver says of its own answer.
    pub evidence: SolverDiagnostics,
    /// Scores that are NaN or infinite.
    pub non_finite: usize,
    /// The metrics.
    pub metrics: Vec<MetricValue>,
    /// Curves for figures.
    pub curves: Vec<Curve>,
}

impl Record {
    /// Whether the cell and all its methods are finished.
    pub fn is_whole(&self) -> bool {
        let mut methods = self.methods.iter();
        self.status == Status::Ok && methods.all(|method| method.status == Status::Ok)
    }
}

impl MethodRecord {
    /// Whether the method has scores, and so metrics. A method that failed only afterwards, when a model was trained
    /// on what it selects, has them too.
    pub fn has_scores(&self) -> bool {
        self.status == Status::Ok || self.seconds.is_some()
    }

    /// Whether its scores may be the reference of the other methods: exact influence that converged in every block.
    pub fn may_be_reference(&self) -> bool {
        self.name == "exact" && self.has_scores() && self.evidence.not_converged == 0
    }
}
