//! What the config.json files of decoders share.
//!
//! Fields that transformers lets a file leave out have transformers' defaults: `rms_norm_eps` 1e-6, `rope_theta` 10000,
//! `tie_word_embeddings` false, `num_key_value_heads` that of `num_attention_heads` (or the family's own), `head_dim`
//! hidden_size/num_attention_heads (or the family's own). The rotary embedding is read in both styles: `rope_theta` and
//! `rope_scaling`, or `rope_parameters` as transformers 5 writes it.

use std::sync::Arc;

use burn::tensor::Device;
use serde_json::Value;

use super::config::{Described, HuggingFaceConfig};
use crate::checkpoints::{Fields, HuggingFaceError};
use crate::models::dropout::DropoutProbabilities;
use crate::models::family::Family;
use crate::models::llama::{Llama, LlamaShape, RopeScaling, RopeSettings};
use crate::models::network::Network;

/// What the families of decoders have in common.
pub(super) const fn family(model_type: &'static str) -> Family {
    Family {
        model_type,
        prefix: "model",
        head: "lm_head",
        trains_head: false,
        tasks: &["CAUSAL_LM", "FEATURE_EXTRACTION"],
    }
}

impl Described for LlamaShape {
    fn network(&self, _classes: usize, device: &Device) -> Box<dyn Network> {
        Box::new(Llama::new(self, device))
    }
}

/// What a family decides by itself, or reads in its own way.
#[derive(Default)]
pub(super) struct Fixed {
    /// Whether queries, keys and values have biases.
    pub query_bias: bool,
    /// Whether the attention's output has one.
    pub output_bias: bool,
    /// Whether the feed-forward layers have biases.
    pub mlp_bias: bool,
    /// Whether heads of queries and keys are normalised.
    pub head_norm: bool,
    /// `head_dim` when the field is missing.
    pub head_dim: Option<usize>,
    /// `num_key_value_heads` when the field is missing.
    pub key_heads: Option<usize>,
    /// The window of every layer; none when the family has none.
    pub windows: Option<Vec<Option<usize>>>,
}

/// Fields of other models that would change the network, and the values at which they change nothing.
fn refuse_what_is_not_honoured(fields: &Fields) -> Result<(), HuggingFaceError> {
    for field in [
        "num_local_experts",
        "num_experts",
        "n_routed_experts",
        "moe_intermediate_size",
        "attn_logit_softcapping",
        "final_logit_softcapping",
        "query_pre_attn_scalar",
        "attention_multiplier",
        "embedding_multiplier",
        "residual_multiplier",
        "logits_scaling",
        "logit_scale",
        "clip_qkv",
        "kv_lora_rank",
        "no_rope_layers",
        "attention_chunk_size",
    ] {
        if let Some(found) = fields.get(field) {
            return Err(fields.unsupported(field, found, "none"));
        }
    }
    for (field, value) in [
        ("rope_interleaved", Value::from(false)),
        ("use_qk_norm", false.into()),
        ("is_encoder_decoder", false.into()),
        ("add_cross_attention", false.into()),
        ("partial_rotary_factor", 1.0.into()),
        ("hidden_act", "silu".into()),
    ] {
        fields.only(field, value)?;
    }
    Ok(())
}

/// The settings of a decoder from its config.json.
pub(super) fn config(
    family: &'static Family,
    fields: &Fields,
    fixed: Fixed,
) -> Result<HuggingFaceConfig, HuggingFaceError> {
    refuse_what_is_not_honoured(fields)?;
    let hidden = fields.size("hidden_size", 1, None)?;
    let heads = fields.size("num_attention_heads", 1, None)?;
    let key_heads = fields.size(
        "num_key_value_heads",
        1,
        Some(fixed.key_heads.unwrap_or(heads)),
    )?;
    if heads % key_heads != 0 {
        return Err(fields.unsupported(
            "num_key_value_heads",
            &key_heads.into(),
            format!("a divisor of `num_attention_heads`, {heads}"),
        ));
    }
    if fields.get("head_dim").is_none() && fixed.head_dim.is_none() && hidden % heads != 0 {
        return Err(fields.unsupported(
            "num_attention_heads",
            &heads.into(),
            format!("a divisor of `hidden_size`, {hidden}, where there is no `head_dim`"),
        ));
    }
    let part = fields.size(
        "head_dim",
        1,
        Some(fixed.head_dim.unwrap_or(hidden / heads)),
    )?;
    if part % 2 != 0 {
        return Err(fields.unsupported("head_dim", &part.into(), "an even number"));
    }
    let layers = fields.size("num_hidden_layers", 1, None)?;
    let dropout = DropoutProbabilities {
        attention: fields.probability("attention_dropout", 0.0)?,
        ..DropoutProbabilities::default()
    };
    let shape = LlamaShape {
        vocabulary: fields.size("vocab_size", 1, None)?,
        hidden,
        ffn: fields.size("intermediate_size", 1, None)?,
        heads,
        key_heads,
        part,
        rms_norm_eps: fields.epsilon("rms_norm_eps", 1e-6)?,
        rope: rope(fields, part)?,
        query_bias: fixed.query_bias,
        output_bias: fixed.output_bias,
        mlp_bias: fixed.mlp_bias,
        head_norm: fixed.head_norm,
        windows: fixed.windows.unwrap_or_else(|| vec![None; layers]),
        tied: fields.flag("tie_word_embeddings", false)?,
    };
    Ok(HuggingFaceConfig {
        family,
        vocabulary: shape.vocabulary,
        longest: None,
        dropout,
        network: Arc::new(shape),
    })
}

