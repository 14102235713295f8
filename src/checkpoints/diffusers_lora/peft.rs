//! PEFT's settings in the metadata of a file, which say the scale of its adapters.

use std::path::Path;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::names::UNET;
use super::{LoraFile, LoraFileError, LoraMatrices};
use crate::input::{self, quote};

/// What PEFT's settings say of the scale.
pub(super) struct Settings {
    alpha: f64,
    stabilised: bool,
    alphas: Vec<(Regex, f64)>,
}

impl Settings {
    /// Reads the metadata `text`: a JSON object with keys such as `unet.r`; nothing where it is not about a UNet.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Option<Self>, LoraFileError> {
        let all: Map<String, Value> = input::parse_json(path, text)?;
        if !all.keys().any(|key| key.starts_with(UNET)) {
            return Ok(None);
        }
        let field = |name: &str| {
            all.get(&format!("{UNET}{name}"))
                .filter(|value| !value.is_null())
        };
        let wrong = |name: &str, found: &Value, allowed| LoraFileError::Setting {
            path: path.to_owned(),
            field: format!("{UNET}{name}"),
            found: quote(&found.to_string()),
            allowed,
        };
        let number = |name: &str, default: f64| match field(name) {
            None => Ok(default),
            Some(value) => {
                let number = value.as_f64().filter(|number| number.is_finite());
                number.ok_or_else(|| wrong(name, value, "a number"))
            }
        };
        for name in ["use_dora", "lora_bias", "use_qalora"] {
            if let Some(value) = field(name).filter(|value| **value != Value::Bool(false)) {
                return Err(wrong(name, value, "false"));
            }
        }
        let mut alphas = Vec::new();
        if let Some(value) = field("alpha_pattern") {
            const ALLOWED: &str = "numbers by module";
            let map = value
                .as_object()
                .ok_or_else(|| wrong("alpha_pattern", value, ALLOWED))?;
            for (key, alpha) in map {
                // as PEFT: the whole name or its end
                let pattern = Regex::new(&format!(r"^(.*\.)?({key})$")).ok();
                let pair = pattern.zip(alpha.as_f64());
                alphas.push(pair.ok_or_else(|| wrong("alpha_pattern", value, ALLOWED))?);
            }
        }
        let stabilised = match field("use_rslora") {
            None => false,
            Some(Value::Bool(given)) => *given,
            Some(value) => return Err(wrong("use_rslora", value, "true, false")),
        };
        Ok(Some(Self {
            // 8 is PEFT's default
            alpha: number("lora_alpha", 8.0)?,
            stabilised,
            alphas,
        }))
    }

    /// α/r of a module; r is the rank of its factors.
    pub(super) fn scale(&self, module: &str, rank: usize) -> f64 {
        let own = self
            .alphas
            .iter()
            .find(|(pattern, _)| pattern.is_match(module));
        let alpha = own.map_or(self.alpha, |(_, alpha)| *alpha);
        let rank = rank as f64;
        alpha / if self.stabilised { rank.sqrt() } else { rank }
    }
}

/// PEFT's settings of the adapters: rank and α of the first, and those of others that differ by their names.
pub(super) fn settings_of(adapters: &LoraFile) -> Value {
    let alpha = |adapter: &LoraMatrices| adapter.scale * adapter.rank as f64;
    let first = adapters.values().next();
    let (rank, common) = first.map_or((1, 1.0), |first| (first.rank, alpha(first)));
    let mut ranks = Map::new();
    let mut alphas = Map::new();
    for (module, adapter) in adapters {
        if adapter.rank != rank {
            ranks.insert(module.clone(), adapter.rank.into());
        }
        if alpha(adapter) != common {
            alphas.insert(module.clone(), alpha(adapter).into());
        }
    }
    let modules: Vec<&String> = adapters.keys().collect();
    json!({
        "unet.peft_type": "LORA",
        "unet.r": rank,
        "unet.lora_alpha": common,
        "unet.rank_pattern": ranks,
        "unet.alpha_pattern": alphas,
        "unet.target_modules": modules,
        "unet.bias": "none",
        "unet.lora_dropout": 0.0,
        "unet.use_rslora": false,
        "unet.use_dora": false,
    })
}
