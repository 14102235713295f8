//! From an experiment's file to a plan that can run: reads the file, and looks for the data and checkpoints that its
//! settings name, on this machine and on the Hugging Face hub.
//!
//! [`crate::config`] knows what settings mean and touches neither disk nor network; it asks through the seam
//! [`Resolve`], so that settings and files are checked in one order. In: the path of a YAML file. Out: a [`Plan`], every
//! cell of which can run, to [`crate::runner`]; or one error with its line.

use std::path::{Path, PathBuf};

use crate::checkpoints::HuggingFaceError;
use crate::checkpoints::hub::{Checkpoints, Hub, HubError, Part};
use crate::checkpoints::layout::has_tokenizer;
use crate::config::error::ConfigError;
use crate::config::pretraining::{self, PretrainingPlan};
use crate::config::resolve::{Resolve, Violation};
use crate::config::theory::{self, TheoryPlan};
use crate::config::{ModelConfig, Plan, TaskConfig, grid};
use crate::data::Reads;
use crate::input::{self, InputError, Problem, expand_home};
use crate::models::CheckpointConfig;
use crate::models::Model;
use crate::models::diffusion::{PipelineConfig, is_pipeline};
use crate::models::huggingface::HuggingFaceConfig;
use crate::pretraining::outline;
use crate::tasks::image_folder::ImageSource;
use crate::tasks::text::CaptionEncoder;
use tempfile::TempDir;

/// What helps where a pipeline is missing.
const NO_PIPELINE: &str = "scripts/get-icons.sh and `infbench pretrain experiments/pipeline_icons32.yaml` make a small one, models/sd-icons32 (docs/diffusion.md)";
/// Most bytes of a settings file.
const MOST_BYTES: u64 = 1 << 20;

/// The plan of an experiment file, see [`grid::plan`].
///
/// # Errors
/// A file that cannot be read, or the first wrong setting, with its place.
pub fn load(path: &Path, profile: Option<&str>, overrides: &[String]) -> miette::Result<Plan> {
    let text = read(path).map_err(|error| miette::miette!("{error}"))?;
    Ok(parse(&path.display().to_string(), &text, profile, overrides).map_err(|error| *error)?)
}

/// [`load`] on text; `file` is how errors name it.
///
/// # Errors
/// The first wrong setting, with its place.
pub fn parse(
    file: &str,
    text: &str,
    profile: Option<&str>,
    overrides: &[String],
) -> Result<Plan, Box<ConfigError>> {
    grid::plan(file, text, profile, overrides, &mut Here::new(None))
}

/// A pipeline of an experiment that is not there yet: `infbench run` trains it first.
#[derive(Debug)]
pub struct Untrained {
    /// Where it will be.
    pub path: PathBuf,
    /// The settings by which it is trained, `model.pretrain`.
    pub settings: PathBuf,
    /// Floating-point operations of its training.
    pub operations: f64,
    /// Its shapes, without weights.
    outline: TempDir,
}

/// [`load`] for a forecast: pipelines that `infbench run` trains first need not be there. The plan takes their shapes from
/// their settings, as long as what is returned beside it lives.
///
/// # Errors
/// As [`load`].
pub fn foresee(
    path: &Path,
    profile: Option<&str>,
    overrides: &[String],
) -> miette::Result<(Plan, Vec<Untrained>)> {
    let text = read(path).map_err(|error| miette::miette!("{error}"))?;
    let mut here = Here::new(Some(Vec::new()));
    let file = path.display().to_string();
    let plan = grid::plan(&file, &text, profile, overrides, &mut here).map_err(|error| *error)?;
    Ok((plan, here.untrained.unwrap_or_default()))
}

/// [`load`] by settings alone, whatever files they name.
///
/// # Errors
/// As [`load`], but for files.
pub fn describe(path: &Path, profile: Option<&str>, overrides: &[String]) -> miette::Result<Plan> {
    let text = read(path).map_err(|error| miette::miette!("{error}"))?;
    let file = path.display().to_string();
    Ok(grid::parse(&file, &text, profile, overrides).map_err(|error| *error)?)
}

/// The plan of a theory experiment's file.
///
/// # Errors
/// A file that cannot be read, or the first wrong setting, with its place.
pub fn load_theory(path: &Path) -> miette::Result<TheoryPlan> {
    let text = read(path).map_err(|error| miette::miette!("{error}"))?;
    Ok(theory::parse(&path.display().to_string(), &text).map_err(|error| *error)?)
}

