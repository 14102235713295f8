//! Where a reproduction stands: what it needs and where that was found, what is done, what it would take.
//!
//! Nothing is fetched to find out: models are looked for in their folders and in the cache of Hugging Face's tools.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Source, Variant};
use crate::checkpoints::HuggingFaceError;
use crate::checkpoints::hub::{Hub, Part};
use crate::checkpoints::layout::{SHARDS_FILE, WEIGHTS_FILE, has_tokenizer};
use crate::config::{Cell, ModelConfig, Outputs, Plan};
use crate::device::DeviceChoice;
use crate::models::CheckpointConfig;
use crate::models::diffusion::{PipelineConfig, is_pipeline};
use crate::models::huggingface::HuggingFaceConfig;
use crate::resolve::load_pretraining;
use crate::results::record::Status as Outcome;
use crate::results::{Record, load};
use crate::runner::forecast::forecast;

/// The folder that `infbench run` writes into.
pub const RUNS: &str = "runs";
/// The folder of results that are kept.
pub const RESULTS: &str = "results";

/// Where a reproduction stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Models and data, and where they were found.
    pub found: Vec<String>,
    /// What is not there, and how to get it.
    pub needs: Vec<String>,
    /// Cells of the item; 0 for theory.
    pub cells: usize,
    /// What is done of it.
    pub done: Option<Done>,
    /// Whether a model has to be trained first (`model.pretrain`), before which nothing is forecast.
    pub trains: bool,
    /// Seconds and peak bytes of what is not done, where it can run.
    pub forecast: Option<(f64, f64)>,
}

/// Results that are there.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// The folder.
    pub folder: PathBuf,
    /// Finished cells of the item.
    pub cells: usize,
    /// When the first of them started.
    pub started: String,
    /// Commit that they were computed with.
    pub commit: Option<String>,
}

impl Status {
    /// `done`, `ready`, or `needs`.
    pub fn word(&self) -> &'static str {
        match &self.done {
            Some(done) if done.cells >= self.cells => "done",
            _ if self.needs.is_empty() => "ready",
            _ => "needs",
        }
    }

    /// For machines.
    pub fn json(&self) -> Value {
        json!({
            "status": self.word(),
            "found": self.found,
            "needs": self.needs,
            "cells": self.cells,
            "done": self.done.as_ref().map(|done| json!({
                "folder": done.folder,
                "cells": done.cells,
                "started": done.started,
                "commit": done.commit,
            })),
            "forecast_seconds": self.forecast.map(|f| f.0),
            "forecast_bytes": self.forecast.map(|f| f.1),
        })
    }
}

/// Looks. `rate` is that of matrix products, for the forecast; none is made without it.
///
/// # Errors
/// An experiment that is wrong in itself, as a sentence.
pub fn status(variant: &Variant, rate: Option<f64>) -> Result<Status, String> {
    match variant.source {
        Source::Theory { .. } => theory(variant),
        Source::Run { .. } => {
            let plan = variant.plan(&[], false).map_err(|e| e.to_string())?;
            let mut status = available(&plan);
            let cells: Vec<&Cell> = shown(variant, &plan);
            status.cells = cells.len();
            let mut folders = vec![
                Path::new(RUNS).join(variant.folder(&plan)),
                Path::new(RESULTS).join(variant.folder(&plan)),
                Path::new(RESULTS).join(&plan.name),
            ];
            // without a profile the last two are one
            folders.dedup();
            let finished = folders
                .iter()
                .filter_map(|folder| done(variant, &cells, folder))
                .max_by_key(|(done, _)| done.cells);
            let ids = match finished {
                Some((done, ids)) => {
                    status.done = Some(done);
                    ids
                }
                None => Vec::new(),
            };
            if let Some(rate) = rate.filter(|_| status.word() == "ready" && !status.trains) {
                let plan = variant.plan(&[], true).map_err(|e| e.to_string())?;
                let todo: Vec<&Cell> = shown(variant, &plan)
                    .into_iter()
                    .filter(|cell| !ids.contains(&key(&cell.axes, cell.seed)))
                    .collect();
                status.forecast = Some(cost(&todo, &plan.outputs, rate)?);
            }
            Ok(status)
        }
    }
}

fn shown<'p>(variant: &Variant, plan: &'p Plan) -> Vec<&'p Cell> {
    let cells = plan.cells.iter();
    cells.filter(|cell| variant.shows(&cell.axes)).collect()
}

/// What tells a cell from the others of its grid.
fn key(axes: &serde_json::Map<String, Value>, seed: u64) -> String {
    json!([axes, seed]).to_string()
}

