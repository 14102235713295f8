//! The experiment file of `infbench theory` as written, and its JSON schema.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::influence::Blocks;
use crate::tasks::GradientsTask;

/// An experiment file, with gradients of kind `G`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTheoryConfig<G> {
    /// Name; results go to `runs/<name>` unless `--out` says otherwise. Letters (A to Z), digits, `-`, `_`, and `.` inside;
    /// at most 100 characters.
    #[schemars(regex(pattern = crate::config::name::PATTERN))]
    pub(super) name: String,
    /// What the experiment asks.
    #[serde(default)]
    pub(super) description: String,
    /// Every setting runs once with each seed. Stored gradients have one run.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(super) seeds: Option<Vec<u64>>,
    /// Which claims, by name (`infbench list claims`). Default: all.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(super) claims: Option<Vec<String>>,
    /// The gradients: the settings of the task `gradients`, or `{path: …}`.
    pub(super) gradients: G,
    /// c in λ = c · tr(F)/d of each block.
    #[serde(default = "damping")]
    #[schemars(range(min = 1e-12, max = 1e12))]
    pub(super) damping: f64,
    /// Settings that are varied, each with its values.
    #[serde(default)]
    pub(super) vary: Vary,
    /// How they are combined.
    #[serde(default)]
    pub(super) combine: Combine,
    /// Sizes at which time and memory are measured (the claim `complexity`).
    #[serde(default)]
    pub(super) complexity: Option<ComplexitySizes>,
}

fn damping() -> f64 {
    0.1
}

/// Settings that are varied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Vary {
    /// Examples n; of stored gradients the first so many.
    #[schemars(length(min = 1), inner(range(min = 1)))]
    pub(super) train: Option<Vec<usize>>,
    /// Size d of a block; of stored gradients so many columns, evenly spaced.
    #[schemars(length(min = 1), inner(range(min = 1)))]
    pub(super) dim: Option<Vec<usize>>,
    /// c in λ = c · tr(F)/d.
    #[schemars(length(min = 1), inner(range(min = 1e-12, max = 1e12)))]
    pub(super) damping: Option<Vec<f64>>,
    /// Exponent of the spectrum; synthetic gradients only.
    #[schemars(length(min = 1), inner(range(min = 0.0, max = 10.0)))]
    pub(super) spectrum_decay: Option<Vec<f64>>,
    /// Spread of the logarithm of the norms; synthetic gradients only.
    #[schemars(length(min = 1), inner(range(min = 0.0, max = 5.0)))]
    pub(super) norm_tail: Option<Vec<f64>>,
}

/// How varied settings are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Combine {
    /// Each by itself, the others as in `gradients` and `damping`.
    #[default]
    OneAtATime,
    /// Every combination.
    All,
}

/// Gradients of a real run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoredGradients {
    /// Training gradients: safetensors, one `[n, ...]` tensor a matrix. Relative to the folder that infbench is
    /// started in.
    pub path: PathBuf,
    /// Query gradients of the same tensors. Default: the training gradients are the queries.
    #[serde(default)]
    pub query: Option<PathBuf>,
    /// What one block is.
    #[serde(default)]
    pub blocks: Blocks,
    /// The first so many examples. Default: all.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub train: Option<usize>,
    /// So many columns of each block, evenly spaced; blocks with fewer keep theirs. Default: all.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub dim: Option<usize>,
}

/// Sizes at which time and memory are measured; along each list the others are held at their middle value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComplexitySizes {
    /// Examples n, at least three values.
    #[schemars(length(min = 3), inner(range(min = 1)))]
    pub train: Vec<usize>,
    /// Sizes d of a block, at least three values.
    #[schemars(length(min = 3), inner(range(min = 1)))]
    pub dim: Vec<usize>,
    /// Numbers of blocks L, at least three values.
    #[schemars(length(min = 3), inner(range(min = 1)))]
    pub blocks: Vec<usize>,
    /// Runs of each, of which the median time counts.
    #[serde(default = "repeats")]
    #[schemars(range(min = 1, max = 1000))]
    pub repeats: usize,
}

fn repeats() -> usize {
    3
}

/// JSON schema (draft 2020-12) of an experiment file, for editors: gradients of either kind, and what stored ones cannot
/// have.
pub fn schema() -> Value {
    let of =
        |schema: schemars::Schema| serde_json::to_value(schema).expect("a schema is plain JSON");
    let mut schema = of(schemars::schema_for!(RawTheoryConfig<GradientsTask>));
    let stored = of(schemars::schema_for!(RawTheoryConfig<StoredGradients>));
    let both = [&schema, &stored].map(|schema| schema["properties"]["gradients"].clone());
    let description = both[0]["description"].clone();
    let kinds = both.map(|kind| serde_json::json!({ "$ref": kind["$ref"] }));
    if let (Value::Object(all), Value::Object(more)) = (&mut schema["$defs"], &stored["$defs"]) {
        all.extend(more.iter().map(|(name, kind)| (name.clone(), kind.clone())));
    }
    schema["title"] = "Theory experiment".into();
    schema["description"] = "An experiment of `infbench theory`.".into();
    schema["properties"]["gradients"] =
        serde_json::json!({ "description": description, "oneOf": kinds });
    // see [`super::parse`]
    schema["if"] = serde_json::json!({ "properties": { "gradients": { "required": ["path"] } } });
    schema["then"] = serde_json::json!({ "properties": {
        "seeds": false,
        "vary": { "properties": { "spectrum_decay": false, "norm_tail": false } },
    } });
    schema
}
