//! Settings of a UNet, from diffusers' `unet/config.json`.
//!
//! Defaults are those of diffusers' `UNet2DConditionModel`, whose fields are all known here: what SD 1.x and its
//! relatives do not need is refused by name. Fields that diffusers does not know are passed over, as it does.

use std::path::Path;

use serde_json::Value;

use super::settings::{divides, only_number, per_level, positive, sizes, words};
use crate::checkpoints::layout::CONFIG_FILE;
use crate::checkpoints::{Fields, HuggingFaceError};

/// Fields that may be absent or null only, because they add inputs or modules that SD 1.x does not have.
const ABSENT: [&str; 12] = [
    "reverse_transformer_layers_per_block",
    "encoder_hid_dim",
    "encoder_hid_dim_type",
    "num_attention_heads",
    "class_embed_type",
    "addition_embed_type",
    "num_class_embeds",
    "time_embedding_act_fn",
    "timestep_post_act",
    "time_cond_proj_dim",
    "projection_class_embeddings_input_dim",
    "cross_attention_norm",
];

/// Sizes and settings of a UNet.
#[derive(Clone, Debug, PartialEq)]
pub struct UnetConfig {
    /// Channels of the latents.
    pub inputs: usize,
    /// Channels of the prediction.
    pub outputs: usize,
    /// Side of the latents that it was trained for; `None` when unsaid.
    pub sample_size: Option<usize>,
    /// Whether x becomes 2x − 1 first.
    pub center_input: bool,
    /// Whether cosines come before sines in the time embedding.
    pub cosine_first: bool,
    /// Shift of the frequencies of the time embedding.
    pub frequency_shift: usize,
    /// Width of the embedded time.
    pub time_width: usize,
    /// Whether the time scales and shifts, or is added.
    pub scale_shift: bool,
    /// From the latents' size down.
    pub levels: Vec<LevelConfig>,
    /// The block at the bottom.
    pub middle: Middle,
    /// Padding of the downsampling convolutions, 0 or 1.
    pub downsample_padding: usize,
    /// Groups of every group normalisation.
    pub groups: usize,
    /// ε of the group normalisations outside the transformers.
    pub epsilon: f64,
    /// Whether transformers project by linear layers; else by pointwise convolutions.
    pub linear_projection: bool,
}

/// One level: a block on the way down and one on the way up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelConfig {
    /// Channels.
    pub channels: usize,
    /// Residual blocks on the way down; there is one more on the way up.
    pub resnets: usize,
    /// Whether the block on the way down has transformers.
    pub attends_down: bool,
    /// Whether the block on the way up has transformers.
    pub attends_up: bool,
    /// Heads of every attention.
    pub heads: usize,
    /// Width of the text states.
    pub context: usize,
    /// Transformer blocks in every transformer.
    pub depth: usize,
}

/// The block at the bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Middle {
    /// Residual block, transformer, residual block.
    CrossAttention,
    /// One residual block.
    Plain,
    /// Nothing.
    Absent,
}

impl UnetConfig {
    /// Reads `config.json` in `folder`.
    ///
    /// # Errors
    /// When it cannot be read, contradicts itself, or asks for what there is not.
    pub fn read(folder: &Path) -> Result<Self, HuggingFaceError> {
        let fields = Fields::read(&folder.join(CONFIG_FILE))?;
        refuse(&fields)?;
        let channels = sizes(&fields, "block_out_channels")?;
        let count = channels.len();
        let list = |field, default| per_level(&fields, field, count, default);
        let resnets = list("layers_per_block", 2)?;
        let heads = list("attention_head_dim", 8)?;
        let context = list("cross_attention_dim", 1280)?;
        let depth = list("transformer_layers_per_block", 1)?;
        let down = ["CrossAttnDownBlock2D", "DownBlock2D"];
        let down = words(&fields, "down_block_types", &down, count)?;
        let up = ["CrossAttnUpBlock2D", "UpBlock2D"];
        let up = words(&fields, "up_block_types", &up, count)?;
        let levels: Vec<LevelConfig> = (0..count)
            .map(|level| LevelConfig {
                channels: channels[level],
                resnets: resnets[level],
                attends_down: down[level].starts_with("Cross"),
                attends_up: up[count - 1 - level].starts_with("Cross"),
                heads: heads[level],
                context: context[level],
                depth: depth[level],
            })
            .collect();
        let middle = middle(&fields)?;
        let groups = fields.size("norm_num_groups", 1, Some(32))?;
        divides(&fields, "norm_num_groups", groups, &channels)?;
        for (index, level) in levels.iter().enumerate() {
            let below = index + 1 == count && middle == Middle::CrossAttention;
            if level.attends_down || level.attends_up || below {
                divides(
                    &fields,
                    "attention_head_dim",
                    level.heads,
                    &[level.channels],
                )?;
            }
        }
        let padding = fields.size("downsample_padding", 0, Some(1))?;
        if padding > 1 {
            let found = Value::from(padding);
            return Err(fields.unsupported("downsample_padding", &found, "0, 1"));
        }
        let scale_shift = fields.one_of("resnet_time_scale_shift", &["default", "scale_shift"])?;
        Ok(Self {
            inputs: fields.size("in_channels", 1, Some(4))?,
            outputs: fields.size("out_channels", 1, Some(4))?,
            sample_size: fields
                .get("sample_size")
                .and_then(Value::as_u64)
                .map(|size| size as usize),
            center_input: fields.flag("center_input_sample", false)?,
            cosine_first: fields.flag("flip_sin_to_cos", true)?,
            frequency_shift: fields.size("freq_shift", 0, Some(0))?,
            time_width: fields.size("time_embedding_dim", 1, Some(4 * channels[0]))?,
            scale_shift: scale_shift == Some("scale_shift"),
            levels,
            middle,
            downsample_padding: padding,
            groups,
            epsilon: positive(&fields, "norm_eps", 1e-5)?,
            linear_projection: fields.flag("use_linear_projection", false)?,
        })
    }
}

