//! `adapter_config.json`: every field of PEFT 0.18's `LoraConfig` is honoured, has no effect on a BERT or
//! RoBERTa, or is refused by name.
//!
//! No effect: where the base model comes from, versions, `inference_mode`, `lora_dropout` and `runtime_config`
//! (train mode and devices), `fan_in_fan_out` (PEFT resets it for `nn.Linear`), and the settings of
//! initialisations and variants that are not used (`eva_config`, `corda_config`, `loftq_config`,
//! `qalora_group_size`, `megatron_core`).

use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::{Map, Value};

use super::modules::{Modules, PATTERN};
use crate::checkpoints::fields::{Fields, HuggingFaceError};

/// Name of the settings' file.
pub const CONFIG_FILE: &str = "adapter_config.json";
/// What is saved besides the adapters of a sequence classifier, whether the settings name it or not.
const HEADS: [&str; 2] = ["classifier", "score"];

/// The settings of an adapter.
pub struct Settings {
    /// The file.
    pub path: PathBuf,
    rank: usize,
    alpha: f64,
    rank_stabilised: bool,
    ranks: Vec<(Regex, usize)>,
    alphas: Vec<(Regex, f64)>,
    target: Option<Modules>,
    exclude: Modules,
    /// Layers to adapt; none when all are.
    layers: Option<Vec<usize>>,
    layers_pattern: Vec<Regex>,
    /// Fields that say how A and B began, as they stand in the file: of no consequence for weights that are read.
    pub init: Map<String, Value>,
    /// Modules that are trained in full, as PEFT's `modules_to_save`.
    pub saved: Vec<String>,
    saved_patterns: Vec<Regex>,
}

impl Settings {
    /// Reads `adapter_config.json` in `folder`; `tasks` are the task types that the model can have.
    pub fn read(folder: &Path, tasks: &[&str]) -> Result<Self, HuggingFaceError> {
        let path = folder.join(CONFIG_FILE);
        let fields = Fields::read(&path)?;
        let reader = Reader { fields: &fields };
        reader.refuse(tasks)?;
        let names = |field| reader.names(field);
        let classifies = fields
            .get("task_type")
            .is_some_and(|task| task == "SEQ_CLS");
        let mut saved = names("modules_to_save")?;
        if classifies {
            saved.extend(HEADS.map(str::to_owned));
        }
        let whole = |module: &String| {
            // as PEFT, which takes these names for regular expressions here and for endings elsewhere
            reader.pattern("modules_to_save", module, |m| {
                format!(r"^(|.*\.){m}($|\..*)")
            })
        };
        let saved_patterns = saved.iter().map(whole).collect::<Result<_, _>>()?;
        let mut layers_pattern = match fields.get("layers_pattern") {
            Some(Value::String(one)) => vec![one.clone()],
            _ => names("layers_pattern")?,
        };
        layers_pattern.retain(|pattern| !pattern.is_empty());
        if layers_pattern.is_empty() {
            layers_pattern.push("[^.]*".to_owned());
        }
        let in_layers = |name: &String| {
            reader.pattern("layers_pattern", name, |p| format!(r"^.*\.{p}\.(\d+)\."))
        };
        Ok(Self {
            rank: fields.size("r", 1, None)?,
            // 8 is PEFT's default
            alpha: fields
                .get("lora_alpha")
                .map_or(Ok(8.0), |value| reader.number("lora_alpha", value))?,
            rank_stabilised: fields.flag("use_rslora", false)?,
            ranks: reader.patterns("rank_pattern", |field, value| {
                let rank = value.as_u64().filter(|&rank| rank > 0);
                let wrong =
                    || fields.unsupported(field, value, "whole numbers from 1 on by module");
                rank.map(|rank| rank as usize).ok_or_else(wrong)
            })?,
            alphas: reader.patterns("alpha_pattern", |field, value| reader.number(field, value))?,
            target: reader.modules("target_modules")?,
            exclude: reader
                .modules("exclude_modules")?
                .unwrap_or(Modules::Ending(vec![])),
            layers: reader.layers()?,
            init: reader.init()?,
            layers_pattern: layers_pattern
                .iter()
                .map(in_layers)
                .collect::<Result<_, _>>()?,
            saved,
            saved_patterns,
            path,
        })
    }

