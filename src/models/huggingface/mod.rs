//! `config.json` of a Hugging Face checkpoint: the fields that decide an encoder, checked one by one.
//!
//! A value that this crate cannot honour is an error, never a guess. Fields that transformers lets a
//! file leave out have transformers' defaults: `hidden_act` gelu, `layer_norm_eps` 1e-12,
//! `type_vocab_size` 2, `pad_token_id` 0 for BERT and 1 for RoBERTa, `hidden_dropout_prob` and
//! `attention_probs_dropout_prob` 0.1, `classifier_dropout` that of `hidden_dropout_prob`.

mod bert;
mod roberta;

use std::path::Path;

use burn::tensor::Device;

use super::dropout::DropoutProbabilities;
use super::head::Head;
use super::transformer::{Activation, EncoderShape, Pooling};
use crate::checkpoints::{Fields, HuggingFaceError};

/// Families of encoders; they differ in names, positions, pooling and head. What is a family's own is in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Pooler (tanh of a dense layer on `[CLS]`), then a linear classifier.
    Bert,
    /// Positions begin behind the padding's id; a head of dense, tanh, linear on `<s>`.
    Roberta,
}

impl Family {
    /// All of them.
    const ALL: [Self; 2] = [Self::Bert, Self::Roberta];

    /// `model_type` in config.json, which is also the prefix of the encoder's parameters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bert => bert::NAME,
            Self::Roberta => roberta::NAME,
        }
    }

    /// How the last layer's tokens become one vector.
    fn pooling(self) -> Pooling {
        match self {
            Self::Bert => bert::POOLING,
            Self::Roberta => roberta::POOLING,
        }
    }

    /// The classifier of a sequence, zeros.
    pub(super) fn head(self, hidden: usize, classes: usize, device: &Device) -> Head {
        match self {
            Self::Bert => bert::head(hidden, classes, device),
            Self::Roberta => roberta::head(hidden, classes, device),
        }
    }

    /// The padding's id, where positions count from it on.
    fn padding(self, fields: &Fields) -> Result<Option<usize>, HuggingFaceError> {
        match self {
            Self::Bert => Ok(None),
            Self::Roberta => roberta::padding(fields).map(Some),
        }
    }

    /// The family that `model_type` names.
    fn read(fields: &Fields) -> Result<Self, HuggingFaceError> {
        const FIELD: &str = "model_type";
        let found = fields.required(FIELD)?;
        let named = Self::ALL.into_iter().find(|family| found == family.name());
        named.ok_or_else(|| {
            let allowed = Self::ALL.map(|family| format!("\"{}\"", family.name()));
            fields.unsupported(FIELD, found, allowed.join(", "))
        })
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
        config(&Fields::of_model(folder)?)
    }

    /// Longest sequence that has positions.
    pub fn longest(&self) -> usize {
        self.positions
            .saturating_sub(self.padding.map_or(0, |id| id + 1))
    }
}

impl From<&HuggingFaceConfig> for EncoderShape {
    fn from(config: &HuggingFaceConfig) -> Self {
        Self {
            hidden: config.hidden,
            heads: config.heads,
            layers: config.layers,
            ffn: config.ffn,
            layer_norm_eps: config.layer_norm_eps,
            activation: config.activation,
            types: config.types,
            padding: config.padding,
            pooling: config.family.pooling(),
        }
    }
}

/// The settings of an encoder from its config.json.
fn config(fields: &Fields) -> Result<HuggingFaceConfig, HuggingFaceError> {
    let family = Family::read(fields)?;
    fields.only("position_embedding_type", "absolute".into())?;
    fields.only("is_decoder", false.into())?;
    fields.only("add_cross_attention", false.into())?;
    if let Some(found) = fields.get("quantization_config") {
        return Err(fields.unsupported("quantization_config", found, "none"));
    }
    let activation = match fields.get("hidden_act").map(|v| (v, v.as_str())) {
        None | Some((_, Some("gelu"))) => Activation::Gelu,
        Some((_, Some("gelu_new" | "gelu_pytorch_tanh"))) => Activation::GeluTanh,
        Some((_, Some("relu"))) => Activation::Relu,
        Some((other, _)) => {
            let allowed = "\"gelu\", \"gelu_new\", \"gelu_pytorch_tanh\", \"relu\"";
            return Err(fields.unsupported("hidden_act", other, allowed));
        }
    };
    let layer_norm_eps = match fields.get("layer_norm_eps") {
        None => 1e-12,
        Some(value) => value
            .as_f64()
            .filter(|eps| (0.0..1.0).contains(eps))
            .ok_or_else(|| fields.unsupported("layer_norm_eps", value, "a number from 0 to 1"))?,
    };
    let hidden = fields.size("hidden_size", 1, None)?;
    let heads = fields.size("num_attention_heads", 1, None)?;
    if hidden % heads != 0 {
        return Err(fields.unsupported(
            "num_attention_heads",
            &heads.into(),
            format!("a divisor of `hidden_size`, {hidden}"),
        ));
    }
    let positions = fields.size("max_position_embeddings", 1, None)?;
    let padding = family.padding(fields)?;
    let before = padding.map_or(0, |id| id + 1);
    if positions <= before {
        return Err(fields.unsupported(
            "max_position_embeddings",
            &positions.into(),
            format!("more than the {before} rows before the first token's"),
        ));
    }
    let hidden_dropout = fields.probability("hidden_dropout_prob", 0.1)?;
    let dropout = DropoutProbabilities {
        hidden: hidden_dropout,
        attention: fields.probability("attention_probs_dropout_prob", 0.1)?,
        classifier: fields.probability("classifier_dropout", hidden_dropout)?,
    };
    Ok(HuggingFaceConfig {
        family,
        vocabulary: fields.size("vocab_size", 1, None)?,
        hidden,
        layers: fields.size("num_hidden_layers", 1, None)?,
        heads,
        ffn: fields.size("intermediate_size", 1, None)?,
        positions,
        types: fields.size("type_vocab_size", 1, Some(2))?,
        activation,
        layer_norm_eps,
        padding,
        dropout,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::checkpoints::layout::CONFIG_FILE;

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