/// Refuses what there is not.
fn refuse(fields: &Fields) -> Result<(), HuggingFaceError> {
    for field in ABSENT {
        fields.only(field, Value::Null)?;
    }
    for field in [
        "dual_cross_attention",
        "only_cross_attention",
        "mid_block_only_cross_attention",
        "resnet_skip_time_act",
        "class_embeddings_concat",
    ] {
        fields.only(field, Value::from(false))?;
    }
    fields.only("_class_name", Value::from("UNet2DConditionModel"))?;
    fields.one_of("act_fn", &["silu", "swish"])?;
    fields.one_of("time_embedding_type", &["positional"])?;
    fields.one_of("attention_type", &["default"])?;
    only_number(fields, "dropout", 0.0)?;
    only_number(fields, "mid_block_scale_factor", 1.0)?;
    only_number(fields, "resnet_out_scale_factor", 1.0)?;
    only_number(fields, "conv_in_kernel", 3.0)?;
    only_number(fields, "conv_out_kernel", 3.0)?;
    if fields.is_null("norm_num_groups") {
        let allowed = "a whole number from 1 on";
        return Err(fields.unsupported("norm_num_groups", &Value::Null, allowed));
    }
    Ok(())
}

fn middle(fields: &Fields) -> Result<Middle, HuggingFaceError> {
    if fields.is_null("mid_block_type") {
        return Ok(Middle::Absent);
    }
    let known = ["UNetMidBlock2DCrossAttn", "UNetMidBlock2D"];
    Ok(match fields.one_of("mid_block_type", &known)? {
        Some("UNetMidBlock2D") => Middle::Plain,
        _ => Middle::CrossAttention,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(change: impl Fn(&mut Value)) -> Result<UnetConfig, HuggingFaceError> {
        // the file of SD v1.5
        let mut value = json!({
            "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.6.0", "act_fn": "silu",
            "attention_head_dim": 8, "block_out_channels": [320, 640, 1280, 1280],
            "center_input_sample": false, "cross_attention_dim": 768,
            "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
                "CrossAttnDownBlock2D", "DownBlock2D"],
            "downsample_padding": 1, "flip_sin_to_cos": true, "freq_shift": 0, "in_channels": 4,
            "layers_per_block": 2, "mid_block_scale_factor": 1, "norm_eps": 1e-5,
            "norm_num_groups": 32, "out_channels": 4, "sample_size": 64,
            "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D",
                "CrossAttnUpBlock2D"],
        });
        change(&mut value);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(CONFIG_FILE), value.to_string()).unwrap();
        UnetConfig::read(folder.path())
    }

    #[test]
    fn settings_of_sd_are_read() {
        let config = read(|_| ()).unwrap();
        let level = |channels, attends| LevelConfig {
            channels,
            resnets: 2,
            attends_down: attends,
            attends_up: attends,
            heads: 8,
            context: 768,
            depth: 1,
        };
        let levels = vec![
            level(320, true),
            level(640, true),
            level(1280, true),
            level(1280, false),
        ];
        assert_eq!(config.levels, levels);
        assert_eq!((config.groups, config.time_width), (32, 1280));
        assert_eq!(config.middle, Middle::CrossAttention);
        let lists = read(|config| {
            config["layers_per_block"] = json!([1, 2, 3, 4]);
            config["mid_block_type"] = json!(null);
        });
        let lists = lists.unwrap();
        let resnets = lists.levels.iter().map(|level| level.resnets);
        assert_eq!(resnets.collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(lists.middle, Middle::Absent);
    }

    #[test]
    fn what_there_is_not_is_refused_with_field_found_and_allowed() {
        for (field, value, allowed) in [
            ("act_fn", json!("gelu"), "\"silu\""),
            (
                "down_block_types",
                json!(["AttnDownBlock2D"]),
                "\"DownBlock2D\"",
            ),
            ("down_block_types", json!(["DownBlock2D"]), "a list of 4 of"),
            (
                "mid_block_type",
                json!("UNetMidBlock2DSimpleCrossAttn"),
                "\"UNetMidBlock2D\"",
            ),
            ("addition_embed_type", json!("text_time"), "null"),
            ("dual_cross_attention", json!(true), "false"),
            (
                "norm_num_groups",
                json!(48),
                "a divisor of the 320 channels",
            ),
            (
                "attention_head_dim",
                json!([7, 8, 8, 8]),
                "a divisor of the 320 channels",
            ),
            ("attention_head_dim", json!([8, 8]), "a list of 4"),
            ("layers_per_block", json!(0), "a whole number from 1"),
            ("downsample_padding", json!(2), "0, 1"),
            ("norm_eps", json!(0), "a positive number"),
            ("dropout", json!(0.1), "0"),
            ("block_out_channels", json!([]), "a list of whole numbers"),
            (
                "resnet_time_scale_shift",
                json!("spatial"),
                "\"scale_shift\"",
            ),
            ("_class_name", json!("UNet2DModel"), "UNet2DConditionModel"),
        ] {
            let error = read(|config| config[field] = value.clone()).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains(&format!("config.json: `{field}` is ")),
                "{text}"
            );
            assert!(text.contains(allowed), "{text}");
        }
        // diffusers itself takes a zero for none
        assert!(read(|config| config["dropout"] = json!(0)).is_ok());
        // what diffusers does not know, it passes over
        assert!(read(|config| config["decay"] = json!(0.9999)).is_ok());
    }
}
