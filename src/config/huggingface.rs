//! `config.json` of a Hugging Face checkpoint: the fields that decide an encoder, checked one by one.
//!
//! A value that this crate cannot honour is an error, never a guess. Fields that transformers lets a
//! file leave out have transformers' defaults: `hidden_act` gelu, `layer_norm_eps` 1e-12,
//! `type_vocab_size` 2, `pad_token_id` 0 for BERT and 1 for RoBERTa, `hidden_dropout_prob` and
//! `attention_probs_dropout_prob` 0.1, `classifier_dropout` that of `hidden_dropout_prob`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use thiserror::Error;

use crate::input::{self, InputError, quote};

/// Name of the file in a checkpoint's folder.
pub const CONFIG_FILE: &str = "config.json";
/// Name of the tokenizer's file in a checkpoint's folder.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// Settings that override the tokenizer's file.
pub const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";
/// Special tokens, in checkpoints whose settings do not have them.
pub const SPECIAL_TOKENS_FILE: &str = "special_tokens_map.json";
/// Ids of tokens added to the vocabulary, in older checkpoints.
pub const ADDED_TOKENS_FILE: &str = "added_tokens.json";
/// The vocabulary of WordPiece, a token a line.
pub const WORD_PIECE_FILE: &str = "vocab.txt";
/// The vocabulary of byte-level BPE and its merges.
pub const BPE_FILES: [&str; 2] = ["vocab.json", "merges.txt"];
/// What a tokenizer can be made of: any of these, the first that is there.
pub const TOKENIZERS: [&[&str]; 3] = [&[TOKENIZER_FILE], &[WORD_PIECE_FILE], &BPE_FILES];
/// Files that change a tokenizer when they are there.
pub const TOKENIZER_SETTINGS: [&str; 3] = [
    TOKENIZER_CONFIG_FILE,
    SPECIAL_TOKENS_FILE,
    ADDED_TOKENS_FILE,
];
/// Name of the weights in a checkpoint's folder.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// Name of the list of files of weights in shards.
pub const SHARDS_FILE: &str = "model.safetensors.index.json";

/// Why a checkpoint's settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HuggingFaceError {
    /// No such folder.
    #[error(
        "there is no folder {path}. A checkpoint is a folder with config.json, model.safetensors and tokenizer.json"
    )]
    NoFolder {
        /// The path given.
        path: PathBuf,
    },
    /// No file of a tokenizer.
    #[error(
        "{path} has no tokenizer: expected tokenizer.json, or vocab.txt (BERT), or vocab.json and merges.txt (RoBERTa)"
    )]
    NoTokenizer {
        /// The folder.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A field is missing.
    #[error("{path}: the field `{field}` is missing")]
    Missing {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
    },
    /// A field has a value that is not supported.
    #[error("{path}: `{field}` is {found}; allowed: {allowed}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// The value found, as JSON, cut when it is long.
        found: String,
        /// What would be allowed.
        allowed: String,
    },
}

impl HuggingFaceError {
    /// There is no tokenizer in a folder.
    pub fn no_tokenizer(folder: &Path) -> Self {
        Self::NoTokenizer {
            path: folder.to_owned(),
        }
    }
}

/// Families of encoders; they differ in names, positions and head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Pooler (tanh of a dense layer on `[CLS]`), then a linear classifier.
    Bert,
    /// Positions begin behind the padding's id; a head of dense, tanh, linear on `<s>`.
    Roberta,
}

impl Family {
    /// `model_type` in config.json, which is also the prefix of the encoder's parameters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Roberta => "roberta",
        }
    }
}

/// Nonlinearity of the feed-forward layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x·Φ(x), exactly.
    Gelu,
    /// x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2.
    GeluTanh,
    /// max(x, 0).
    Relu,
}

/// Dropout of a network in train mode, outside any adapters, by the names of config.json.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DropoutProbabilities {
    /// `hidden_dropout_prob`: on the normalised embeddings, and on the outputs of attention and of the feed-forward
    /// layers before the residual is added; in an MLP on the activations between hidden layers.
    pub hidden: f64,
    /// `attention_probs_dropout_prob`: on the attention weights, after the softmax.
    pub attention: f64,
    /// `classifier_dropout`: on the input of every layer of the classifier.
    pub classifier: f64,
}

