//! The experiment of `infbench theory`: on which gradients, at which settings, the claims are checked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::conform;
use super::document::{Document, Path};
use super::error::ConfigError;
use crate::influence::Blocks;
use crate::input::Problem;
use crate::tasks::GradientsTask;
use crate::theory::infos;

/// An experiment file, with gradients of kind `G`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written<G> {
    /// Name; results go to `runs/<name>` unless `--out` says otherwise. Letters (A to Z), digits, `-`, `_`, and `.` inside;
    /// at most 100 characters.
    #[schemars(regex(pattern = super::name::PATTERN))]
    name: String,
    /// What the experiment asks.
    #[serde(default)]
    description: String,
    /// Every setting runs once with each seed. Stored gradients have one run.
    #[serde(default)]
    #[schemars(length(min = 1))]
    seeds: Option<Vec<u64>>,
    /// Which claims, by name (`infbench list claims`). Default: all.
    #[serde(default)]
    #[schemars(length(min = 1))]
    claims: Option<Vec<String>>,
    /// The gradients: the settings of the task `gradients`, or `{path: …}`.
    gradients: G,
    /// c in λ = c · tr(F)/d of each block.
    #[serde(default = "damping")]
    #[schemars(range(min = 1e-12, max = 1e12))]
    damping: f64,
    /// Settings that are varied, each with its values.
    #[serde(default)]
    vary: Vary,
    /// How they are combined.
    #[serde(default)]
    combine: Combine,
    /// Sizes at which time and memory are measured (the claim `complexity`).
    #[serde(default)]
    complexity: Option<ComplexitySizes>,
}

fn damping() -> f64 {
    0.1
}

/// Settings that are varied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Vary {
    /// Examples n; of stored gradients the first so many.
    #[schemars(length(min = 1), inner(range(min = 1)))]
    train: Option<Vec<usize>>,
    /// Size d of a block; of stored gradients so many columns, evenly spaced.
    #[schemars(length(min = 1), inner(range(min = 1)))]
    dim: Option<Vec<usize>>,
    /// c in λ = c · tr(F)/d.
    #[schemars(length(min = 1), inner(range(min = 1e-12, max = 1e12)))]
    damping: Option<Vec<f64>>,
    /// Exponent of the spectrum; synthetic gradients only.
    #[schemars(length(min = 1), inner(range(min = 0.0, max = 10.0)))]
    spectrum_decay: Option<Vec<f64>>,
    /// Spread of the logarithm of the norms; synthetic gradients only.
    #[schemars(length(min = 1), inner(range(min = 0.0, max = 5.0)))]
    norm_tail: Option<Vec<f64>>,
}

/// How varied settings are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
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

/// Where gradients come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Source {
    /// Drawn.
    Synthetic(GradientsTask),
    /// Read.
    Stored(StoredGradients),
}

/// One setting of the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The gradients.
    pub source: Source,
    /// c.
    pub damping: f64,
    /// What can be varied, and its value here: what is not known before the file is read is absent.
    pub axes: BTreeMap<&'static str, f64>,
}

/// A checked experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct TheoryPlan {
    /// Name.
    pub name: String,
    /// What it asks.
    pub description: String,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// The claims, by name.
    pub claims: Vec<&'static str>,
    /// The setting that the others vary.
    pub base: Setting,
    /// The grid, `base` first.
    pub settings: Vec<Setting>,
    /// The varied settings and their values, in the order of [`Setting::axes`].
    pub varied: Vec<(&'static str, Vec<f64>)>,
    /// Sizes for `complexity`.
    pub complexity: Option<ComplexitySizes>,
}

/// Reads the text of an experiment; `file` is how errors name it.
///
/// # Errors
/// The first wrong setting, with its place.
pub fn parse(file: &str, text: &str) -> Result<TheoryPlan, Box<ConfigError>> {
    let document = Document::parse(file, text)?;
    let stored = document
        .get(&at("gradients.path"))
        .or_else(|| {
            document
                .get(&at("gradients.query"))
                .filter(|v| v.is_string())
        })
        .is_some();
    if stored {
        let written: Written<StoredGradients> = typed(&document)?;
        for axis in ["spectrum_decay", "norm_tail"] {
            let path = at(&format!("vary.{axis}"));
            if document.get(&path).is_some_and(|v| !v.is_null()) {
                let problem = Problem::new(
                    "stored gradients have what they have; allowed to vary: train, dim, damping",
                );
                return Err(document.error(&path, true, problem));
            }
        }
        if written.seeds.is_some() {
            let problem = Problem::new("stored gradients are not drawn: a seed would do nothing");
            return Err(document.error(&at("seeds"), true, problem));
        }
        let source = Source::Stored(written.gradients.clone());
        plan(&document, written, source)
    } else {
        let written: Written<GradientsTask> = typed(&document)?;
        let source = Source::Synthetic(written.gradients.clone());
        plan(&document, written, source)
    }
}

