//! `task:` which data, and what is known about it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::input::quote;

/// The data of an experiment: `task: digits`, or with options `task: {name: digits, flip: 0.2}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum TaskConfig {
    /// Synthetic gradient matrices, no model: for theory and scaling.
    Gradients(GradientsTask),
    /// Synthetic classification: Gaussian clusters labelled by a frozen teacher.
    Clusters(ClustersTask),
    /// The 1,797 handwritten digits (8×8) of the UCI optical recognition set, in patches.
    Digits(DigitsTask),
    /// Ten sentence transformations; classify which one was applied.
    Sentences(SentencesTask),
    /// A task of the GLUE benchmark, from files; needs `model: {name: checkpoint, path: …}`.
    Glue(GlueTask),
}

impl TaskConfig {
    /// The name in the YAML.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Gradients(_) => "gradients",
            Self::Clusters(_) => "clusters",
            Self::Digits(_) => "digits",
            Self::Sentences(_) => "sentences",
            Self::Glue(_) => "glue",
        }
    }
}

/// Synthetic gradients with the shape real LoRA gradients have: power-law spectrum, log-normal
/// norms, a few shared directions, and a shift for the examples whose label is flipped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GradientsTask {
    /// Training examples (rows), ≥ 1.
    #[schemars(range(min = 1))]
    pub train: usize,
    /// Query examples (rows), ≥ 1.
    #[schemars(range(min = 1))]
    pub query: usize,
    /// Number of blocks, ≥ 1.
    #[schemars(range(min = 1))]
    pub blocks: usize,
    /// Size of each block, ≥ 1.
    #[schemars(range(min = 1))]
    pub dim: usize,
    /// Power-law exponent p of the covariance spectrum: eigenvalue j is proportional to j^−p. 0 is white.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub spectrum_decay: f64,
    /// Standard deviation of the logarithm of the examples' norms; 0 makes all alike.
    #[schemars(range(min = 0.0, max = 5.0))]
    pub norm_tail: f64,
    /// Class-mean directions shared by the examples of a class.
    pub shared_directions: usize,
    /// Length of the shared component relative to the rest.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub shared_strength: f64,
    /// Share of the training examples whose label is flipped: they move against their class's direction.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub flip: f64,
    /// Length of the flipped examples' label-dependent shift, relative to the rest.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub label_shift: f64,
    /// Overall scale of the gradients.
    #[schemars(range(min = 1e-12, max = 1e12))]
    pub scale: f64,
}

impl Default for GradientsTask {
    fn default() -> Self {
        Self {
            train: 1000,
            query: 50,
            blocks: 4,
            dim: 256,
            spectrum_decay: 1.0,
            norm_tail: 0.5,
            shared_directions: 2,
            shared_strength: 0.5,
            flip: 0.2,
            label_shift: 0.5,
            scale: 0.1,
        }
    }
}

/// Points of Gaussian clusters; the label is what a frozen random teacher network says of a point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClustersTask {
    /// Training examples, ≥ 1.
    #[schemars(range(min = 1))]
    pub train: usize,
    /// Query (validation) examples, ≥ 1.
    #[schemars(range(min = 1))]
    pub query: usize,
    /// Dimension of a point, ≥ 1.
    #[schemars(range(min = 1))]
    pub features: usize,
    /// Classes, ≥ 2.
    #[schemars(range(min = 2))]
    pub classes: usize,
    /// Distance between cluster centres in units of a cluster's standard deviation.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub separation: f64,
    /// `teacher`: a random frozen network labels the points; `cluster`: the label is the cluster.
    pub labels: ClusterLabels,
    /// Share of the training labels flipped uniformly to another class.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub flip: f64,
}

/// Who labels a point of [`ClustersTask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClusterLabels {
    /// The cluster that the point was drawn from.
    Cluster,
    /// The arg-max of a frozen random two-layer network.
    Teacher,
}

impl Default for ClustersTask {
    fn default() -> Self {
        Self {
            train: 1000,
            query: 200,
            features: 16,
            classes: 4,
            separation: 3.0,
            labels: ClusterLabels::Cluster,
            flip: 0.2,
        }
    }
}