impl DropoutProbabilities {
    /// The same probability everywhere.
    pub fn all(p: f64) -> Self {
        Self {
            hidden: p,
            attention: p,
            classifier: p,
        }
    }

    /// Whether something below the classifier is dropped, so that the activations of an example change from pass to
    /// pass.
    pub fn in_encoder(self) -> bool {
        self.hidden > 0.0 || self.attention > 0.0
    }
}

/// What config.json says of an encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct HuggingFaceConfig {
    /// The family.
    pub family: Family,
    /// Token ids.
    pub vocabulary: usize,
    /// Width.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward layers.
    pub ffn: usize,
    /// Rows of the table of positions.
    pub positions: usize,
    /// Token types (segments).
    pub types: usize,
    /// Nonlinearity.
    pub activation: Activation,
    /// ε of the layer normalisations.
    pub layer_norm_eps: f64,
    /// The padding's id for RoBERTa, whose positions begin behind it; none for BERT.
    pub padding: Option<usize>,
    /// Dropout in train mode.
    pub dropout: DropoutProbabilities,
}

impl HuggingFaceConfig {
    /// Reads `config.json` of the checkpoint in `folder`.
    ///
    /// # Errors
    /// No such folder or file, no JSON, a field missing, or one whose value is not supported.
    pub fn read(folder: &Path) -> Result<Self, HuggingFaceError> {
        if !folder.is_dir() {
            return Err(HuggingFaceError::NoFolder {
                path: folder.to_owned(),
            });
        }
        let path = folder.join(CONFIG_FILE);
        Fields::read(&path)?.config()
    }

    /// Longest sequence that has positions.
    pub fn longest(&self) -> usize {
        self.positions
            .saturating_sub(self.padding.map_or(0, |id| id + 1))
    }
}

/// Whether a folder holds the files of a tokenizer.
pub fn has_tokenizer(folder: &Path) -> bool {
    let whole = |names: &[&str]| names.iter().all(|name| folder.join(name).is_file());
    TOKENIZERS.iter().any(|names| whole(names))
}

/// The fields of a JSON file, for errors that name it.
pub struct Fields {
    path: PathBuf,
    map: Map<String, Value>,
}

