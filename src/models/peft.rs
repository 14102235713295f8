//! Adapters in the layout of PEFT: `adapter_config.json` and `adapter_model.safetensors`, the classifier and
//! other modules trained in full (`modules_to_save`) among the weights. What PEFT saves is loaded here, and the
//! other way round.
//!
//! Which matrices are adapted is read off the names of the weights, and must be what the settings say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use thiserror::Error;

use super::error::ModelError;
use super::family::Family;
use super::files::{self, WeightFileError};
use super::lora::AdapterShape;
use super::lora::settings::LoraInit;
use super::model::{Brought, Model};
use super::parameter::{Role, Weights};
use crate::atomic;
use crate::checkpoints::peft::modules::split_layer;
pub use crate::checkpoints::peft::settings::CONFIG_FILE;
use crate::checkpoints::peft::settings::{Settings, saved_module};
use crate::checkpoints::{HuggingFaceError, TensorFileError};
use crate::input::quote_name;

/// Name of the weights' file.
pub const WEIGHTS_FILE: &str = "adapter_model.safetensors";
/// Name of the weights' file before PEFT 0.7: a pickle.
const OLD_WEIGHTS_FILE: &str = "adapter_model.bin";
/// What PEFT puts before a model's own names.
const PREFIX: &str = "base_model.model.";
/// The ends of an adapter's factors.
const FACTORS: [&str; 2] = [".lora_A.weight", ".lora_B.weight"];

/// Why an adapter cannot be loaded or saved.
#[derive(Debug, Error)]
pub enum PeftError {
    /// No such folder, or not an adapter.
    #[error(
        "{folder} is not an adapter in PEFT's layout: it has no {CONFIG_FILE}. Give the folder that PEFT's save_pretrained wrote"
    )]
    NoAdapter {
        /// The folder.
        folder: PathBuf,
    },
    /// Weights in the format of before PEFT 0.7.
    #[error(
        "{folder} has its weights in {OLD_WEIGHTS_FILE}, a pickle, which is not read. Open the adapter with PEFT 0.7 or newer and save it again (PeftModel.from_pretrained(BASE, FOLDER).save_pretrained(NEW_FOLDER)): this writes {WEIGHTS_FILE}"
    )]
    Pickle {
        /// The folder.
        folder: PathBuf,
    },
    /// Its settings.
    #[error(transparent)]
    Config(#[from] HuggingFaceError),
    /// Its weights' file.
    #[error(transparent)]
    File(#[from] WeightFileError),
    /// Its weights do not fit the model.
    #[error("{path}: {source}")]
    Model {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ModelError,
    },
    /// A tensor that belongs to nothing in the model.
    #[error("{path}: the model has no place for `{}`", quote_name(name))]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// An adapter on something else than the linear layers that can carry one.
    #[error(
        "{path}: `{}`: this module cannot carry an adapter here; allowed: {allowed}. Train without it (`exclude_modules`)",
        quote_name(name)
    )]
    Site {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What can carry one, see `can_carry`.
        allowed: String,
    },
    /// Weights of a module that the settings do not name.
    #[error(
        "{path} does not target `{}` (`target_modules`, `exclude_modules`, `layers_to_transform`), but {WEIGHTS_FILE} has an adapter for it; PEFT would leave it out",
        quote_name(module)
    )]
    NotTargeted {
        /// The settings' file.
        path: PathBuf,
        /// The module.
        module: String,
    },
    /// A module that the settings name and the weights lack.
    #[error(
        "{path}: the weights lack `{}`, which `{field}` in {CONFIG_FILE} asks for",
        quote_name(name)
    )]
    Lacking {
        /// The weights' file.
        path: PathBuf,
        /// The module or parameter.
        name: String,
        /// The field.
        field: &'static str,
    },
    /// The model is not a checkpoint, or has no adapters.
    #[error("only a checkpoint with adapters can be saved for PEFT")]
    NothingToSave,
}

/// A parameter's name in a file of PEFT.
fn saved_name(family: &Family, name: &str) -> String {
    format!("{PREFIX}{}", family.full_name(name))
}

/// What PyTorch calls a trained parameter of a model with a PEFT adapter (`named_parameters`); `modules` are
/// those that the adapter trains in full (`modules_to_save`).
pub fn live_name(family: &Family, modules: &[String], name: &str) -> String {
    let full = saved_name(family, name);
    if FACTORS.iter().any(|end| full.ends_with(end)) {
        let start = full.trim_end_matches(".weight");
        return format!("{start}.default.weight");
    }
    let mut modules = modules.to_vec();
    if family.trains_head {
        modules.push(family.head.to_owned());
    }
    match saved_module(&modules, &full) {
        Some(module) => {
            let rest = &full[module.len()..];
            format!("{module}.modules_to_save.default{rest}")
        }
        None => full,
    }
}

