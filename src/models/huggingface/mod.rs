//! `config.json` of a Hugging Face checkpoint: the fields that decide a network, checked one by one.
//!
//! A value that this crate cannot honour is an error, never a guess. What is a family's own is in its file: names, PEFT's
//! types of tasks, and how it reads its fields; what encoders or decoders share is in `encoder.rs` and `decoder.rs`. A new
//! family is a file and a line in the table below.

mod bert;
mod config;
mod decoder;
mod encoder;
mod llama;
mod mistral;
mod qwen2;
mod qwen3;
mod roberta;

use std::path::Path;

pub use config::{Described, HuggingFaceConfig};

use super::family::Family;
use crate::checkpoints::{Fields, HuggingFaceError};

/// How a family reads config.json.
type Read = fn(&Fields) -> Result<HuggingFaceConfig, HuggingFaceError>;

/// All families.
const FAMILIES: [(&Family, Read); 6] = [
    (&bert::FAMILY, bert::config),
    (&roberta::FAMILY, roberta::config),
    (&llama::FAMILY, llama::config),
    (&mistral::FAMILY, mistral::config),
    (&qwen2::FAMILY, qwen2::config),
    (&qwen3::FAMILY, qwen3::config),
];

impl HuggingFaceConfig {
    /// Reads `config.json` of the checkpoint in `folder`.
    ///
    /// # Errors
    /// No such folder or file, no JSON, a field missing, or one whose value is not supported.
    pub fn read(folder: &Path) -> Result<Self, HuggingFaceError> {
        let fields = Fields::of_model(folder)?;
        const FIELD: &str = "model_type";
        fields.required(FIELD)?;
        let allowed = FAMILIES.map(|(family, _)| family.model_type);
        let found = fields.one_of(FIELD, &allowed)?;
        let mut families = FAMILIES.iter();
        let (_, read) = families
            .find(|(family, _)| found == Some(family.model_type))
            .expect("it is one of them");
        if let Some(found) = fields.get("quantization_config") {
            return Err(fields.unsupported("quantization_config", found, "none"));
        }
        read(&fields)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::checkpoints::layout::CONFIG_FILE;
    use crate::models::dropout::DropoutProbabilities;

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
        assert_eq!(config.longest, Some(512));
        let text = format!("{:?}", config.network);
        for part in [
            "layers: 24",
            "types: 1",
            "padding: Some(1)",
            "layer_norm_eps: 1e-5",
        ] {
            assert!(text.contains(part), "{text}");
        }
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
