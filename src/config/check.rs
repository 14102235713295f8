//! What no single field can tell: values that contradict one another or the data.

use serde_json::Value;

use super::document::{Document, Path};
use super::error::ConfigError;
use super::experiment::Settings;
use super::{LoraConfig, ModelConfig, TaskConfig};
use crate::checkpoints::HuggingFaceError;
use crate::checkpoints::hub::{Checkpoints, HubError};
use crate::checkpoints::layout::has_tokenizer;
use crate::gradients::settings::Reference;
use crate::influence::{MethodSpec, Need};
use crate::input::Problem;
use crate::models::Model;
use crate::models::huggingface::HuggingFaceConfig;
use crate::tasks::Reads;

/// Whether the check looks at the files that settings name.
pub(super) enum Files {
    /// They are needed; checkpoints are found here.
    Read(Checkpoints),
    /// They need not be there: the settings are checked and not used.
    Ignored,
}

type Checked<T> = Result<T, Box<ConfigError>>;

fn path(dotted: &str) -> Path {
    dotted.split('.').map(str::to_owned).collect()
}

/// Every method of the list at `place` can be read, and none is given twice.
pub(super) fn methods(document: &Document, place: &str) -> Checked<()> {
    let Some(Value::Array(list)) = document.get(&path(place)) else {
        return Ok(());
    };
    let mut known: Vec<MethodSpec> = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let at = path(&format!("{place}.{index}"));
        let spec: MethodSpec = serde_json::from_value(value.clone())
            .map_err(|e| document.error(&at, false, Problem::new(e.to_string())))?;
        if let Some(other) = known.iter().find(|other| other.is_same(&spec)) {
            let same = if other.label == spec.label {
                String::new()
            } else {
                format!(" (it is the same as `{}`)", other.label)
            };
            return Err(document.error(
                &at,
                false,
                Problem::new(format!("the method `{}` is given twice{same}", spec.label)),
            ));
        }
        known.push(spec);
    }
    Ok(())
}

/// Checks settings against one another, and settles the metrics.
pub(super) fn settings(
    document: &Document,
    mut settings: Settings,
    metrics: Option<Vec<String>>,
    files: &mut Files,
) -> Checked<Settings> {
    let fail =
        |at: &str, message: String| Err(document.error(&path(at), false, Problem::new(message)));
    if let Some((field, problem)) = settings.task.problem() {
        return Err(document.error(&path(&format!("task.{field}")), false, problem));
    }
    if matches!(files, Files::Read(_))
        && let Err(error) = settings.task.find()
    {
        return fail("task.path", error.to_string());
    }
    let exact = settings.influence.methods.iter().any(MethodSpec::is_exact);
    if settings.store.reference == Reference::F32 && !exact {
        let message = "`f32` is what `exact` is computed from, which is not among the methods";
        return fail("store.reference", message.to_owned());
    }
    companions(document, &settings)?;
    ground_truth(document, &settings)?;
    if let (Some(model), Some(lora)) = (&mut settings.model, &settings.lora) {
        model_and_lora(document, &settings.task, model, lora, files)?;
    }
    hessian(document, &settings, files)?;
    settings.metrics = super::metrics::settle(&settings, metrics).map_err(|(index, problem)| {
        let mut at = path("metrics");
        at.push(index.to_string());
        document.error(&at, false, problem)
    })?;
    Ok(settings)
}

/// What methods need beside the gradients can be collected.
fn companions(document: &Document, settings: &Settings) -> Checked<()> {
    for (index, spec) in settings.influence.methods.iter().enumerate() {
        let need = spec.method().need();
        if need == Need::Nothing {
            continue;
        }
        let lacks = match &settings.train {
            None => "has no model to collect them with".to_owned(),
            Some(train) if need == Need::Checkpoints && train.epochs == 0 => {
                "has no checkpoints with train.epochs = 0".to_owned()
            }
            Some(_) => continue,
        };
        let message = format!(
            "`{}` needs {}, and the task `{}` {lacks}",
            spec.label,
            need.explanation(),
            settings.task.name()
        );
        let at = path(&format!("influence.methods.{index}"));
        return Err(document.error(&at, false, Problem::new(message)));
    }
    Ok(())
}

/// A Hessian is not of more parameters than the method's limit, as far as the settings tell: adapters, and a row of the
/// head for each of at least two classes.
fn hessian(document: &Document, settings: &Settings, files: &Files) -> Checked<()> {
    let (Some(model), Some(lora)) = (&settings.model, &settings.lora) else {
        return Ok(());
    };
    let methods = &settings.influence.methods;
    let hessians = |spec: &&MethodSpec| matches!(spec.method().need(), Need::Hessian { .. });
    let is_there = matches!(files, Files::Read(_)) || !matches!(model, ModelConfig::Checkpoint(_));
    if !is_there || methods.iter().find(hessians).is_none() {
        return Ok(());
    }
    // what is wrong with the model and the adapters is said elsewhere
    let Ok(outline) = Model::outline(model) else {
        return Ok(());
    };
    let Ok(targets) = outline.targets(lora) else {
        return Ok(());
    };
    let sides = targets.iter();
    let sides: usize = sides.map(|linear| linear.inputs() + linear.outputs()).sum();
    let least = lora.rank * sides + 2 * outline.width();
    for (index, spec) in settings.influence.methods.iter().enumerate() {
        let Need::Hessian { limit } = spec.method().need() else {
            continue;
        };
        if least > limit {
            let message = format!(
                "`{}` needs the Hessian of at least {least} parameters; {} is the largest allowed (option `limit`)",
                spec.label, limit
            );
            let at = path(&format!("influence.methods.{index}"));
            return Err(document.error(&at, false, Problem::new(message)));
        }
    }
    Ok(())
}

