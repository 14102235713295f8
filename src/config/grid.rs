//! From a document to its grid of checked cells.

use serde_json::{Map, Value, json};

use super::check;
use super::conform;
use super::document::{Document, Path};
use super::error::ConfigError;
use super::experiment::{Cell, Experiment, Outputs, Settings};
use super::profile;
use super::resolve::{Resolve, Unresolved};
use super::schema;
use crate::data::Reads;
use crate::input::{Problem, quote};
use crate::results::record::SCHEMA;

mod defaults;
mod sweep;

use defaults::settings;
use sweep::{MOST_CELLS, combinations};

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
        if experiment.outputs.images > 0 && settings.task.reads() != Reads::Images {
            let problem =
                Problem::new(format!("the task `{}` has no images", settings.task.name()));
            let at = ["outputs".to_owned(), "images".to_owned()];
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
    conform::check(schema, &document.value).map_err(|violation| {
        document.error(&violation.path, violation.at_key, violation.problem)
    })?;
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

#[cfg(test)]
mod tests;
