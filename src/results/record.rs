//! The versioned record of one cell: everything a figure or a reader needs, nothing recomputed.
//!
//! Times are seconds, sizes are bytes. A missing number is `null`, never 0.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::decomposition::DecompositionFacts;
use crate::influence::Evidence;
use crate::measure::{StageBytes, StageSeconds};
use crate::metrics::{Curve, MetricValue};

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
    pub cell: CellFacts,
    /// `ok`, or `failed` with `error` saying why; a failed cell has no gradients and no methods.
    pub status: Status,
    /// Why the cell failed.
    pub error: Option<String>,
    /// The resolved settings of this cell (every default filled in).
    pub config: Value,
    /// Where and with what it was computed.
    pub provenance: Provenance,
    /// Facts of the task.
    pub task: Option<TaskFacts>,
    /// Facts of the model; `null` when the task has none.
    pub model: Option<ModelFacts>,
    /// The fine-tune; `null` when the task has no model.
    pub training: Option<TrainingFacts>,
    /// The gradients that all methods of the cell share.
    pub gradients: Option<GradientFacts>,
    /// What retraining found; not there when the settings ask for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ground_truth: Option<GroundTruthFacts>,
    /// One entry a method, in the order of the settings.
    pub methods: Vec<MethodRecord>,
    /// Exact influences that failed or did not converge, and why. They are no reference: the metrics against them have no
    /// value, and all their cases count as undefined.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_reference: Vec<String>,
    /// Differences between methods within this cell; not there in records from before they were kept, and of a cell
    /// with one method.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pairing: Vec<PairingFacts>,
}

/// Position of a cell in its grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellFacts {
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

/// Facts of the task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskFacts {
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
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Facts of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// Name, e.g. `transformer`.
    pub name: String,
    /// All parameters.
    pub parameters: usize,
    /// Trained parameters: adapters and head.
    pub trainable: usize,
    /// Layers of the network.
    pub layers: usize,
    /// Layers that carry an adapter.
    pub adapted_layers: usize,
    /// Commit of a checkpoint that was given by its id on the hub.
    #[serde(default)]
    pub commit: Option<String>,
    /// Dropout outside the adapters while fine-tuning; not there in records from before it was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_dropout: Option<BaseDropoutFacts>,
}

/// Probabilities of dropout outside the adapters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaseDropoutFacts {
    /// Of embeddings, attention outputs and feed-forward outputs.
    pub hidden: f64,
    /// Of attention weights.
    pub attention: f64,
    /// Of the classifier's inputs.
    pub classifier: f64,
}

/// The fine-tune.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingFacts {
    /// Wall time; of the original run when it came from the cache.
    pub seconds: f64,
    /// Whether it was read from the cache.
    pub cached: bool,
    /// One entry an epoch.
    pub epochs: Vec<EpochFacts>,
}

/// One epoch of the fine-tune.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochFacts {
    /// From 1.
    pub epoch: usize,
    /// Mean training loss over the epoch (dropout on), nats.
    pub train_loss: f64,
    /// Mean query loss after the epoch, nats.
    pub query_loss: f64,
    /// Query accuracy after the epoch, 0–1; `null` for an objective that knows none.
    pub query_accuracy: Option<f64>,
}

/// The gradients of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GradientFacts {
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
    pub blocks: Vec<BlockFacts>,
    /// What was collected beside the gradients because a method needs it; not in `seconds` and `bytes`.
    #[serde(default)]
    pub companions: CompanionFacts,
}

/// What was collected beside the gradients; `null` for what no method of the cell needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CompanionFacts {
    /// Kronecker factors, in the same pass as the training gradients.
    pub factors: Option<CompanionCost>,
    /// Gradients and Kronecker factors at labels drawn from the model's predictions.
    pub sampled: Option<CompanionCost>,
    /// Second derivatives of the mean training loss.
    #[serde(default)]
    pub hessian: Option<HessianFacts>,
    /// Gradients along the fine-tune.
    pub checkpoints: Option<CheckpointFacts>,
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
pub struct HessianFacts {
    /// Wall time.
    pub seconds: f64,
    /// Size.
    pub bytes: u64,
    /// ‖H − Hᵀ‖/‖H‖ as computed, the largest over blocks: the error of H as far as it can be seen.
    pub asymmetry: f64,
}

/// Checkpoints of the fine-tune.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointFacts {
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
pub struct BlockFacts {
    /// Name.
    pub name: String,
    /// Size d_l.
    pub dim: usize,
    /// Damping λ_l.
    pub lambda: f64,
}

/// What retraining found, whatever the method.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroundTruthFacts {
    /// Wall time of the retrainings that do not depend on a method and were not in the cache.
    pub seconds: f64,
    /// Without one example.
    pub leave_one_out: Option<LeaveOneOutFacts>,
    /// On random subsets, one entry a share.
    pub subsets: Vec<SubsetFacts>,
    /// Selection and removal with all examples and with random choices; those of a method stand with it.
    pub curves: Vec<Curve>,
    /// The gaps between methods and retraining, in parts; not there when the settings ask for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decomposition: Option<DecompositionFacts>,
}

/// Retraining without one example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeaveOneOutFacts {
    /// Examples left out.
    pub examples: usize,
    /// Retrainings without each.
    pub seeds: usize,
    /// Least ratio of signal to noise of a query.
    pub min_snr: f64,
    /// Ratio of signal to noise (variances) of every query; `null` where there is no noise at all.
    pub snr: Vec<Option<f64>>,
    /// Correlation that the expected truth has with the measured one, mean over queries.
    pub ceiling: MetricValue,
}

/// Retraining on random subsets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubsetFacts {
    /// Share of the examples that a subset keeps, percent.
    pub percent: u32,
    /// Subsets.
    pub subsets: usize,
    /// Retrainings on each.
    pub seeds: usize,
    /// Spearman's ρ over subsets between the mean losses of two halves of the seeds.
    pub split_half: MetricValue,
    /// The score that a method would have that predicts every expected loss.
    pub ceiling: MetricValue,
}

/// Differences of one metric between the methods of a cell, with queries, examples or subsets resampled together for both
/// methods of a pair: what one fine-tune can tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairingFacts {
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
    pub evidence: Evidence,
    /// Scores that are NaN or infinite.
    pub non_finite: usize,
    /// The metrics.
    pub metrics: Vec<MetricValue>,
    /// Curves for figures.
    pub curves: Vec<Curve>,
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
