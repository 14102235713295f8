//! `config.json` of a Hugging Face checkpoint: the fields that decide a network, checked one by one.
//!
//! A value that this crate cannot honour is an error, never a guess. What is a family's own is in its file; what encoders
//! or decoders share is in [`encoder`] and [`decoder`].

mod bert;
mod decoder;
mod encoder;
mod llama;
mod mistral;
mod qwen2;
mod qwen3;
mod roberta;

use std::path::Path;

use burn::tensor::Device;

use super::dropout::DropoutProbabilities;
use super::head::Head;
use super::llama::LlamaShape;
use super::transformer::Pooling;
use crate::checkpoints::{Fields, HuggingFaceError};
pub use encoder::Encoder;

/// Families of checkpoints; they differ in names and in what config.json means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Encoder; pooler (tanh of a dense layer on `[CLS]`), then a linear classifier.
    Bert,
    /// Encoder; positions begin behind the padding's id; a head of dense, tanh, linear on `<s>`.
    Roberta,
    /// Decoder.
    Llama,
    /// Decoder with a sliding window.
    Mistral,
    /// Decoder with biases of queries, keys and values.
    Qwen2,
    /// Decoder with normalised heads.
    Qwen3,
}

impl Family {
    /// All of them.
    const ALL: [Self; 6] = [
        Self::Bert,
        Self::Roberta,
        Self::Llama,
        Self::Mistral,
        Self::Qwen2,
        Self::Qwen3,
    ];

    /// `model_type` in config.json.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bert => bert::NAME,
            Self::Roberta => roberta::NAME,
            Self::Llama => llama::NAME,
            Self::Mistral => mistral::NAME,
            Self::Qwen2 => qwen2::NAME,
            Self::Qwen3 => qwen3::NAME,
        }
    }

    /// What stands before the names of the parameters in a file, but for those of the head.
    pub fn prefix(self) -> &'static str {
        if self.generates() {
            decoder::PREFIX
        } else {
            self.name()
        }
    }

    /// Whether it is a causal language model, not an encoder with a classifier.
    pub fn generates(self) -> bool {
        match self {
            Self::Bert | Self::Roberta => false,
            Self::Llama | Self::Mistral | Self::Qwen2 | Self::Qwen3 => true,
        }
    }

    /// The classifier of a sequence, zeros.
    pub(super) fn head(self, hidden: usize, classes: usize, device: &Device) -> Head {
        match self {
            Self::Roberta => roberta::head(hidden, classes, device),
            _ => bert::head(hidden, classes, device),
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

/// What config.json says of a network.
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
    /// Width of the feed-forward layers.
    pub ffn: usize,
    /// Dropout in train mode.
    pub dropout: DropoutProbabilities,
    /// The rest.
    pub architecture: Architecture,
}

/// Which network a checkpoint is of.
#[derive(Clone, Debug, PartialEq)]
pub enum Architecture {
    /// BERT's.
    Encoder(Encoder),
    /// Llama's.
    Decoder(LlamaShape),
}

impl HuggingFaceConfig {
    /// Reads `config.json` of the checkpoint in `folder`.
    ///
    /// # Errors
    /// No such folder or file, no JSON, a field missing, or one whose value is not supported.
    pub fn read(folder: &Path) -> Result<Self, HuggingFaceError> {
        config(&Fields::of_model(folder)?)
    }

    /// Longest sequence that has positions; rotary embeddings have no end.
    pub fn longest(&self) -> usize {
        match &self.architecture {
            Architecture::Encoder(encoder) => {
                let before = encoder.shape.padding.map_or(0, |id| id + 1);
                encoder.positions.saturating_sub(before)
            }
            Architecture::Decoder(_) => usize::MAX,
        }
    }
}

/// The settings of a checkpoint from its config.json.
fn config(fields: &Fields) -> Result<HuggingFaceConfig, HuggingFaceError> {
    let family = Family::read(fields)?;
    if let Some(found) = fields.get("quantization_config") {
        return Err(fields.unsupported("quantization_config", found, "none"));
    }
    let decoder = match family {
        Family::Bert => return encoder(family, fields, bert::POOLING, None),
        Family::Roberta => {
            let padding = roberta::padding(fields)?;
            return encoder(family, fields, roberta::POOLING, Some(padding));
        }
        Family::Llama => llama::config(fields),
        Family::Mistral => mistral::config(fields),
        Family::Qwen2 => qwen2::config(fields),
        Family::Qwen3 => qwen3::config(fields),
    };
    let (shape, dropout) = decoder?;
    Ok(HuggingFaceConfig {
        family,
        vocabulary: shape.vocabulary,
        hidden: shape.hidden,
        layers: shape.layers(),
        ffn: shape.ffn,
        dropout,
        architecture: Architecture::Decoder(shape),
    })
}

/// The settings of an encoder.
fn encoder(
    family: Family,
    fields: &Fields,
    pooling: Pooling,
    padding: Option<usize>,
) -> Result<HuggingFaceConfig, HuggingFaceError> {
    let (encoder, dropout) = encoder::config(fields, pooling, padding)?;
    Ok(HuggingFaceConfig {
        family,
        vocabulary: encoder.vocabulary,
        hidden: encoder.shape.hidden,
        layers: encoder.shape.layers,
        ffn: encoder.shape.ffn,
        dropout,
        architecture: Architecture::Encoder(encoder),
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
        let Architecture::Encoder(Encoder { shape, .. }) = &config.architecture else {
            panic!("an encoder")
        };
        assert_eq!((shape.padding, config.longest()), (Some(1), 512));
        assert_eq!((shape.layers, shape.types), (24, 1));
        assert_eq!(shape.layer_norm_eps, 1e-5);
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
            (
                "model_type",
                json!("t5"),
                "\"bert\", \"roberta\", \"llama\"",
            ),
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