/// The modules that can carry an adapter, those of all layers as one.
fn can_carry(model: &Model) -> String {
    let of_layer = |name: &str| match split_layer(name) {
        Some((layer, module)) => {
            let start = name.len() - module.len();
            let stem = &name[..start].trim_end_matches(&format!("{layer}."));
            format!("{stem}N.{module}")
        }
        None => name.to_owned(),
    };
    let mut names: Vec<String> = Vec::new();
    for linear in model.linears() {
        let name = of_layer(linear.name());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let names = names.join(", ");
    match model.layers() {
        0 => names,
        layers => format!("{names} with N from 0 to {}", layers - 1),
    }
}

/// Hangs the adapter of `folder` on a model, in place of any that there are. Its classifier and other
/// parameters that it trains in full, if it has any, take the place of the model's.
///
/// # Errors
/// Files that cannot be read, settings that are not supported, weights that do not fit the settings or the model.
pub fn load(folder: &Path, model: &mut Model) -> Result<(), PeftError> {
    if !folder.join(CONFIG_FILE).is_file() {
        return Err(PeftError::NoAdapter {
            folder: folder.to_owned(),
        });
    }
    let settings = Settings::read(folder, model.family().map_or(&[], |family| family.tasks))?;
    let path = folder.join(WEIGHTS_FILE);
    if !path.is_file() && folder.join(OLD_WEIGHTS_FILE).is_file() {
        return Err(PeftError::Pickle {
            folder: folder.to_owned(),
        });
    }
    let prefix = model.family().map_or("", |family| family.prefix);
    let gaussian = |name: &str| name.eq_ignore_ascii_case("gaussian");
    let init = match settings.init.get("init_lora_weights") {
        Some(Value::String(name)) if gaussian(name) => LoraInit::Gaussian,
        _ => LoraInit::Kaiming,
    };
    let mut whole = false;
    let mut sites = BTreeMap::new();
    let mut weights = Weights::new();
    let mut full_names = BTreeMap::new();
    for (full, array) in files::load(&path)? {
        let module = full.strip_prefix(PREFIX).unwrap_or(&full);
        let own = module
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix('.'));
        whole |= own.is_some();
        let name = own.unwrap_or(module).to_owned();
        if let Some(end) = FACTORS.iter().find(|end| name.ends_with(*end)) {
            let module = module.strip_suffix(end).unwrap_or(module);
            if settings.adapts(module) == Some(false) {
                return Err(PeftError::NotTargeted {
                    path: settings.path,
                    module: module.to_owned(),
                });
            }
            let site = name.strip_suffix(end).unwrap_or(&name);
            let (rank, scale) = settings.rank_and_scale(module);
            let shape = AdapterShape { rank, scale, init };
            sites.insert(site.to_owned(), shape);
        } else if name.contains(".lora_") {
            return Err(PeftError::Site {
                path,
                name: full,
                allowed: can_carry(model),
            });
        }
        full_names.insert(name.clone(), full);
        weights.insert(name, array);
    }
    let wrong = |source| PeftError::Model {
        path: path.clone(),
        source,
    };
    model
        .adapt_matrices(&sites)
        .map_err(|site| PeftError::Site {
            path: path.clone(),
            name: site,
            allowed: can_carry(model),
        })?;
    let lacking = |name: String, field| PeftError::Lacking {
        path: path.clone(),
        name,
        field,
    };
    for linear in model.linears() {
        let name = linear.name();
        let module = if whole {
            format!("{prefix}.{name}")
        } else {
            name.to_owned()
        };
        if settings.adapts(&module) == Some(true) && !sites.contains_key(name) {
            return Err(lacking(module, "target_modules"));
        }
    }
    model.import(&[Role::Adapter], &weights).map_err(wrong)?;
    if weights.keys().any(|name| name.starts_with("classifier.")) {
        model.set_head(&weights).map_err(wrong)?;
    }
    // what is trained in full takes the base's place; PEFT asks for every parameter of a module that it names
    let mut base = Weights::new();
    let mut known = BTreeSet::new();
    for parameter in model.parameters() {
        let name = parameter.name;
        known.insert(name.clone());
        if parameter.role != Role::Base {
            continue;
        }
        match weights.remove(&name) {
            Some(array) => {
                base.insert(name, array);
            }
            None => {
                let module = if whole {
                    format!("{prefix}.{name}")
                } else {
                    name
                };
                if settings.saved_module(&module).is_some() {
                    return Err(lacking(module, "modules_to_save"));
                }
            }
        }
    }
    if let Some(name) = weights.keys().find(|name| !known.contains(*name)) {
        let name = full_names.remove(name).unwrap_or_default();
        return Err(PeftError::Unknown { path, name });
    }
    let brought = Brought {
        parameters: base.keys().cloned().collect(),
        modules: settings.saved,
        init: settings.init,
    };
    model.replace_base(&base, brought).map_err(wrong)
}