/// Retraining has something to do, and enough examples.
fn ground_truth(document: &Document, settings: &Settings) -> Checked<()> {
    let Some(config) = &settings.ground_truth else {
        return Ok(());
    };
    let problem = match &settings.train {
        Some(train) if train.epochs == 0 => Some((
            String::new(),
            "there is nothing to retrain with train.epochs = 0".to_owned(),
        )),
        _ => config.problem(settings.task.train()),
    };
    let problem = problem.map(|(at, message)| (at, Problem::new(message)));
    let of_parts = || {
        let parts = config.decomposition.as_ref()?;
        let (at, problem) = parts.problem(&config.retrained(), &settings.influence.methods)?;
        Some((format!("decomposition.{at}"), problem))
    };
    match problem.or_else(of_parts) {
        None => Ok(()),
        Some((at, problem)) => {
            let mut place = path("ground_truth");
            place.extend(
                at.split('.')
                    .filter(|part| !part.is_empty())
                    .map(str::to_owned),
            );
            Err(document.error(&place, false, problem))
        }
    }
}

fn model_and_lora(
    document: &Document,
    task: &TaskConfig,
    model: &mut ModelConfig,
    lora: &LoraConfig,
    files: &mut Files,
) -> Checked<()> {
    let fail =
        |at: &str, message: String| Err(document.error(&path(at), false, Problem::new(message)));
    let reads_texts = matches!(model, ModelConfig::Checkpoint(_) | ModelConfig::Llama(_));
    if task.reads() == Reads::Texts && !reads_texts {
        return fail(
            "model",
            format!(
                "the task `{}` has texts, which only a checkpoint can read; allowed: {{path: FOLDER}}",
                task.name()
            ),
        );
    }
    let is_read = matches!(files, Files::Read(_));
    match model {
        ModelConfig::Checkpoint(c) => {
            if task.reads() != Reads::Texts {
                return fail(
                    "model",
                    format!(
                        "a checkpoint reads texts, which the task `{}` does not have; use the task `glue`",
                        task.name()
                    ),
                );
            }
            let Files::Read(checkpoints) = files else {
                // of a size and with modules that are not known
                return Ok(());
            };
            match c.locate(checkpoints) {
                Ok(()) => {}
                Err(error @ HubError::Revision { .. }) => {
                    return fail("model.revision", error.to_string());
                }
                Err(error) => return fail("model.path", error.to_string()),
            }
            let config = match HuggingFaceConfig::read(c.folder()) {
                Ok(config) => config,
                Err(error) => return fail("model.path", error.to_string()),
            };
            if !has_tokenizer(c.folder()) {
                let missing = HuggingFaceError::no_tokenizer(c.folder());
                return fail("model.path", missing.to_string());
            }
            if let Some(length) = task.max_length().filter(|&n| n > config.longest()) {
                return fail(
                    "task.max_length",
                    format!(
                        "{length} is more than the {} tokens that the checkpoint has positions for",
                        config.longest()
                    ),
                );
            }
        }
        ModelConfig::Transformer(_) => {}
        ModelConfig::Llama(llama) => {
            if task.reads() != Reads::Texts {
                return fail(
                    "model",
                    format!(
                        "a language model reads texts, which the task `{}` does not have; allowed: transformer",
                        task.name()
                    ),
                );
            }
            match &llama.tokenizer {
                None => {
                    let missing = "the texts need a tokenizer; allowed: a checkpoint's folder";
                    return fail("model.tokenizer", missing.to_owned());
                }
                Some(folder) if is_read && !has_tokenizer(folder) => {
                    let missing = HuggingFaceError::no_tokenizer(folder);
                    return fail("model.tokenizer", missing.to_string());
                }
                Some(_) => {}
            }
        }
        ModelConfig::Mlp(_) => {
            if task.reads() == Reads::Tokens {
                return fail(
                    "model",
                    format!(
                        "the task `{}` has tokens, which `mlp` cannot read; allowed: transformer",
                        task.name()
                    ),
                );
            }
        }
    }
    let wrong = |room: &str, (at, problem): (String, Problem)| {
        document.error(&path(&format!("{room}.{at}")), false, problem)
    };
    if let Some((field, problem)) = model.problem() {
        return Err(wrong("model", (field.to_owned(), problem)));
    }
    let outline = Model::outline(model)
        .map_err(|error| document.error(&path("model"), false, Problem::new(error.to_string())))?;
    match outline.targets(lora) {
        Ok(_) => Ok(()),
        Err(found) => Err(wrong("lora", found)),
    }
}