/// Models and data of a plan, found or not.
pub fn available(plan: &Plan) -> Status {
    let mut status = Status::default();
    let (mut models, mut data) = (Vec::new(), Vec::new());
    for cell in &plan.cells {
        if let Some(ModelConfig::Checkpoint(model)) = &cell.settings.model
            && !models.contains(&model)
        {
            models.push(model);
            match find_model(model) {
                Ok(text) => status.found.push(text),
                Err(text) => match trained_first(model) {
                    Some(text) => {
                        status.trains = true;
                        status.found.push(text);
                    }
                    None => status.needs.push(text),
                },
            }
        }
        if let Some(files) = cell.settings.task.files()
            && !data.contains(&files)
        {
            data.push(files);
            match cell.settings.task.find() {
                Ok(folder) => status
                    .found
                    .push(format!("{} in {}", files.name, folder.display())),
                Err(error) => status.needs.push(format!(
                    "the data of {}: {error} (--set task.path=FOLDER points elsewhere)",
                    files.name
                )),
            }
        }
    }
    status
}

/// What to say of a pipeline that is not there and that a run trains first, where its images are.
fn trained_first(model: &CheckpointConfig) -> Option<String> {
    let settings = model.pretrain.as_ref().filter(|_| !model.path.exists())?;
    let plan = load_pretraining(settings).ok()?;
    let images = plan.pipeline.images.path.is_file();
    images.then(|| {
        let (path, settings) = (model.path.display(), settings.display());
        format!("model {path}: trained first, by {settings}")
    })
}

/// Where a checkpoint lies, or how to get it.
fn find_model(model: &CheckpointConfig) -> Result<String, String> {
    let hub = Hub {
        offline: true,
        ..Hub::from_env()
    };
    let path = &model.path;
    if is_pipeline(path) {
        let read = PipelineConfig::read(path).map(|_| format!("model {}", path.display()));
        return read.map_err(|reason| format!("the model {}: {reason}", path.display()));
    }
    if path.is_dir() {
        let whole = |folder: &Path| {
            HuggingFaceConfig::read(folder).map_err(|e| e.to_string())?;
            let weights = [WEIGHTS_FILE, SHARDS_FILE];
            let weights = weights.iter().any(|name| folder.join(name).is_file());
            let lacks = |name: &str| format!("{} has no {name}", folder.display());
            if !weights {
                return Err(lacks(WEIGHTS_FILE));
            }
            if has_tokenizer(folder) {
                Ok(())
            } else {
                Err(HuggingFaceError::no_tokenizer(folder).to_string())
            }
        };
        return match whole(path) {
            Ok(()) => Ok(format!("model {}", path.display())),
            Err(reason) => Err(format!("the model {}: {reason}", path.display())),
        };
    }
    let revision = model.revision.as_deref();
    if let Ok(located) = hub.locate(path, revision, Part::Whole) {
        return Ok(format!(
            "model {} in {}",
            path.display(),
            located.folder.display()
        ));
    }
    let id = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let cached = hub.locate(Path::new(id), None, Part::Whole);
    Err(match cached {
        _ if id == "all-MiniLM-L6-v2" => {
            format!(
                "the model {}: scripts/get-minilm.sh fetches it",
                path.display()
            )
        }
        _ if id == "SmolLM2-135M-Instruct" => {
            format!(
                "the model {}: scripts/get-smollm2.sh fetches it",
                path.display()
            )
        }
        _ if id == "sd-icons32" => {
            format!(
                "the model {}: scripts/get-icons.sh fetches its images, and `infbench pretrain experiments/pipeline_icons32.yaml` trains it",
                path.display()
            )
        }
        _ if id == "stable-diffusion-v1-5" => {
            format!(
                "the model {0}: where there is a network, `hf download {id}/{id} --local-dir {0}` fetches it",
                path.display()
            )
        }
        Ok(_) => format!(
            "the model {}: it is in the cache of Hugging Face's tools, --set model.path={id} takes it from there",
            path.display()
        ),
        Err(_) => format!(
            "the model {}: `hf download {id} --local-dir {}` fetches it, or --set model.path={id} from the Hugging Face hub",
            path.display(),
            path.display()
        ),
    })
}

/// The finished cells of an item in a folder of results, and their keys; `None` without any.
fn done(variant: &Variant, cells: &[&Cell], folder: &Path) -> Option<(Done, Vec<String>)> {
    let records = load(folder).ok()?;
    let wanted: Vec<String> = cells
        .iter()
        .map(|cell| key(&cell.axes, cell.seed))
        .collect();
    let finished = |record: &&Record| {
        let methods = record.methods.iter();
        variant.has(record)
            && record.status == Outcome::Ok
            && methods.clone().all(|method| method.status == Outcome::Ok)
            && wanted.contains(&key(&record.cell.axes, record.cell.seed))
    };
    let own: Vec<&Record> = records.iter().filter(finished).collect();
    let first = own.iter().min_by_key(|record| &record.provenance.started)?;
    let done = Done {
        folder: folder.to_owned(),
        cells: own.len(),
        started: first.provenance.started.clone(),
        commit: first.provenance.commit.clone(),
    };
    let keys = own.iter().map(|r| key(&r.cell.axes, r.cell.seed)).collect();
    Some((done, keys))
}