/// Saves a checkpoint's adapters, its classifier and whatever else an adapter brought along to `folder` as PEFT
/// does. `base` is what the settings name as the base model: the checkpoint's folder or its name on the hub.
///
/// # Errors
/// When the model is no checkpoint or has no adapters, or the file system refuses.
pub fn save(folder: &Path, model: &mut Model, base: &str, dropout: f64) -> Result<(), PeftError> {
    let family = model.family().ok_or(PeftError::NothingToSave)?;
    let adapters = model.adapted().into_iter();
    let adapters: Vec<(String, usize, f64, LoraInit)> = adapters
        .filter_map(|linear| {
            let adapter = linear.adapter()?;
            let rank = adapter.a.dims()[0];
            let alpha = adapter.scale * rank as f64;
            Some((linear.name().to_owned(), rank, alpha, adapter.init))
        })
        .collect();
    let &(_, rank, alpha, init) = adapters.first().ok_or(PeftError::NothingToSave)?;
    let number = |alpha: f64| {
        if alpha.fract() == 0.0 {
            json!(alpha as i64)
        } else {
            json!(alpha)
        }
    };
    // adapters that differ from the first
    let mut ranks = Map::new();
    let mut alphas = Map::new();
    for (name, its_rank, its_alpha, _) in &adapters {
        if *its_rank != rank {
            ranks.insert(name.clone(), (*its_rank).into());
        }
        if *its_alpha != alpha {
            alphas.insert(name.clone(), number(*its_alpha));
        }
    }
    // full names, because PEFT matches by ending: `output.dense` would also mean the attention's
    let targets: Vec<&String> = adapters.iter().map(|(name, ..)| name).collect();
    let replaced = model.export_brought();
    let modules: BTreeSet<&str> = replaced
        .keys()
        .filter_map(|name| Some(name.rsplit_once('.')?.0))
        .chain(family.trains_head.then_some(family.head))
        .collect();
    let mut config = json!({
        "peft_type": "LORA",
        "task_type": family.tasks[0],
        "base_model_name_or_path": base,
        "inference_mode": true,
        "r": rank,
        "lora_alpha": number(alpha),
        "rank_pattern": ranks,
        "alpha_pattern": alphas,
        "lora_dropout": dropout,
        "init_lora_weights": match init {
            LoraInit::Kaiming => json!(true),
            LoraInit::Gaussian => json!("gaussian"),
        },
        "target_modules": targets,
        "modules_to_save": (!modules.is_empty()).then_some(modules),
        "bias": "none",
        "fan_in_fan_out": false,
        "use_rslora": false,
        "use_dora": false,
    });
    if let Some(fields) = config.as_object_mut() {
        // how an adapter that was read began
        fields.extend(model.brought().init.clone());
    }
    let weights: Weights = model
        .export(&[Role::Adapter, Role::Head])
        .into_iter()
        .chain(replaced)
        .map(|(name, array)| (saved_name(family, &name), array))
        .collect();
    files::save(&folder.join(WEIGHTS_FILE), &weights, ("format", "pt"))?;
    let path = folder.join(CONFIG_FILE);
    let text = format!("{config:#}\n");
    let written = atomic::write(&path, text.as_bytes());
    written.map_err(|error| WeightFileError::from(TensorFileError::write(&path)(error)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_length_are_cut() {
        let (path, name) = (PathBuf::from("a"), "layer.".repeat(100_000));
        let errors = [
            PeftError::Unknown {
                path: path.clone(),
                name: name.clone(),
            },
            PeftError::Site {
                path: path.clone(),
                name: name.clone(),
                allowed: "query".to_owned(),
            },
            PeftError::NotTargeted {
                path: path.clone(),
                module: name.clone(),
            },
            PeftError::Lacking {
                path,
                name,
                field: "target_modules",
            },
        ];
        for error in errors {
            let text = error.to_string();
            assert!(text.contains("`layer.layer."), "{text}");
            assert!(text.matches("layer.").count() <= 20, "{text}");
        }
    }
}