/// Handwritten digits. The base model is pretrained on 0–4 (`pretrain` of the model), frozen, and
/// LoRA-fine-tuned on other digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DigitsTask {
    /// Fine-tune on the digits 5–9 (`new`) or on all ten (`all`).
    pub classes: DigitClasses,
    /// Training examples; `new` has 896 digits, `all` has 1,797, shared with `query`.
    #[schemars(range(min = 1, max = 1796))]
    pub train: usize,
    /// Query (validation) examples.
    #[schemars(range(min = 1, max = 1796))]
    pub query: usize,
    /// Side of a square patch in pixels: 1, 2, 4 or 8; an image becomes (8/side)² tokens.
    pub patch: usize,
    /// Share of the training labels flipped uniformly to another class.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub flip: f64,
}

/// Which digits are fine-tuned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DigitClasses {
    /// 5–9: five classes that the pretraining has not seen.
    New,
    /// All ten.
    All,
}

impl Default for DigitsTask {
    fn default() -> Self {
        Self {
            classes: DigitClasses::New,
            train: 600,
            query: 200,
            patch: 2,
            flip: 0.2,
        }
    }
}

/// Sentences under one of ten transformations (reverse the words, capitalise every other letter, …),
/// from our own generator; classify the transformation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SentencesTask {
    /// Training examples, spread evenly over the ten classes.
    #[schemars(range(min = 1))]
    pub train: usize,
    /// Query examples, spread evenly over the ten classes.
    #[schemars(range(min = 1))]
    pub query: usize,
    /// Tokens are characters or words.
    pub level: TokenLevel,
    /// Longest sequence in tokens; longer ones are cut.
    #[schemars(range(min = 8, max = 512))]
    pub max_length: usize,
    /// Share of the training labels flipped uniformly to another class.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub flip: f64,
}

/// Unit of tokenisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenLevel {
    /// One token a character.
    Char,
    /// One token a word.
    Word,
}

impl Default for SentencesTask {
    fn default() -> Self {
        Self {
            train: 900,
            query: 100,
            level: TokenLevel::Char,
            max_length: 64,
            flip: 0.0,
        }
    }
}

/// Real sentences and pairs of sentences with two classes: `task: {name: glue, task: mrpc, path: FOLDER}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlueTask {
    /// Which task.
    pub task: GlueName,
    /// Folder with `train` and `validation` (or `dev`) as .jsonl or .parquet (the hub's field names;
    /// shards as `train-00000-of-00001.parquet`) or .tsv (the original archive's), or a folder that
    /// holds the task's under a usual name: `mrpc`, `MRPC`, `glue_mrpc` or `glue_mrpc_*`. Relative to
    /// the folder that infbench is started in. Without a validation file the query examples are drawn
    /// from the training file.
    pub path: PathBuf,
    /// Training examples, drawn by the seed. Default: all; 4500 where there are more than 4500 and more
    /// than 500 query examples, as in the paper.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub train: Option<usize>,
    /// Query (validation) examples, drawn by the seed. Default: all; 500 where `train` is 4500 by default.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub query: Option<usize>,
    /// Share of the training labels flipped to the other class.
    #[serde(default = "glue_flip")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub flip: f64,
    /// Longest sequence in tokens, special ones included; the longer text of a pair is cut first.
    #[serde(default = "glue_max_length")]
    #[schemars(range(min = 8))]
    pub max_length: usize,
}

/// The paper's share of flipped labels.
fn glue_flip() -> f64 {
    0.2
}

/// The paper's length.
fn glue_max_length() -> usize {
    128
}

/// A task of GLUE with two classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GlueName {
    /// Microsoft Research paraphrase corpus: do two sentences say the same?
    Mrpc,
    /// Quora question pairs: do two questions ask the same?
    Qqp,
    /// Stanford sentiment treebank: is a phrase positive?
    Sst2,
    /// Winograd schemas: does the sentence with the pronoun replaced follow?
    Wnli,
    /// Recognising textual entailment.
    Rte,
    /// Corpus of linguistic acceptability: is a sentence grammatical?
    Cola,
    /// Question answering: does the sentence answer the question?
    Qnli,
}

impl GlueName {
    /// Every task.
    pub const ALL: [Self; 7] = [
        Self::Mrpc,
        Self::Qqp,
        Self::Sst2,
        Self::Wnli,
        Self::Rte,
        Self::Cola,
        Self::Qnli,
    ];

    /// The name in the YAML.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mrpc => "mrpc",
            Self::Qqp => "qqp",
            Self::Sst2 => "sst2",
            Self::Wnli => "wnli",
            Self::Rte => "rte",
            Self::Cola => "cola",
            Self::Qnli => "qnli",
        }
    }
}

impl std::str::FromStr for GlueName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|task| task.name() == text);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("unknown task `{}`; allowed: {names}", quote(text))
        })
    }
}
