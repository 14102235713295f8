//! From a document to its grid of checked cells.

use serde_json::{Map, Value, json};

use super::check;
use super::conform;
use super::document::{self, Document, Path};
use super::error::ConfigError;
use super::experiment::{Cell, Experiment, Outputs, Settings};
use super::profile;
use super::resolve::{Resolve, Unresolved};
use super::{ModelConfig, schema};
use crate::input::{Problem, quote};
use crate::models::lora::settings::TargetModules;
use crate::models::{MlpConfig, TransformerConfig};
use crate::results::record::SCHEMA;
use crate::tasks::Reads;

/// Most cells of an experiment.
const MOST_CELLS: usize = 10_000;

/// A checked experiment: every cell can run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The experiment's name.
    pub name: String,
    /// The profile that was chosen; `None` when the file has none.
    pub profile: Option<String>,
    /// What it asks.
    pub description: String,
    /// What is written beside the records.
    pub outputs: Outputs,
    /// The cells: seeds outermost, then the axes in the order of the file, the last one fastest.
    pub cells: Vec<Cell>,
}

impl Plan {
    /// Name of the folder for the results: `<name>`, or `<name>-<profile>`.
    pub fn folder(&self) -> String {
        match &self.profile {
            Some(profile) => format!("{}-{profile}", self.name),
            None => self.name.clone(),
        }
    }
}

/// The plan of an experiment by its settings alone: what would run, whether or not its files are here. See [`plan`].
///
/// # Errors
/// The first wrong setting, with its place.
pub fn parse(
    file: &str,
    text: &str,
    profile: Option<&str>,
    overrides: &[String],
) -> Result<Plan, Box<ConfigError>> {
    plan(file, text, profile, overrides, &mut Unresolved)
}

/// Reads the text of an experiment, which errors call `file`; applies its profile `profile`, then `overrides`
/// (`path=value`); and checks every cell of its grid, with what `resolve` finds of the files that it names. The other
/// profiles are checked, too, but for their files.
///
/// # Errors
/// The first wrong setting, with its place.
pub fn plan(
    file: &str,
    text: &str,
    profile: Option<&str>,
    overrides: &[String],
    resolve: &mut dyn Resolve,
) -> Result<Plan, Box<ConfigError>> {
    let mut document = Document::parse(file, text)?;
    let profiles = profile::take(&mut document)?;
    let schema = schema::schema();
    let chosen = profile::choose(&document, &profiles, profile)?;
    for other in profiles.iter().filter(|other| chosen != Some(*other)) {
        let mut document = document.clone();
        other.apply(&mut document)?;
        expand(&schema, &document, &mut Unresolved)?;
    }
    if let Some(profile) = chosen {
        profile.apply(&mut document)?;
    }
    for text in overrides {
        document.set_from_command_line(text)?;
    }
    let plan = expand(&schema, &document, resolve)?;
    Ok(Plan {
        profile: chosen.map(|profile| profile.name.clone()),
        ..plan
    })
}

/// The grid of a document without profiles.
fn expand(
    schema: &Value,
    document: &Document,
    resolve: &mut dyn Resolve,
) -> Result<Plan, Box<ConfigError>> {
    let experiment = typed(schema, document)?;
    let seeds = seeds(document, &experiment)?;
    let combinations = combinations(document, seeds.len())?;
    let mut grid: Vec<(Map<String, Value>, Settings, Value)> = Vec::new();
    for combination in &combinations {
        let mut cell = document.clone();
        let mut axes = Map::new();
        for axis in combination {
            let path: Path = axis.path.split('.').map(str::to_owned).collect();
            let value = document
                .get(&axis.source)
                .expect("the axis was read from here")
                .clone();
            cell.set(&path, value.clone(), &axis.source).map_err(|at| {
                document.error(
                    &axis.source,
                    true,
                    Problem::new(format!(
                        "`{at}` is a plain value and has no fields to sweep"
                    )),
                )
            })?;
            axes.insert(axis.path.clone(), value);
        }
        let settings = settings(&cell, typed(schema, &cell)?, resolve)?;
        if experiment.outputs.adapters
            && settings
                .model
                .as_deref()
                .and_then(|model| model.checkpoint())
                .is_none()
        {
            let problem = Problem::new(
                "only adapters of `model: {name: checkpoint, …}` can be saved for PEFT",
            );
            let at = ["outputs".to_owned(), "adapters".to_owned()];
            return Err(document.error(&at, false, problem));
        }
        let config = serde_json::to_value(&settings).expect("settings are plain JSON");
        if let Some((other, ..)) = grid.iter().find(|(_, _, known)| *known == config) {
            let problem = Problem::new(format!(
                "two cells of the sweep are the same: {} and {}",
                quote(&json!(axes).to_string()),
                quote(&json!(other).to_string())
            ));
            return Err(document.error(&["sweep".to_owned()], true, problem));
        }
        grid.push((axes, settings, config));
    }
    let cells = seeds
        .iter()
        .flat_map(|&seed| grid.iter().map(move |cell| (seed, cell)));
    let cells = cells
        .enumerate()
        .map(|(index, (seed, (axes, settings, config)))| Cell {
            index,
            id: content_hash(&json!({ "schema": SCHEMA, "seed": seed, "config": config })),
            seed,
            axes: axes.clone(),
            settings: settings.clone(),
        });
    let cells = cells.collect();
    Ok(Plan {
        name: experiment.name,
        profile: None,
        description: experiment.description,
        outputs: experiment.outputs,
        cells,
    })
}

