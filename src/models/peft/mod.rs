//! Adapters in the layout of PEFT: `adapter_config.json` and `adapter_model.safetensors`, the classifier
//! among the weights. What PyTorch's PEFT saves is loaded here, and the other way round.
//!
//! Which matrices are adapted is read off the names of the weights. A setting that would make the
//! adapter compute something else than W x + (α/r)·B A x is an error.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use thiserror::Error;

use super::files::{self, WeightFileError};
use super::{Model, ModelError, Role, Weights};
use crate::atomic;
use crate::config::LoraInit;
use crate::config::huggingface::{Family, Fields, HuggingFaceError};

/// Name of the settings' file.
pub const CONFIG_FILE: &str = "adapter_config.json";
/// Name of the weights' file.
pub const WEIGHTS_FILE: &str = "adapter_model.safetensors";
/// What PEFT puts before a model's own names.
const PREFIX: &str = "base_model.model.";

/// Why an adapter cannot be loaded or saved.
#[derive(Debug, Error)]
pub enum PeftError {
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
    /// A tensor that belongs to no matrix of the model.
    #[error("{path}: the model has no place for `{name}`")]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// The model is not a checkpoint, or has no adapters.
    #[error("only a checkpoint with adapters can be saved for PEFT")]
    NothingToSave,
}

/// A parameter's name in a file of PEFT.
fn saved_name(family: Family, name: &str) -> String {
    if name.starts_with("classifier.") {
        format!("{PREFIX}{name}")
    } else {
        format!("{PREFIX}{}.{name}", family.name())
    }
}

/// What PyTorch calls a trained parameter of a model with a PEFT adapter (`named_parameters`).
pub fn live_name(family: Family, name: &str) -> String {
    match name.strip_prefix("classifier.") {
        Some(rest) => format!("{PREFIX}classifier.modules_to_save.default.{rest}"),
        None => {
            let name = saved_name(family, name);
            match name.strip_suffix(".weight") {
                Some(start) => format!("{start}.default.weight"),
                None => name,
            }
        }
    }
}

/// α/r of an adapter's settings, when they ask for nothing else than W x + (α/r)·B A x.
fn scale(fields: &Fields) -> Result<(usize, f64), HuggingFaceError> {
    if let Some(kind) = fields.get("peft_type").filter(|kind| *kind != "LORA") {
        return Err(fields.unsupported("peft_type", kind, "\"LORA\""));
    }
    for field in [
        "use_dora",
        "use_rslora",
        "use_qalora",
        "use_bdlora",
        "lora_bias",
        "fan_in_fan_out",
    ] {
        fields.only(field, false.into())?;
    }
    fields.only("bias", "none".into())?;
    fields.only("rank_pattern", json!({}))?;
    fields.only("alpha_pattern", json!({}))?;
    for field in [
        "layer_replication",
        "target_parameters",
        "trainable_token_indices",
        "alora_invocation_tokens",
    ] {
        if let Some(found) = fields.get(field) {
            return Err(fields.unsupported(field, found, "null"));
        }
    }
    let rank = fields.size("r", 1, None)?;
    let alpha = match fields.get("lora_alpha") {
        None => 8.0, // PEFT's default
        Some(value) => value
            .as_f64()
            .filter(|alpha| alpha.is_finite())
            .ok_or_else(|| fields.unsupported("lora_alpha", value, "a number"))?,
    };
    Ok((rank, alpha / rank as f64))
}

/// `init_lora_weights`: how A and B began. Of no consequence for the weights that are read, but kept when the
/// adapter is saved again.
fn init(fields: &Fields) -> LoraInit {
    let name = fields.get("init_lora_weights").and_then(Value::as_str);
    match name {
        Some(name) if name.eq_ignore_ascii_case("gaussian") => LoraInit::Gaussian,
        _ => LoraInit::Kaiming,
    }
}