/// JSON schema (draft 2020-12) of an experiment file, for editors: gradients of either kind, and what stored ones cannot
/// have.
pub fn schema() -> Value {
    let of =
        |schema: schemars::Schema| serde_json::to_value(schema).expect("a schema is plain JSON");
    let mut schema = of(schemars::schema_for!(Written<GradientsTask>));
    let stored = of(schemars::schema_for!(Written<StoredGradients>));
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
    // see [`parse`]
    schema["if"] = serde_json::json!({ "properties": { "gradients": { "required": ["path"] } } });
    schema["then"] = serde_json::json!({ "properties": {
        "seeds": false,
        "vary": { "properties": { "spectrum_decay": false, "norm_tail": false } },
    } });
    schema
}

fn at(path: &str) -> Path {
    path.split('.').map(str::to_owned).collect()
}

fn typed<G: JsonSchema + DeserializeOwned>(
    document: &Document,
) -> Result<Written<G>, Box<ConfigError>> {
    let schema =
        serde_json::to_value(schemars::schema_for!(Written<G>)).expect("a schema is plain JSON");
    conform::check(&schema, &document.value)
        .map_err(|misfit| document.error(&misfit.path, misfit.at_key, misfit.problem))?;
    serde_json::from_value(document.value.clone())
        .map_err(|e| document.error(&[], false, Problem::new(e.to_string())))
}

fn plan<G>(
    document: &Document,
    written: Written<G>,
    source: Source,
) -> Result<TheoryPlan, Box<ConfigError>> {
    let names: Vec<&'static str> = infos().map(|info| info.name).collect();
    let claims = match &written.claims {
        None => names.clone(),
        Some(asked) => {
            for (index, name) in asked.iter().enumerate() {
                let path = [at("claims"), vec![index.to_string()]].concat();
                if !names.contains(&name.as_str()) {
                    let problem = Problem::unknown("claim", name, names.iter().copied());
                    return Err(document.error(&path, false, problem));
                }
                if asked[..index].contains(name) {
                    let problem = Problem::new(format!("`{name}` is given twice"));
                    return Err(document.error(&path, false, problem));
                }
            }
            names
                .iter()
                .copied()
                .filter(|name| asked.iter().any(|asked| asked == name))
                .collect()
        }
    };
    let base = Setting {
        axes: axes(&source, written.damping),
        source,
        damping: written.damping,
    };
    let count = |list: Option<Vec<usize>>| {
        list.map(|list| list.into_iter().map(|value| value as f64).collect())
    };
    let vary = written.vary;
    let lists: [(&'static str, Option<Vec<f64>>); 5] = [
        ("train", count(vary.train)),
        ("dim", count(vary.dim)),
        ("damping", vary.damping),
        ("spectrum_decay", vary.spectrum_decay),
        ("norm_tail", vary.norm_tail),
    ];
    let mut varied = Vec::new();
    for (axis, list) in lists {
        let Some(list) = list else { continue };
        for (index, value) in list.iter().enumerate() {
            if list[..index].contains(value) {
                let path = [at(&format!("vary.{axis}")), vec![index.to_string()]].concat();
                let problem = Problem::new(format!("{value} is given twice"));
                return Err(document.error(&path, false, problem));
            }
        }
        varied.push((axis, list));
    }
    let mut settings = vec![base.clone()];
    match written.combine {
        Combine::OneAtATime => {
            for (axis, list) in &varied {
                settings.extend(list.iter().map(|value| base.with(axis, *value)));
            }
        }
        Combine::All => {
            let mut grid = vec![base.clone()];
            for (axis, list) in &varied {
                grid = grid
                    .iter()
                    .flat_map(|setting| list.iter().map(move |value| setting.with(axis, *value)))
                    .collect();
            }
            settings.extend(grid);
        }
    }
    let mut distinct: Vec<Setting> = Vec::new();
    for setting in settings {
        if !distinct.contains(&setting) {
            distinct.push(setting);
        }
    }
    Ok(TheoryPlan {
        name: written.name,
        description: written.description,
        seeds: written.seeds.unwrap_or_else(|| vec![0]),
        claims,
        base,
        settings: distinct,
        varied,
        complexity: written.complexity,
    })
}

fn axes(source: &Source, damping: f64) -> BTreeMap<&'static str, f64> {
    let mut axes = BTreeMap::from([("damping", damping)]);
    match source {
        Source::Synthetic(task) => {
            axes.insert("train", task.train as f64);
            axes.insert("dim", task.dim as f64);
            axes.insert("spectrum_decay", task.spectrum_decay);
            axes.insert("norm_tail", task.norm_tail);
        }
        Source::Stored(stored) => {
            let known = [("train", stored.train), ("dim", stored.dim)];
            axes.extend(known.into_iter().filter_map(|(k, v)| Some((k, v? as f64))));
        }
    }
    axes
}