/// First 16 hexadecimal digits of the BLAKE3 hash of a value's JSON.
pub fn content_hash(value: &Value) -> String {
    blake3::hash(value.to_string().as_bytes()).to_hex()[..16].to_owned()
}

/// The document as an [`Experiment`], shorthand names written out.
fn typed(schema: &Value, document: &Document) -> Result<Experiment, Box<ConfigError>> {
    conform::check(schema, &document.value)
        .map_err(|misfit| document.error(&misfit.path, misfit.at_key, misfit.problem))?;
    for list in ["influence.methods", "ground_truth.decomposition.methods"] {
        check::methods(document, list)?;
    }
    let mut value = document.value.clone();
    for field in ["task", "model"] {
        if let Some(name @ Value::String(_)) = value.get(field).cloned() {
            value[field] = json!({ "name": name });
        }
    }
    if let Some(Value::Object(model)) = value.get_mut("model") {
        // the schema lets no other model go without its name
        model.entry("name").or_insert_with(|| "checkpoint".into());
    }
    serde_json::from_value(value)
        .map_err(|e| document.error(&[], false, Problem::new(e.to_string())))
}

fn seeds(document: &Document, experiment: &Experiment) -> Result<Vec<u64>, Box<ConfigError>> {
    let at = |field: &str| vec![field.to_owned()];
    match (experiment.seed, &experiment.seeds) {
        (Some(_), Some(_)) => Err(document.error(
            &at("seed"),
            true,
            Problem::new("give `seed` or `seeds`, not both"),
        )),
        (seed, None) => Ok(vec![seed.unwrap_or(0)]),
        (None, Some(seeds)) if seeds.len() > MOST_CELLS => {
            let problem = Problem::new(format!(
                "{} seeds make as many cells; at most {MOST_CELLS} are allowed",
                seeds.len()
            ));
            Err(document.error(&at("seeds"), true, problem))
        }
        (None, Some(seeds)) => {
            for (index, seed) in seeds.iter().enumerate() {
                if seeds[..index].contains(seed) {
                    let problem = Problem::new(format!("the seed {seed} is given twice"));
                    return Err(document.error(
                        &["seeds".to_owned(), index.to_string()],
                        false,
                        problem,
                    ));
                }
            }
            Ok(seeds.clone())
        }
    }
}

/// One swept setting in one combination: its dotted path, and where in the document its value stands.
#[derive(Clone)]
struct Axis {
    path: String,
    source: Path,
}

/// All combinations of the sweep, in the order of the file, the last axis fastest; each runs with `seeds` seeds.
fn combinations(document: &Document, seeds: usize) -> Result<Vec<Vec<Axis>>, Box<ConfigError>> {
    let mut all: Vec<Vec<Axis>> = vec![Vec::new()];
    let Some(Value::Object(sweep)) = document.value.get("sweep") else {
        return Ok(all);
    };
    for (path, values) in sweep {
        // one axis: at each of its points, the settings that it fixes
        let points: Vec<Vec<Axis>> = if path == "zip" {
            zipped(document, values)?
        } else {
            let source = vec!["sweep".to_owned(), path.clone()];
            let length = axis_length(document, &source, path, values)?;
            (0..length).map(|i| vec![point(&source, path, i)]).collect()
        };
        let cells = all.len() * points.len() * seeds;
        if cells > MOST_CELLS {
            let problem = Problem::new(format!(
                "the sweep makes {cells} cells up to here; at most {MOST_CELLS} are allowed"
            ));
            return Err(document.error(&["sweep".to_owned(), path.clone()], true, problem));
        }
        all = all
            .iter()
            .flat_map(|head| points.iter().map(move |p| [head.as_slice(), p].concat()))
            .collect();
    }
    Ok(all)
}