/// Hangs the adapter of `folder` on a model, in place of any that there are, and its classifier, if it
/// has one, in place of the model's.
///
/// # Errors
/// Files that cannot be read, settings that are not supported, weights that do not fit.
pub fn load(folder: &Path, model: &mut Model) -> Result<(), PeftError> {
    let fields = Fields::read(&folder.join(CONFIG_FILE))?;
    let (rank, scale) = scale(&fields)?;
    let path = folder.join(WEIGHTS_FILE);
    let prefix = model.family().map_or("", Family::name);
    let unknown = |name: String| PeftError::Unknown {
        path: path.clone(),
        name,
    };
    let mut sites = BTreeSet::new();
    let mut has_head = false;
    let mut weights = Weights::new();
    for (full, array) in files::load(&path)? {
        let name = full.strip_prefix(PREFIX).unwrap_or(&full);
        let name = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix('.'))
            .unwrap_or(name);
        let factor = [".lora_A.weight", ".lora_B.weight"]
            .into_iter()
            .find_map(|end| name.strip_suffix(end));
        match factor {
            Some(site) => {
                sites.insert(site.to_owned());
            }
            None if name.starts_with("classifier.") => has_head = true,
            None => return Err(unknown(full)),
        }
        weights.insert(name.to_owned(), array);
    }
    let wrong = |source| PeftError::Model {
        path: path.clone(),
        source,
    };
    model
        .adapt_matrices(sites, rank, scale, init(&fields))
        .map_err(|site| unknown(format!("{site}.lora_A.weight")))?;
    model.import(&[Role::Adapter], &weights).map_err(wrong)?;
    if has_head {
        model.set_head(&weights).map_err(wrong)?;
        let known: BTreeSet<String> = model.export(&[Role::Head]).into_keys().collect();
        let extra = weights
            .into_keys()
            .find(|name| name.starts_with("classifier.") && !known.contains(name));
        if let Some(name) = extra {
            return Err(unknown(name));
        }
    }
    Ok(())
}

/// Saves a checkpoint's adapters and classifier to `folder` as PEFT does. `base` is what the settings
/// name as the base model: the checkpoint's folder or its name on the hub.
///
/// # Errors
/// When the model is no checkpoint or has no adapters, or the file system refuses.
pub fn save(folder: &Path, model: &mut Model, base: &str, dropout: f64) -> Result<(), PeftError> {
    let family = model.family().ok_or(PeftError::NothingToSave)?;
    let adapted = model.adapted();
    let first = adapted
        .first()
        .and_then(|linear| linear.adapter())
        .ok_or(PeftError::NothingToSave)?;
    let rank = first.a.dims()[0];
    let alpha = first.scale * rank as f64;
    // full names, because PEFT matches by ending: `output.dense` would also mean the attention's
    let targets: Vec<&str> = adapted.iter().map(|linear| linear.name()).collect();
    let config = json!({
        "peft_type": "LORA",
        "task_type": "SEQ_CLS",
        "base_model_name_or_path": base,
        "inference_mode": true,
        "r": rank,
        "lora_alpha": if alpha.fract() == 0.0 { json!(alpha as i64) } else { json!(alpha) },
        "lora_dropout": dropout,
        "init_lora_weights": match first.init {
            LoraInit::Kaiming => json!(true),
            LoraInit::Gaussian => json!("gaussian"),
        },
        "target_modules": targets,
        "modules_to_save": ["classifier"],
        "bias": "none",
        "fan_in_fan_out": false,
        "use_rslora": false,
        "use_dora": false,
    });
    let weights: Weights = model
        .export(&[Role::Adapter, Role::Head])
        .into_iter()
        .map(|(name, array)| (saved_name(family, &name), array))
        .collect();
    files::save(&folder.join(WEIGHTS_FILE), &weights, ("format", "pt"))?;
    let path = folder.join(CONFIG_FILE);
    let text = format!("{:#}\n", config);
    atomic::write(&path, text.as_bytes()).map_err(|source| WeightFileError::Io { path, source })?;
    Ok(())
}