    /// Rank r and scale α/r, or α/√r with `use_rslora`, of the adapter on a module.
    pub fn rank_and_scale(&self, module: &str) -> (usize, f64) {
        let rank = first_match(&self.ranks, module).unwrap_or(self.rank);
        let alpha = first_match(&self.alphas, module).unwrap_or(self.alpha);
        let over = if self.rank_stabilised {
            (rank as f64).sqrt()
        } else {
            rank as f64
        };
        (rank, alpha / over)
    }

    /// Whether PEFT hangs an adapter on a linear layer (`check_target_module_exists`); `None` when the settings
    /// leave that to PEFT's defaults.
    pub fn adapts(&self, module: &str) -> Option<bool> {
        let target = self.target.as_ref()?;
        let saved = || self.saved_patterns.iter().any(|p| p.is_match(module));
        if self.exclude.contain(module) || saved() {
            return Some(false);
        }
        let by_ending = matches!(target, Modules::Ending(_)) && !target.name_in_full(module);
        let in_layers = || match &self.layers {
            Some(layers) if by_ending => self.layer_of(module).is_some_and(|l| layers.contains(&l)),
            _ => true,
        };
        let found = target.contain(module) && in_layers();
        Some(found)
    }

    /// The layer that a module is in, by the first pattern that its name matches.
    fn layer_of(&self, module: &str) -> Option<usize> {
        let mut found = self
            .layers_pattern
            .iter()
            .filter_map(|p| p.captures(module)?.get(1));
        found.next()?.as_str().parse().ok()
    }

    /// The module that is saved in full and holds a parameter: the shortest name before the parameter's that
    /// ends with one of [`Self::saved`].
    pub fn saved_module<'a>(&self, parameter: &'a str) -> Option<&'a str> {
        saved_module(&self.saved, parameter)
    }
}

/// See [`Settings::saved_module`].
pub fn saved_module<'a>(saved: &[String], parameter: &'a str) -> Option<&'a str> {
    let ends = parameter.match_indices('.').map(|(at, _)| &parameter[..at]);
    let mut modules =
        ends.filter(|module| saved.iter().any(|name| module.ends_with(name.as_str())));
    modules.next()
}

/// The value of the first pattern that a module's name matches (`get_pattern_key`).
fn first_match<T: Copy>(patterns: &[(Regex, T)], module: &str) -> Option<T> {
    let found = patterns
        .iter()
        .find(|(pattern, _)| pattern.is_match(module));
    found.map(|&(_, value)| value)
}

/// Reads fields.
struct Reader<'a> {
    fields: &'a Fields,
}