/// The settings of a pipeline that is to be trained.
///
/// # Errors
/// A file that cannot be read, or the first wrong setting, with its place.
pub fn load_pretraining(path: &Path) -> miette::Result<PretrainingPlan> {
    let text = read(path).map_err(|error| miette::miette!("{error}"))?;
    Ok(pretraining::parse(&path.display().to_string(), &text).map_err(|error| *error)?)
}

/// Makes sure that the weights of every checkpoint are here; settings and tokenizers are since the plan was made.
/// `progress` shows downloads.
///
/// # Errors
/// Weights that cannot be had.
pub fn fetch_weights(plan: &mut Plan, progress: bool) -> Result<(), HubError> {
    let hub = Hub {
        progress,
        ..Hub::from_env()
    };
    let mut checkpoints = Checkpoints::new(hub, Part::Whole);
    for cell in &mut plan.cells {
        if let Some(ModelConfig::Checkpoint(checkpoint)) = &mut cell.settings.model {
            checkpoint.locate(&mut checkpoints)?;
        }
    }
    Ok(())
}

/// The text of a settings file.
///
/// # Errors
/// A file that cannot be read, is no text, or is larger than any experiment.
fn read(path: &Path) -> Result<String, InputError> {
    let bytes = std::fs::metadata(path).map_or(0, |about| about.len());
    if bytes > MOST_BYTES {
        return Err(InputError::Read {
            path: path.to_owned(),
            reason: format!("it has {bytes} bytes, and experiments have at most {MOST_BYTES}"),
        });
    }
    input::text(path)
}

/// Looks on this machine, and for checkpoints on the hub.
struct Here {
    checkpoints: Checkpoints,
    /// The tasks whose files are there.
    tasks: Vec<TaskConfig>,
    /// Pipelines that are still to be trained, where the plan may do without their weights.
    untrained: Option<Vec<Untrained>>,
}

impl Here {
    fn new(untrained: Option<Vec<Untrained>>) -> Self {
        Self {
            checkpoints: Checkpoints::new(Hub::from_env(), Part::Description),
            tasks: Vec::new(),
            untrained,
        }
    }

    /// Has the shapes of a pipeline that is still to be trained stand for it.
    fn outline(
        &mut self,
        checkpoint: &mut CheckpointConfig,
        settings: &Path,
    ) -> Result<(), Violation> {
        let path = &checkpoint.path;
        let Some(untrained) = &mut self.untrained else {
            let (path, settings) = (path.display(), settings.display());
            let problem = Problem::new(format!("the pipeline {path} is not there yet"));
            let help = format!(
                "`infbench run` without --units trains it first, as `infbench pretrain {settings} --out {path}` does"
            );
            return Err(("model.path", problem.with_help(help)));
        };
        let is_known = |known: &&Untrained| known.path == *path && known.settings == settings;
        let folder = match untrained.iter().find(is_known) {
            Some(known) => known.outline.path().to_owned(),
            None => {
                let wrong = "model.pretrain";
                let text = read(settings).map_err(at(wrong))?;
                let plan = pretraining::parse(&settings.display().to_string(), &text);
                let outlined = tempfile::tempdir().map_err(at(wrong))?;
                let operations = outline(&plan.map_err(at(wrong))?.pipeline, outlined.path());
                let folder = outlined.path().to_owned();
                untrained.push(Untrained {
                    path: path.clone(),
                    settings: settings.to_owned(),
                    operations: operations.map_err(at(wrong))?,
                    outline: outlined,
                });
                folder
            }
        };
        checkpoint.lie_in(folder);
        Ok(())
    }

    /// Looks up where a checkpoint lies.
    fn locate(
        &mut self,
        task: &TaskConfig,
        checkpoint: &mut CheckpointConfig,
    ) -> Result<(), Violation> {
        let located = checkpoint.locate(&mut self.checkpoints);
        located.map_err(|error| {
            let field = match error {
                HubError::Revision { .. } => "model.revision",
                _ => "model.path",
            };
            let problem = Problem::new(error.to_string());
            match task.images() {
                Some(_) => (field, problem.with_help(NO_PIPELINE)),
                None => (field, problem),
            }
        })
    }
}

/// Holds the pipeline in `folder` against a task of images.
fn pipeline(folder: &Path, source: &ImageSource) -> Result<(), Violation> {
    let model = "model.path";
    let pipeline = PipelineConfig::read(folder).map_err(at(model))?;
    CaptionEncoder::open(folder).map_err(at(model))?;
    let (alphas, prediction) = (pipeline.schedule.alphas(), pipeline.schedule.prediction());
    let targets = source
        .settings
        .loss
        .targets(0, "train", 0, alphas, prediction);
    targets
        .map(|_| ())
        .map_err(|problem| ("task.timesteps", Problem::new(problem)))
}