fn point(source: &[String], path: &str, index: usize) -> Axis {
    Axis {
        path: path.to_owned(),
        source: [source, &[index.to_string()]].concat(),
    }
}

fn zipped(document: &Document, values: &Value) -> Result<Vec<Vec<Axis>>, Box<ConfigError>> {
    let mut points: Vec<Vec<Axis>> = Vec::new();
    let mut first: Option<(&String, usize)> = None;
    for (path, list) in values.as_object().into_iter().flatten() {
        let source = vec!["sweep".to_owned(), "zip".to_owned(), path.clone()];
        if document.get(&["sweep".to_owned(), path.clone()]).is_some() {
            let problem = Problem::new("this setting is swept twice: in `zip` and beside it");
            return Err(document.error(&source, true, problem));
        }
        let length = axis_length(document, &source, path, list)?;
        let (other, expected) = *first.get_or_insert((path, length));
        if length != expected {
            let problem = Problem::new(format!(
                "zipped lists are equally long: `{other}` has {expected} values, this one {length}"
            ));
            return Err(document.error(&source, true, problem));
        }
        points.resize(length, Vec::new());
        for (index, settings) in points.iter_mut().enumerate() {
            settings.push(point(&source, path, index));
        }
    }
    Ok(if points.is_empty() {
        vec![Vec::new()]
    } else {
        points
    })
}

/// Checks one axis and returns its number of values.
fn axis_length(
    document: &Document,
    source: &[String],
    path: &str,
    values: &Value,
) -> Result<usize, Box<ConfigError>> {
    let root = path.split('.').next().unwrap_or_default();
    const ROOTS: [&str; 7] = [
        "task",
        "model",
        "lora",
        "train",
        "influence",
        "ground_truth",
        "store",
    ];
    if !ROOTS.contains(&root) {
        let problem = match root {
            "seed" | "seeds" => Problem::new("seeds are given by `seeds: [...]`, not swept"),
            _ => Problem::unknown("setting to sweep", root, ROOTS),
        };
        return Err(document.error(source, true, problem));
    }
    match values {
        Value::Array(list) if !list.is_empty() => {
            for (index, value) in list.iter().enumerate() {
                if list[..index].contains(value) {
                    let text = quote(&value.to_string());
                    let problem = Problem::new(format!("{text} is given twice"));
                    return Err(document.error(
                        &[source, &[index.to_string()]].concat(),
                        false,
                        problem,
                    ));
                }
            }
            Ok(list.len())
        }
        other => {
            let problem = Problem::new(format!(
                "expected a list of values with at least one item, found {}",
                document::describe(other)
            ));
            Err(document.error(source, false, problem))
        }
    }
}