impl Setting {
    /// The setting with one axis at another value.
    fn with(&self, axis: &str, value: f64) -> Self {
        let (mut source, mut damping) = (self.source.clone(), self.damping);
        match (axis, &mut source) {
            ("damping", _) => damping = value,
            ("train", Source::Synthetic(task)) => task.train = value as usize,
            ("train", Source::Stored(stored)) => stored.train = Some(value as usize),
            ("dim", Source::Synthetic(task)) => task.dim = value as usize,
            ("dim", Source::Stored(stored)) => stored.dim = Some(value as usize),
            ("spectrum_decay", Source::Synthetic(task)) => task.spectrum_decay = value,
            ("norm_tail", Source::Synthetic(task)) => task.norm_tail = value,
            _ => unreachable!("the axes are listed above"),
        }
        Self {
            axes: axes(&source, damping),
            source,
            damping,
        }
    }

    /// The settings as plain JSON, for the results.
    pub fn to_json(&self) -> Value {
        serde_json::json!({ "gradients": self.source, "damping": self.damping })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "name: t\ngradients: {train: 8, dim: 16}\n";

    fn plan(extra: &str) -> TheoryPlan {
        parse("t.yaml", &format!("{BASE}{extra}")).unwrap()
    }

    fn error(text: &str) -> String {
        format!(
            "{:?}",
            miette::Report::from(*parse("t.yaml", text).unwrap_err())
        )
    }

    #[test]
    fn one_at_a_time_or_all_together() {
        let vary = "vary: {dim: [16, 32], damping: [0.1, 1.0, 10.0]}\n";
        // the base is in both lists
        assert_eq!(plan(vary).settings.len(), 1 + 1 + 2);
        let all = plan(&format!("{vary}combine: all\n"));
        assert_eq!(all.settings.len(), 6);
        assert_eq!(all.settings[0], all.base);
        assert_eq!(all.varied.len(), 2);
        assert_eq!(plan("").claims.len(), infos().count());
    }

    #[test]
    fn the_schema_has_both_kinds_of_gradients_and_no_loose_ends() {
        let schema = schema();
        let kinds = schema["properties"]["gradients"]["oneOf"]
            .as_array()
            .unwrap();
        assert_eq!(kinds.len(), 2);
        for (kind, field) in kinds.iter().zip(["spectrum_decay", "query"]) {
            let pointer = kind["$ref"].as_str().unwrap().trim_start_matches('#');
            let kind = schema.pointer(pointer).unwrap();
            assert!(kind["properties"].get(field).is_some(), "{kind}");
            assert_eq!(kind["additionalProperties"], false);
        }
        // every reference is there
        let text = schema.to_string();
        for name in text.split("#/$defs/").skip(1) {
            let name = name.split('"').next().unwrap();
            assert!(schema["$defs"].get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn stored_gradients_are_told_by_their_path() {
        let plan = parse(
            "t.yaml",
            "name: t\ngradients: {path: g.safetensors}\nvary: {train: [4, 8]}\n",
        )
        .unwrap();
        assert!(matches!(plan.base.source, Source::Stored(_)));
        assert_eq!(plan.settings.len(), 3);
        assert_eq!(plan.settings[1].axes["train"], 4.0);
    }

    #[test]
    fn mistakes_say_what_is_allowed() {
        for (text, parts) in [
            (
                "name: t\ngradients: {trian: 8}\n",
                vec![
                    "t.yaml:2:13",
                    "unknown field `trian`",
                    "did you mean `train`",
                ],
            ),
            (
                "name: t\ngradients: {path: x, blokcs: whole}\n",
                vec![
                    "t.yaml:2:22",
                    "unknown field `blokcs`",
                    "did you mean `blocks`",
                ],
            ),
            (
                "name: t\ngradients: {}\nclaims: [jensen, celing]\n",
                vec![
                    "t.yaml:3:18",
                    "unknown claim `celing`",
                    "did you mean `ceiling`",
                ],
            ),
            (
                "name: t\ngradients: {}\nclaims: [jensen, jensen]\n",
                vec!["t.yaml:3:18", "given twice"],
            ),
            (
                "name: t\ngradients: {}\nvary: {rank: [1]}\n",
                vec!["t.yaml:3:8", "unknown field `rank`", "spectrum_decay"],
            ),
            (
                "name: t\ngradients: {}\nvary: {damping: [0.1, -1]}\n",
                vec!["t.yaml:3:23"],
            ),
            (
                "name: t\ngradients: {}\nvary: {dim: [8, 8]}\n",
                vec!["t.yaml:3:17", "given twice"],
            ),
            (
                "name: t\ngradients: {path: x}\nvary: {norm_tail: [0.5]}\n",
                vec!["t.yaml:3:8", "stored gradients"],
            ),
            (
                "name: t\ngradients: {path: x}\nseeds: [1]\n",
                vec!["t.yaml:3:1", "would do nothing"],
            ),
            ("name: t\n", vec!["the field `gradients` is missing"]),
            (
                "name: t\ngradients: {}\ncomplexity: {train: [8, 16], dim: [1, 2, 3], blocks: [1, 2, 3]}\n",
                vec!["t.yaml:3:21", "at least 3"],
            ),
        ] {
            let message = error(text);
            for part in parts {
                assert!(message.contains(part), "{text}: {part}\n{message}");
            }
        }
    }
}
