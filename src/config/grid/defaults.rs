//! Defaults that depend on the task.

use crate::config::document::Document;
use crate::config::resolve::Resolve;
use crate::config::{ConfigError, Experiment, ModelConfig, Settings, check};
use crate::data::Reads;
use crate::input::Problem;
use crate::models::diffusion::ATTENTION;
use crate::models::lora::settings::TargetModules;
use crate::models::{MlpConfig, TransformerConfig};

/// Fills in the defaults that depend on the task, and checks what no single field can tell.
pub(super) fn settings(
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
        (Reads::Images, None) => {
            let problem = Problem::new(format!(
                "the task `{}` has images and needs a diffusion pipeline",
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
        let names = match task.reads() {
            Reads::Images => &ATTENTION,
            _ => model.default_targets(),
        };
        lora.targets = TargetModules::names(names.iter().copied());
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