/// Fills in the defaults that depend on the task, and checks what no single field can tell.
fn settings(
    document: &Document,
    experiment: Experiment,
    resolve: &mut dyn Resolve,
) -> Result<Settings, Box<ConfigError>> {
    let task = &experiment.task;
    let has_model = task.reads() != Reads::Nothing;
    if !has_model {
        for field in ["model", "lora", "train", "ground_truth"] {
            if document.value.get(field).is_some() {
                let problem = Problem::new(format!(
                    "the task `{}` has no model: this setting would do nothing",
                    task.name()
                ));
                return Err(document.error(
                    &[field.to_owned()],
                    true,
                    problem.with_help("remove it, or choose another task"),
                ));
            }
        }
    }
    let model = match (task.reads(), experiment.model) {
        (Reads::Nothing, _) => None,
        (_, Some(model)) => Some(model),
        (Reads::Texts | Reads::Prompts, None) => {
            let problem = Problem::new(format!(
                "the task `{}` has texts and needs a checkpoint",
                task.name()
            ));
            return Err(document.error(
                &["task".to_owned()],
                false,
                problem.with_help("add `model: {path: FOLDER}`"),
            ));
        }
        (Reads::Vector, None) => Some(ModelConfig::Mlp(MlpConfig::default())),
        (Reads::Vectors | Reads::Tokens, None) => {
            Some(ModelConfig::Transformer(TransformerConfig::default()))
        }
    };
    let mut lora = experiment.lora;
    let targets = document.get(&["lora".to_owned(), "targets".to_owned()]);
    if let (None, Some(model)) = (targets, &model) {
        lora.targets = TargetModules::names(model.default_targets().iter().copied());
    }
    let settings = Settings {
        task: experiment.task,
        model,
        lora: has_model.then_some(lora),
        train: has_model.then_some(experiment.train),
        influence: experiment.influence,
        ground_truth: experiment.ground_truth,
        metrics: Vec::new(),
        store: experiment.store,
    };
    check::settings(document, settings, experiment.metrics, resolve)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "name: t\ntask: {name: gradients, train: 40}\n";

    fn titles(extra: &str) -> Vec<String> {
        let plan = parse("t.yaml", &format!("{BASE}{extra}"), None, &[]).unwrap();
        plan.cells.iter().map(Cell::title).collect()
    }

    fn error(text: &str) -> String {
        parse("t.yaml", text, None, &[]).unwrap_err().to_string()
    }

    #[test]
    fn grid_and_zip_combine_with_seeds_outermost() {
        let found = titles(
            "seeds: [3, 4]\nsweep:\n  task.dim: [8, 16]\n  zip:\n    task.blocks: [1, 2]\n    task.query: [5, 6]\n",
        );
        assert_eq!(found.len(), 8);
        assert_eq!(found[0], "task.dim=8 task.blocks=1 task.query=5 seed=3");
        assert_eq!(found[1], "task.dim=8 task.blocks=2 task.query=6 seed=3");
        assert_eq!(found[4], "task.dim=8 task.blocks=1 task.query=5 seed=4");
    }

    #[test]
    fn identity_depends_on_settings_and_seed_only() {
        let id = |text: &str| {
            parse("t.yaml", text, None, &[]).unwrap().cells[0]
                .id
                .clone()
        };
        assert_eq!(id(BASE), id(&BASE.replace("name: t", "name: other")));
        assert_eq!(
            id(BASE),
            id(&format!("{BASE}seed: 0\ninfluence: {{damping: 0.1}}\n"))
        );
        assert_ne!(id(BASE), id(&format!("{BASE}seed: 1\n")));
        assert_ne!(
            id(BASE),
            id(&format!("{BASE}influence: {{damping: 0.2}}\n"))
        );
    }

    #[test]
    fn wrong_sweeps_are_refused_with_their_place() {
        let case = |extra: &str| error(&format!("{BASE}{extra}"));
        assert!(
            case("sweep: {lor.rank: [1]}\n")
                .contains("t.yaml:3:9: sweep.lor.rank: unknown setting to sweep `lor`")
        );
        assert!(case("sweep: {task.dim: []}\n").contains("at least one item"));
        assert!(case("sweep: {task.dim: [8, 8]}\n").contains("8 is given twice"));
        assert!(
            case("sweep: {task.dim: [8, 0]}\n")
                .contains("t.yaml:3:23: task.dim: 0 is out of range")
        );
        assert!(case("sweep: {task.dm: [8]}\n").contains("unknown field `dm`"));
        assert!(
            case("sweep: {zip: {task.dim: [8], task.blocks: [1, 2]}}\n").contains("equally long")
        );
        assert!(
            case("sweep: {task.dim: [8], zip: {task.dim: [8]}}\n")
                .contains("t.yaml:3:30: sweep.zip.task.dim: this setting is swept twice")
        );
        assert!(case("seeds: [1, 1]\n").contains("the seed 1 is given twice"));
        assert!(case("lora: {rank: 2}\n").contains("no model"));
    }

    #[test]
    fn overrides_are_checked_and_named() {
        let plan = parse("t.yaml", BASE, None, &["task.dim=32".into()]).unwrap();
        assert_ne!(
            plan.cells[0].id,
            parse("t.yaml", BASE, None, &[]).unwrap().cells[0].id
        );
        let error = parse("t.yaml", BASE, None, &["task.dim=0".into()])
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("--set:1:1: task.dim: 0 is out of range"),
            "{error}"
        );
        assert!(
            parse("t.yaml", BASE, None, &["task.dim".into()])
                .unwrap_err()
                .message
                .contains("path=value")
        );
    }
}