impl Fields {
    /// Reads a file that holds one JSON object.
    ///
    /// # Errors
    /// When it cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Self, HuggingFaceError> {
        Ok(Self {
            path: path.to_owned(),
            map: input::json(path)?,
        })
    }

    /// [`Self::read`], or no fields where there is no file.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_if_there(path: &Path) -> Result<Self, HuggingFaceError> {
        if path.exists() {
            return Self::read(path);
        }
        Ok(Self {
            path: path.to_owned(),
            map: Map::new(),
        })
    }

    /// All fields.
    pub fn map(&self) -> &Map<String, Value> {
        &self.map
    }

    /// Whether a field is there and null.
    pub fn is_null(&self, field: &str) -> bool {
        self.map.get(field).is_some_and(Value::is_null)
    }

    /// True or false, or `default` where the field is missing.
    ///
    /// # Errors
    /// When it is something else.
    pub fn flag(&self, field: &'static str, default: bool) -> Result<bool, HuggingFaceError> {
        match self.map.get(field) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.unsupported(field, other, "true, false")),
        }
    }

    /// One of some words; nothing where the field is missing.
    ///
    /// # Errors
    /// When it is something else.
    pub fn one_of(
        &self,
        field: &'static str,
        allowed: &[&str],
    ) -> Result<Option<&str>, HuggingFaceError> {
        match self.map.get(field) {
            None => Ok(None),
            Some(Value::String(word)) if allowed.contains(&word.as_str()) => Ok(Some(word)),
            Some(other) => {
                let allowed = allowed.iter().map(|word| format!("\"{word}\""));
                Err(self.unsupported(field, other, allowed.collect::<Vec<_>>().join(", ")))
            }
        }
    }

    /// The value of a field; a null is no value.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    /// An error about a field's value.
    pub fn unsupported(
        &self,
        field: &'static str,
        found: &Value,
        allowed: impl Into<String>,
    ) -> HuggingFaceError {
        HuggingFaceError::Unsupported {
            path: self.path.clone(),
            field,
            found: quote(&found.to_string()),
            allowed: allowed.into(),
        }
    }

    /// A whole number of at least `least`, or `default` where there is none.
    ///
    /// # Errors
    /// When it is missing without a default, or something else.
    pub fn size(
        &self,
        field: &'static str,
        least: u64,
        default: Option<usize>,
    ) -> Result<usize, HuggingFaceError> {
        match (self.get(field), default) {
            (Some(value), _) => value
                .as_u64()
                .filter(|&size| size >= least && size <= u64::from(u32::MAX))
                .map(|size| size as usize)
                .ok_or_else(|| {
                    self.unsupported(field, value, format!("a whole number from {least} on"))
                }),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(HuggingFaceError::Missing {
                path: self.path.clone(),
                field,
            }),
        }
    }

    /// Checks that a field, when it is there, has the one value that is supported.
    ///
    /// # Errors
    /// When it has another.
    pub fn only(&self, field: &'static str, allowed: Value) -> Result<(), HuggingFaceError> {
        match self.get(field) {
            Some(value) if *value != allowed => {
                Err(self.unsupported(field, value, allowed.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// A probability below 1, or `default` where there is none.
    fn probability(&self, field: &'static str, default: f64) -> Result<f64, HuggingFaceError> {
        let Some(value) = self.get(field) else {
            return Ok(default);
        };
        value
            .as_f64()
            .filter(|p| (0.0..1.0).contains(p))
            .ok_or_else(|| self.unsupported(field, value, "a number from 0 to below 1"))
    }

    fn config(&self) -> Result<HuggingFaceConfig, HuggingFaceError> {
        let family = match self.get("model_type") {
            Some(Value::String(name)) if name == "bert" => Family::Bert,
            Some(Value::String(name)) if name == "roberta" => Family::Roberta,
            Some(other) => {
                return Err(self.unsupported("model_type", other, "\"bert\", \"roberta\""));
            }
            None => {
                return Err(HuggingFaceError::Missing {
                    path: self.path.clone(),
                    field: "model_type",
                });
            }
        };
        self.only("position_embedding_type", "absolute".into())?;
        self.only("is_decoder", false.into())?;
        self.only("add_cross_attention", false.into())?;
        if let Some(found) = self.get("quantization_config") {
            return Err(self.unsupported("quantization_config", found, "none"));
        }
        let activation = match self.get("hidden_act").map(|v| (v, v.as_str())) {
            None | Some((_, Some("gelu"))) => Activation::Gelu,
            Some((_, Some("gelu_new" | "gelu_pytorch_tanh"))) => Activation::GeluTanh,
            Some((_, Some("relu"))) => Activation::Relu,
            Some((other, _)) => {
                let allowed = "\"gelu\", \"gelu_new\", \"gelu_pytorch_tanh\", \"relu\"";
                return Err(self.unsupported("hidden_act", other, allowed));
            }
        };
        let layer_norm_eps = match self.get("layer_norm_eps") {
            None => 1e-12,
            Some(value) => value
                .as_f64()
                .filter(|eps| (0.0..1.0).contains(eps))
                .ok_or_else(|| self.unsupported("layer_norm_eps", value, "a number from 0 to 1"))?,
        };
        let hidden = self.size("hidden_size", 1, None)?;
        let heads = self.size("num_attention_heads", 1, None)?;
        if hidden % heads != 0 {
            return Err(self.unsupported(
                "num_attention_heads",
                &heads.into(),
                format!("a divisor of `hidden_size`, {hidden}"),
            ));
        }
        let positions = self.size("max_position_embeddings", 1, None)?;
        let padding = match family {
            Family::Bert => None,
            Family::Roberta => Some(self.size("pad_token_id", 0, Some(1))?),
        };
        let before = padding.map_or(0, |id| id + 1);
        if positions <= before {
            return Err(self.unsupported(
                "max_position_embeddings",
                &positions.into(),
                format!("more than the {before} rows before the first token's"),
            ));
        }
        let hidden_dropout = self.probability("hidden_dropout_prob", 0.1)?;
        let dropout = DropoutProbabilities {
            hidden: hidden_dropout,
            attention: self.probability("attention_probs_dropout_prob", 0.1)?,
            classifier: self.probability("classifier_dropout", hidden_dropout)?,
        };
        Ok(HuggingFaceConfig {
            family,
            vocabulary: self.size("vocab_size", 1, None)?,
            hidden,
            layers: self.size("num_hidden_layers", 1, None)?,
            heads,
            ffn: self.size("intermediate_size", 1, None)?,
            positions,
            types: self.size("type_vocab_size", 1, Some(2))?,
            activation,
            layer_norm_eps,
            padding,
            dropout,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(change: impl Fn(&mut Value)) -> Result<HuggingFaceConfig, HuggingFaceError> {
        let mut value = json!({
            "model_type": "roberta", "vocab_size": 50265, "hidden_size": 1024,
            "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
            "max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1,
            "layer_norm_eps": 1e-5, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
        });
        change(&mut value);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(CONFIG_FILE), value.to_string()).unwrap();
        HuggingFaceConfig::read(folder.path())
    }

    #[test]
    fn roberta_large_is_read() {
        let config = read(|_| ()).unwrap();
        assert_eq!((config.padding, config.longest()), (Some(1), 512));
        assert_eq!((config.layers, config.types), (24, 1));
        assert_eq!(config.layer_norm_eps, 1e-5);
        assert_eq!(config.dropout, DropoutProbabilities::all(0.1));
        let config = read(|config| {
            config["hidden_dropout_prob"] = json!(0.0);
            config["attention_probs_dropout_prob"] = json!(0.25);
            config["classifier_dropout"] = json!(0.5);
        });
        let expected = DropoutProbabilities {
            hidden: 0.0,
            attention: 0.25,
            classifier: 0.5,
        };
        assert_eq!(config.unwrap().dropout, expected);
        // the classifier's falls back on the hidden layers', which falls back on transformers' default
        let config = read(|config| {
            config["hidden_dropout_prob"] = json!(0.3);
            config["classifier_dropout"] = json!(null);
        });
        let expected = DropoutProbabilities {
            hidden: 0.3,
            attention: 0.1,
            classifier: 0.3,
        };
        assert_eq!(config.unwrap().dropout, expected);
    }

    #[test]
    fn what_is_not_supported_is_named_with_file_field_found_and_allowed() {
        for (field, value, allowed) in [
            ("model_type", json!("t5"), "\"bert\", \"roberta\""),
            ("hidden_act", json!("silu"), "\"gelu\", \"gelu_new\""),
            (
                "position_embedding_type",
                json!("relative_key"),
                "\"absolute\"",
            ),
            ("is_decoder", json!(true), "false"),
            ("quantization_config", json!({"bits": 4}), "none"),
            ("num_attention_heads", json!(7), "a divisor"),
            ("layer_norm_eps", json!(-1.0), "a number"),
            ("hidden_dropout_prob", json!(1.0), "a number from 0"),
            (
                "attention_probs_dropout_prob",
                json!(-0.1),
                "a number from 0",
            ),
            ("classifier_dropout", json!("none"), "a number from 0"),
            ("vocab_size", json!("many"), "a whole number"),
            ("max_position_embeddings", json!(2), "more than the 2 rows"),
        ] {
            let text = read(|config| config[field] = value.clone())
                .unwrap_err()
                .to_string();
            let start = format!("config.json: `{field}` is {value}; allowed: ");
            assert!(text.contains(&start), "{text}");
            assert!(text.contains(allowed), "{text}");
        }
        let missing = read(|config| {
            config.as_object_mut().unwrap().remove("vocab_size");
        });
        assert!(matches!(
            missing,
            Err(HuggingFaceError::Missing {
                field: "vocab_size",
                ..
            })
        ));
        let none = HuggingFaceConfig::read(Path::new("nowhere")).unwrap_err();
        assert!(none.to_string().starts_with("there is no folder nowhere"));
    }
}