/// Windows of layers from `layer_types`, or from `max_window_layers` where that is missing.
pub(super) fn windows(fields: &Fields) -> Result<Vec<Option<usize>>, HuggingFaceError> {
    let layers = fields.size("num_hidden_layers", 1, None)?;
    let window = if fields.flag("use_sliding_window", false)? {
        Some(fields.size("sliding_window", 1, Some(4096))?)
    } else {
        None
    };
    let Some(types) = fields.get("layer_types") else {
        let first = fields.size("max_window_layers", 0, Some(28))?;
        let windows = (0..layers).map(|layer| window.filter(|_| layer >= first));
        return Ok(windows.collect());
    };
    let list = types.as_array().filter(|list| list.len() == layers);
    let windows = list.and_then(|list| {
        let of = |kind: &Value| match kind.as_str() {
            Some("full_attention") => Some(None),
            Some("sliding_attention") => Some(window),
            _ => None,
        };
        list.iter().map(of).collect::<Option<Vec<_>>>()
    });
    windows.ok_or_else(|| {
        let allowed = format!("{layers} times \"full_attention\" or \"sliding_attention\"");
        fields.unsupported("layer_types", types, allowed)
    })
}

/// The rotary embedding, in either style, for heads of width `part`.
fn rope(fields: &Fields, part: usize) -> Result<RopeSettings, HuggingFaceError> {
    let positions = fields.size("max_position_embeddings", 1, Some(2048))?;
    let parameters = match fields.nested("rope_parameters")? {
        Some(parameters) => Some(parameters),
        None => fields.nested("rope_scaling")?,
    };
    let theta = |fields: &Fields| fields.number("rope_theta", Some(1e4), 1.0);
    let Some(of) = parameters else {
        return Ok(RopeSettings {
            theta: theta(fields)?,
            positions,
            scaling: RopeScaling::Default,
        });
    };
    let theta = if of.get("rope_theta").is_some() {
        theta(&of)?
    } else {
        theta(fields)?
    };
    of.only("partial_rotary_factor", 1.0.into())?;
    const KINDS: [&str; 5] = ["default", "linear", "dynamic", "llama3", "yarn"];
    let kind = match of.one_of("rope_type", &KINDS)? {
        Some(kind) => kind,
        None => of.one_of("type", &KINDS)?.unwrap_or("default"),
    };
    let own: &[&str] = match kind {
        "default" => &[],
        "llama3" => &[
            "factor",
            "low_freq_factor",
            "high_freq_factor",
            "original_max_position_embeddings",
        ],
        "yarn" => &[
            "factor",
            "attention_factor",
            "beta_fast",
            "beta_slow",
            "mscale",
            "mscale_all_dim",
            "original_max_position_embeddings",
            "truncate",
        ],
        _ => &["factor", "original_max_position_embeddings"],
    };
    let common = [
        "rope_type",
        "type",
        "rope_theta",
        "partial_rotary_factor",
        "finetuned",
    ];
    let mut names = of.map().keys();
    if let Some(name) =
        names.find(|name| !own.contains(&name.as_str()) && !common.contains(&name.as_str()))
    {
        return Err(of.unknown(name, own));
    }
    let factor = || of.number("factor", None, 1.0);
    let original = || of.size("original_max_position_embeddings", 1, Some(positions));
    let scaling = match kind {
        "default" => RopeScaling::Default,
        "linear" => RopeScaling::Linear { factor: factor()? },
        "dynamic" => {
            of.only("original_max_position_embeddings", positions.into())?;
            if part == 2 {
                return Err(of.unsupported(
                    "rope_type",
                    &kind.into(),
                    "default where heads are 2 wide",
                ));
            }
            RopeScaling::Dynamic { factor: factor()? }
        }
        "llama3" => RopeScaling::Llama3 {
            factor: factor()?,
            low: of.number("low_freq_factor", None, 0.0)?,
            high: of.number("high_freq_factor", None, 0.0)?,
            original: of.size("original_max_position_embeddings", 1, None)?,
        },
        _ => {
            let factor = factor()?;
            let number = |field, default| of.number(field, Some(default), 0.0);
            let scale = |by: f64| {
                if factor <= 1.0 {
                    1.0
                } else {
                    0.1 * by * factor.ln() + 1.0
                }
            };
            let (over, all) = (number("mscale", 0.0)?, number("mscale_all_dim", 0.0)?);
            let default = if over != 0.0 && all != 0.0 {
                scale(over) / scale(all)
            } else {
                scale(1.0)
            };
            RopeScaling::Yarn {
                factor,
                fast: number("beta_fast", 32.0)?,
                slow: number("beta_slow", 1.0)?,
                original: original()?,
                attention: number("attention_factor", default)?,
                truncate: of.flag("truncate", true)?,
            }
        }
    };
    Ok(RopeSettings {
        theta,
        positions,
        scaling,
    })
}