impl Reader<'_> {
    /// Refuses what would make the adapter compute something else than W x + s·B A x.
    fn refuse(&self, tasks: &[&str]) -> Result<(), HuggingFaceError> {
        let fields = self.fields;
        fields.only("peft_type", "LORA".into())?;
        if let Some(task) = fields.get("task_type")
            && !tasks.iter().any(|known| task == known)
        {
            let tasks = tasks.iter().map(|task| format!("\"{task}\", "));
            let allowed = format!("{}null", tasks.collect::<String>());
            return Err(fields.unsupported("task_type", task, allowed));
        }
        for field in [
            "use_dora",
            "use_qalora",
            "use_bdlora",
            "lora_bias",
            "ensure_weight_tying",
        ] {
            fields.only(field, false.into())?;
        }
        fields.only("bias", "none".into())?;
        for field in [
            "layer_replication",
            "target_parameters",
            "trainable_token_indices",
            "alora_invocation_tokens",
            "megatron_config",
            "arrow_config",
        ] {
            let empty = |value: &Value| match value {
                Value::Array(items) => items.is_empty(),
                Value::Object(items) => items.is_empty(),
                _ => false,
            };
            if let Some(found) = fields.get(field).filter(|value| !empty(value)) {
                return Err(fields.unsupported(field, found, "null"));
            }
        }
        Ok(())
    }

    /// `init_lora_weights` and what belongs to it. Refused where A and B began by changing the weights of the base, which
    /// are then not those of the checkpoint.
    fn init(&self) -> Result<Map<String, Value>, HuggingFaceError> {
        const FIELD: &str = "init_lora_weights";
        let known = match self.fields.get(FIELD) {
            None | Some(Value::Bool(_)) => true,
            Some(Value::String(name)) => {
                name.eq_ignore_ascii_case("gaussian") || name == "eva" || name == "orthogonal"
            }
            Some(_) => false,
        };
        match self.fields.get(FIELD) {
            Some(found) if !known => Err(self.fields.unsupported(
                FIELD,
                found,
                "true, false, \"gaussian\", \"eva\", \"orthogonal\"; PiSSA, OLoRA, CorDA and LoftQ change the base's weights, which the adapter does not hold: save it with PEFT's path_initial_model_for_weight_conversion, which makes it a plain LoRA",
            )),
            _ => {
                let given = |field: &str| Some((field.to_owned(), self.fields.get(field)?.clone()));
                Ok([FIELD, "eva_config"].into_iter().filter_map(given).collect())
            }
        }
    }

    fn number(&self, field: &'static str, value: &Value) -> Result<f64, HuggingFaceError> {
        let number = value.as_f64().filter(|number| number.is_finite());
        number.ok_or_else(|| self.fields.unsupported(field, value, "a number"))
    }

    /// A list of names; empty where the field is missing.
    fn names(&self, field: &'static str) -> Result<Vec<String>, HuggingFaceError> {
        let Some(value) = self.fields.get(field) else {
            return Ok(Vec::new());
        };
        let names = value.as_array().map(|names| {
            let names = names.iter().map(|name| name.as_str().map(str::to_owned));
            names.collect::<Option<Vec<_>>>()
        });
        names
            .flatten()
            .ok_or_else(|| self.fields.unsupported(field, value, "a list of names"))
    }

    fn pattern(
        &self,
        field: &'static str,
        text: &str,
        whole: impl Fn(&str) -> String,
    ) -> Result<Regex, HuggingFaceError> {
        Regex::new(&whole(text)).map_err(|_| self.fields.unsupported(field, &text.into(), PATTERN))
    }

    /// Values by pattern, in the order of the file.
    fn patterns<T>(
        &self,
        field: &'static str,
        read: impl Fn(&'static str, &Value) -> Result<T, HuggingFaceError>,
    ) -> Result<Vec<(Regex, T)>, HuggingFaceError> {
        let none = Map::new();
        let map = match self.fields.get(field) {
            None => &none,
            Some(Value::Object(map)) => map,
            Some(other) => return Err(self.fields.unsupported(field, other, "values by module")),
        };
        let one = |(key, value): (&String, &Value)| {
            let pattern = self.pattern(field, key, |key| format!(r"^(.*\.)?({key})$"))?;
            Ok((pattern, read(field, value)?))
        };
        map.iter().map(one).collect()
    }

    fn modules(&self, field: &'static str) -> Result<Option<Modules>, HuggingFaceError> {
        match self.fields.get(field) {
            None => Ok(None),
            Some(Value::String(text)) => {
                let wrong = |_| {
                    self.fields
                        .unsupported(field, &text.as_str().into(), PATTERN)
                };
                Modules::pattern(text).map(Some).map_err(wrong)
            }
            Some(_) => Ok(Some(Modules::Ending(self.names(field)?))),
        }
    }

    fn layers(&self) -> Result<Option<Vec<usize>>, HuggingFaceError> {
        const FIELD: &str = "layers_to_transform";
        let whole = |value: &Value| value.as_u64().map(|layer| layer as usize);
        match self.fields.get(FIELD) {
            None => Ok(None),
            Some(Value::Array(list)) if list.is_empty() => Ok(None),
            Some(value) => {
                let layers = match value {
                    Value::Array(list) => list.iter().map(whole).collect::<Option<Vec<_>>>(),
                    one => whole(one).map(|layer| vec![layer]),
                };
                let wrong = || {
                    self.fields
                        .unsupported(FIELD, value, "a layer or a list of layers")
                };
                layers.map(Some).ok_or_else(wrong)
            }
        }
    }
}
