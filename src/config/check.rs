//! What no single field can tell: values that contradict one another or the data.

use serde_json::Value;

use super::document::{Document, Path};
use super::error::ConfigError;
use super::experiment::Settings;
use super::resolve::{Resolve, Violation};
use super::{LoraConfig, ModelConfig, TaskConfig};
use crate::data::Reads;
use crate::gradients::settings::Reference;
use crate::influence::{MethodSpec, Need};
use crate::input::Problem;
use crate::models::Model;

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
    resolve: &mut dyn Resolve,
) -> Checked<Settings> {
    let fail =
        |at: &str, message: String| Err(document.error(&path(at), false, Problem::new(message)));
    if let Some((field, problem)) = settings.task.problem() {
        return Err(document.error(&path(&format!("task.{field}")), false, problem));
    }
    let violation = |(at, problem): Violation| document.error(&path(at), false, problem);
    resolve.task(&settings.task).map_err(violation)?;
    let exact = settings.influence.methods.iter().any(MethodSpec::is_exact);
    if settings.store.reference == Reference::F32 && !exact {
        let message = "`f32` is what `exact` is computed from, which is not among the methods";
        return fail("store.reference", message.to_owned());
    }
    companions(document, &settings)?;
    ground_truth(document, &settings)?;
    if let (Some(model), Some(lora)) = (&mut settings.model, &settings.lora) {
        let network = network(document, &settings.task, model, resolve)?;
        if let Some(network) = network {
            adapters(document, &settings.influence.methods, &network, lora)?;
        }
    }
    settings.metrics = super::metrics::settle(&settings, metrics).map_err(|(index, problem)| {
        let mut at = path("metrics");
        at.push(index.to_string());
        document.error(&at, false, problem)
    })?;
    Ok(settings)
}

/// What methods need beside the gradients can be collected.
fn companions(document: &Document, settings: &Settings) -> Checked<()> {
    let reads = settings.task.reads();
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
            Some(_) if need == Need::Texts && !matches!(reads, Reads::Prompts | Reads::Images) => {
                "has none".to_owned()
            }
            Some(_) if need == Need::HiddenStates && reads != Reads::Prompts => {
                "has none".to_owned()
            }
            Some(_) if need == Need::Embeddings && reads != Reads::Images => "has none".to_owned(),
            Some(_) if need == Need::Sampled && reads == Reads::Images => {
                "has none: noise is no prediction of the model's".to_owned()
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

/// The network of the settings, without its weights, which can read the task; `None` for a checkpoint that is not looked
/// at.
fn network(
    document: &Document,
    task: &TaskConfig,
    model: &mut ModelConfig,
    resolve: &mut dyn Resolve,
) -> Checked<Option<Model>> {
    let error = |at: &str, problem| document.error(&path(at), false, problem);
    let reads = task.reads();
    if !model.reads().contains(&reads) {
        let message = format!(
            "the task `{}` has {}, which `{}` cannot read; allowed: {}",
            task.name(),
            reads.text(),
            model.name(),
            ModelConfig::reading(reads).join(", ")
        );
        return Err(error("model", Problem::new(message)));
    }
    if let ModelConfig::Llama(llama) = &*model {
        let Some(folder) = &llama.tokenizer else {
            let missing = "the texts need a tokenizer; allowed: a checkpoint's folder";
            return Err(error("model.tokenizer", Problem::new(missing)));
        };
        let found = resolve.tokenizer(folder);
        found.map_err(|problem| error("model.tokenizer", problem))?;
    }
    if let Some((field, problem)) = model.problem() {
        return Err(error(&format!("model.{field}"), problem));
    }
    match model {
        ModelConfig::Checkpoint(checkpoint) => resolve
            .checkpoint(task, checkpoint)
            .map_err(|(at, problem)| error(at, problem)),
        model => Model::outline(model)
            .map(Some)
            .map_err(|e| error("model", Problem::new(e.to_string()))),
    }
}

/// The adapters fit the network; and a Hessian is not of more parameters than the method's limit, as far as the settings
/// tell: adapters, and a row of the head for each of at least two classes.
fn adapters(
    document: &Document,
    methods: &[MethodSpec],
    network: &Model,
    lora: &LoraConfig,
) -> Checked<()> {
    let targets = network
        .targets(lora)
        .map_err(|(at, problem)| document.error(&path(&format!("lora.{at}")), false, problem))?;
    let sides = targets.iter();
    let sides: usize = sides.map(|linear| linear.inputs() + linear.outputs()).sum();
    let least = lora.rank * sides + 2 * network.width();
    for (index, spec) in methods.iter().enumerate() {
        let Need::Hessian { limit } = spec.method().need() else {
            continue;
        };
        if least > limit {
            let message = format!(
                "`{}` needs the Hessian of at least {least} parameters; {limit} is the largest allowed (option `limit`)",
                spec.label
            );
            let at = path(&format!("influence.methods.{index}"));
            return Err(document.error(&at, false, Problem::new(message)));
        }
    }
    Ok(())
}