/// Seconds and peak bytes of the cells: seeds of the same settings cost the same.
fn cost(cells: &[&Cell], outputs: &Outputs, rate: f64) -> Result<(f64, f64), String> {
    let mut alike: BTreeMap<String, (&Cell, usize)> = BTreeMap::new();
    for cell in cells {
        let settings = key(&cell.axes, 0);
        alike.entry(settings).or_insert((cell, 0)).1 += 1;
    }
    let (mut seconds, mut bytes) = (0.0, 0.0f64);
    for (cell, count) in alike.into_values() {
        let cost = forecast(cell, outputs, DeviceChoice::default())?;
        seconds += count as f64 * cost.seconds(rate);
        bytes = bytes.max(cost.bytes());
    }
    Ok((seconds, bytes))
}

/// Of a theory experiment: its stored gradients, and a `theory.json`.
fn theory(variant: &Variant) -> Result<Status, String> {
    let mut status = Status {
        cells: 1,
        ..Status::default()
    };
    let Source::Theory { file, .. } = variant.source else {
        return Ok(status);
    };
    let plan = match variant.theory_plan() {
        Ok(plan) => plan,
        Err(error) => return Err(error.to_string()),
    };
    if let crate::config::theory::Source::Stored(stored) = &plan.base.source {
        for path in std::iter::once(&stored.path).chain(&stored.query) {
            if path.is_file() {
                status.found.push(format!("gradients {}", path.display()));
            } else {
                status.needs.push(format!(
                    "the gradients {}: experiments/{file}.yaml says how to make them, infbench run with outputs.gradients=true",
                    path.display()
                ));
            }
        }
    }
    let folders = [
        Path::new(RUNS).join(variant.page()),
        Path::new(RUNS).join(&plan.name),
        Path::new(RESULTS).join(&plan.name),
    ];
    for folder in folders {
        let found = crate::results::theory::load_json(&folder);
        let parsed = found.ok().flatten();
        let Some(parsed) = parsed.filter(|parsed| holds(variant, parsed)) else {
            continue;
        };
        let of = |field: &str| parsed["provenance"][field].as_str().map(str::to_owned);
        status.done = Some(Done {
            folder,
            cells: 1,
            started: of("started").unwrap_or_default(),
            commit: of("commit"),
        });
        break;
    }
    Ok(status)
}

/// Whether a `theory.json` has what the item shows.
fn holds(variant: &Variant, theory: &Value) -> bool {
    let Source::Theory { claims, .. } = variant.source else {
        return false;
    };
    let known = theory["claims"].as_array().into_iter().flatten();
    let names: Vec<&str> = known.filter_map(|claim| claim["name"].as_str()).collect();
    claims.iter().all(|claim| names.contains(claim))
}

#[cfg(test)]
mod tests {
    use super::super::choose;
    use super::*;

    #[test]
    fn a_model_that_is_not_there_is_named_with_the_command_that_fetches_it() {
        let of = |path: &str| find_model(&CheckpointConfig::at(path)).expect_err("not there");
        let minilm = of("nowhere/all-MiniLM-L6-v2");
        assert_eq!(
            minilm,
            "the model nowhere/all-MiniLM-L6-v2: scripts/get-minilm.sh fetches it"
        );
        let pipeline = of("nowhere/sd-icons32");
        assert!(
            pipeline.ends_with("`infbench pretrain experiments/pipeline_icons32.yaml` trains it"),
            "{pipeline}"
        );
        let other = of("nowhere/encoder-of-nobody");
        assert!(
            other.contains("`hf download encoder-of-nobody --local-dir nowhere/encoder-of-nobody`")
                && other.contains("--set model.path=encoder-of-nobody"),
            "{other}"
        );
        let folder = tempfile::tempdir().unwrap();
        let empty = of(folder.path().to_str().unwrap());
        assert!(empty.contains("config.json"), "{empty}");
    }

    #[test]
    fn what_has_no_model_is_ready() {
        let smoke = choose("figure-1", Some("smoke")).unwrap();
        let found = status(smoke, Some(1e9)).unwrap();
        assert_eq!((found.needs.len(), found.cells), (0, 2));
        if found.word() == "ready" {
            let (seconds, bytes) = found.forecast.expect("it can run");
            assert!(seconds > 0.0 && bytes > 0.0);
        }
    }
}