impl Resolve for Here {
    fn task(&mut self, task: &TaskConfig) -> Result<(), Violation> {
        if !self.tasks.contains(task) {
            task.find().map_err(at("task.path"))?;
            self.tasks.push(task.clone());
        }
        Ok(())
    }

    fn tokenizer(&mut self, folder: &Path) -> Result<(), Problem> {
        if has_tokenizer(folder) {
            return Ok(());
        }
        let missing = HuggingFaceError::no_tokenizer(folder);
        Err(Problem::new(missing.to_string()))
    }

    fn checkpoint(
        &mut self,
        task: &TaskConfig,
        checkpoint: &mut CheckpointConfig,
    ) -> Result<Option<Model>, Violation> {
        let model = "model.path";
        let is_there = expand_home(&checkpoint.path).is_dir();
        let settings = checkpoint.pretrain.clone();
        match settings.filter(|_| task.images().is_some() && !is_there) {
            Some(settings) => self.outline(checkpoint, &settings)?,
            None => self.locate(task, checkpoint)?,
        }
        let folder = checkpoint.folder();
        if let Some(source) = task.images() {
            pipeline(folder, &source)?;
            let model = ModelConfig::Checkpoint(checkpoint.clone());
            return Model::outline(&model).map(Some).map_err(at("model"));
        }
        if is_pipeline(folder) {
            let message = format!(
                "a diffusion pipeline reads images, which the task `{}` does not have; allowed: a task of images, such as `styles`",
                task.name()
            );
            return Err((model, Problem::new(message)));
        }
        let config = HuggingFaceConfig::read(folder).map_err(at(model))?;
        self.tokenizer(folder).map_err(|problem| (model, problem))?;
        let (family, generates) = (config.family.model_type, config.family.generates());
        if generates != (task.reads() == Reads::Prompts) {
            let message = continues(family, generates, task.name());
            return Err((model, Problem::new(message)));
        }
        let admitted = config.admits(ModelConfig::Checkpoint(checkpoint.clone()).loading());
        admitted.map_err(|(field, problem)| match field {
            "stream" => ("model.stream", problem),
            _ => ("model.compute", problem),
        })?;
        let longest = config.longest.unwrap_or(usize::MAX);
        if let Some(length) = task.max_length().filter(|&length| length > longest) {
            let message = format!(
                "{length} is more than the {longest} tokens that the checkpoint has positions for"
            );
            return Err(("task.max_length", Problem::new(message)));
        }
        let model = ModelConfig::Checkpoint(checkpoint.clone());
        Model::outline(&model).map(Some).map_err(at("model"))
    }
}

/// An error as what is wrong with a setting.
fn at<E: std::fmt::Display>(setting: &'static str) -> impl Fn(E) -> Violation {
    move |error| (setting, Problem::new(error.to_string()))
}

/// What to say of a model that does not do what a task asks: continue its texts, or classify them.
fn continues(family: &str, is_causal: bool, task: &str) -> String {
    if is_causal {
        format!(
            "`{family}` is a language model, which continues texts, and the task `{task}` has none to continue; allowed: a task of prompts, such as `grammars` or `instruction`"
        )
    } else {
        format!(
            "`{family}` classifies texts, and the task `{task}` wants them continued; allowed: a causal language model (llama, mistral, qwen2, qwen3)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_experiments_are_right_but_for_files_that_are_not_shipped() {
        let mut checked = 0;
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let (file, text) = (
                path.display().to_string(),
                std::fs::read_to_string(&path).unwrap(),
            );
            // theory has settings of its own
            let name = path.file_name().unwrap().to_string_lossy();
            if name.starts_with("theory_") {
                if let Err(error) = crate::config::theory::parse(&file, &text) {
                    assert_eq!(error.field, "gradients.path: ", "{error}");
                }
                continue;
            }
            if name.starts_with("pipeline_") {
                crate::config::pretraining::parse(&file, &text).unwrap();
                continue;
            }
            let written: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
            let profiles = written.get("profiles").and_then(|p| p.as_mapping());
            let profiles = profiles.into_iter().flatten();
            let mut names: Vec<Option<&str>> = profiles.map(|(name, _)| name.as_str()).collect();
            if names.is_empty() {
                names.push(None);
            }
            for name in names {
                if let Err(error) = parse(&file, &text, name, &[]) {
                    let files = ["task.path: ", "model.path: "];
                    assert!(files.contains(&error.field.as_str()), "{error}");
                }
                checked += 1;
            }
        }
        assert!(checked >= 13, "{checked}");
    }
}
