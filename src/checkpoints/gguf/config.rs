//! The settings of a model in a GGUF file, as the config.json that it was converted from.

use serde_json::{Map, Value, json};

use super::Gguf;
use super::architecture::{heads, required};
use super::error::GgufError;
use super::metadata::Metadata;
use super::names::{EMBEDDING, ROPE_FACTORS};
use super::rope;

/// Fields of an architecture that are honoured below, or change nothing.
const KNOWN: [&str; 26] = [
    "attention.causal",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.sliding_window",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "expert_count",
    "expert_used_count",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.alpha",
    "rope.scaling.attn_factor",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "tensor_data_layout",
    "use_parallel_residual",
    "vocab_size",
    "pooling_type",
];
/// What the fields of YaRN begin with.
const YARN: &str = "rope.scaling.yarn_";

impl Gguf {
    /// What config.json of the model would hold.
    ///
    /// # Errors
    /// Settings that are missing or cannot be honoured.
    pub fn config(&self) -> Result<Map<String, Value>, GgufError> {
        let metadata = &self.metadata;
        let architecture = self.architecture;
        let key = |name: &str| format!("{architecture}.{name}");
        refuse_unknown(metadata, architecture)?;
        let heads = heads(metadata, architecture)?;
        for name in ["attention.value_length", "rope.dimension_count"] {
            let found = metadata.size(&key(name))?;
            if found.is_some_and(|found| found != heads.size as u64) {
                let allowed = format!("{}, the size of a head", heads.size);
                return Err(metadata.unsupported(&key(name), allowed));
            }
        }
        let embedding = self.place(EMBEDDING).ok_or_else(|| {
            metadata.damaged(format!(
                "the tensor `{EMBEDDING}` is missing; it is no whole model"
            ))
        })?;
        let vocabulary = embedding.shape.first().copied().unwrap_or_default();
        let base = metadata.number(&key("rope.freq_base"))?.unwrap_or(10_000.0);
        let factors = self.raw(ROPE_FACTORS);
        let scaling = rope::scaling(metadata, architecture, base, heads.size, factors.as_deref())?;
        let window = metadata.size(&key("attention.sliding_window"))?;
        let family = match (architecture, window) {
            ("llama", Some(1..)) => "mistral",
            (_, None | Some(0)) => architecture,
            _ => return Err(metadata.unsupported(&key("attention.sliding_window"), "0")),
        };
        let epsilon = key("attention.layer_norm_rms_epsilon");
        let epsilon = metadata
            .number(&epsilon)?
            .ok_or_else(|| metadata.missing(&epsilon))?;
        let mut config = json!({
            "model_type": family,
            "vocab_size": vocabulary,
            "hidden_size": required(metadata, &key("embedding_length"))?,
            "intermediate_size": required(metadata, &key("feed_forward_length"))?,
            "num_hidden_layers": required(metadata, &key("block_count"))?,
            "num_attention_heads": heads.query,
            "num_key_value_heads": heads.key,
            "head_dim": heads.size,
            "max_position_embeddings": required(metadata, &key("context_length"))?,
            "rms_norm_eps": epsilon,
            "rope_theta": base,
            "rope_scaling": scaling,
            "hidden_act": "silu",
            "tie_word_embeddings": self.place("output.weight").is_none(),
        });
        if architecture == "llama" {
            config["attention_bias"] = self.place("blk.0.attn_output.bias").is_some().into();
            config["mlp_bias"] = self.place("blk.0.ffn_gate.bias").is_some().into();
        }
        if family == "mistral" {
            config["sliding_window"] = window.into();
        }
        for (field, id) in [("bos_token_id", "bos"), ("pad_token_id", "padding")] {
            if let Some(id) = metadata.size(&format!("tokenizer.ggml.{id}_token_id"))? {
                config[field] = id.into();
            }
        }
        // a text ends with any of these
        let mut ends: Vec<u64> = Vec::new();
        for id in ["eos", "eot", "eom"] {
            let id = metadata.size(&format!("tokenizer.ggml.{id}_token_id"))?;
            ends.extend(id.filter(|id| !ends.contains(id)));
        }
        match ends[..] {
            [] => {}
            [end] => config["eos_token_id"] = end.into(),
            _ => config["eos_token_id"] = ends.into(),
        }
        match config {
            Value::Object(config) => Ok(config),
            _ => unreachable!("the literal above is an object"),
        }
    }
}

/// Refuses fields that would change the numbers and are not honoured.
fn refuse_unknown(metadata: &Metadata, architecture: &str) -> Result<(), GgufError> {
    let prefix = format!("{architecture}.");
    for key in metadata.keys() {
        let Some(name) = key.strip_prefix(&prefix) else {
            continue;
        };
        if !KNOWN.contains(&name) && !name.starts_with(YARN) {
            return Err(metadata.unsupported(key, "no such field: it is not honoured here"));
        }
    }
    for name in ["expert_count", "expert_used_count"] {
        let key = prefix.clone() + name;
        if metadata.size(&key)?.unwrap_or(0) != 0 {
            return Err(metadata.unsupported(&key, "0: mixtures of experts are not read"));
        }
    }
    for (name, only) in [("attention.causal", true), ("use_parallel_residual", false)] {
        let key = prefix.clone() + name;
        if metadata.flag(&key)?.is_some_and(|found| found != only) {
            return Err(metadata.unsupported(&key, only.to_string()));
        }
    }
    Ok(())
}
