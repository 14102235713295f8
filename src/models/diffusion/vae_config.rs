//! Settings of an autoencoder, from diffusers' `vae/config.json`.

use std::path::Path;

use serde_json::Value;

use super::settings::{divides, positive, sizes, words};
use crate::checkpoints::layout::CONFIG_FILE;
use crate::checkpoints::{Fields, HuggingFaceError};

/// Sizes and settings of an autoencoder; defaults are those of diffusers' `AutoencoderKL`.
#[derive(Clone, Debug, PartialEq)]
pub struct VaeConfig {
    /// Channels of the images in.
    pub inputs: usize,
    /// Channels of the images out.
    pub outputs: usize,
    /// Channels of the latents.
    pub latents: usize,
    /// Channels of every level, from the images' size down.
    pub channels: Vec<usize>,
    /// Residual blocks a level of the encoder; the decoder has one more.
    pub resnets: usize,
    /// Groups of every normalisation.
    pub groups: usize,
    /// Latents are (z − shift)·scale.
    pub scaling_factor: f64,
    /// See `scaling_factor`.
    pub shift_factor: f64,
    /// Whether there is a pointwise convolution after the encoder.
    pub quant_conv: bool,
    /// Whether there is one before the decoder.
    pub post_quant_conv: bool,
    /// Whether the blocks at the bottom have an attention.
    pub attends: bool,
}

impl VaeConfig {
    /// Reads `config.json` in `folder`.
    ///
    /// # Errors
    /// When it cannot be read, contradicts itself, or asks for what there is not.
    pub fn read(folder: &Path) -> Result<Self, HuggingFaceError> {
        let fields = Fields::read(&folder.join(CONFIG_FILE))?;
        fields.only("_class_name", Value::from("AutoencoderKL"))?;
        fields.one_of("act_fn", &["silu", "swish"])?;
        for field in ["latents_mean", "latents_std"] {
            fields.only(field, Value::Null)?;
        }
        let channels = sizes(&fields, "block_out_channels")?;
        for (field, only) in [
            ("down_block_types", "DownEncoderBlock2D"),
            ("up_block_types", "UpDecoderBlock2D"),
        ] {
            words(&fields, field, &[only], channels.len())?;
        }
        let groups = fields.size("norm_num_groups", 1, Some(32))?;
        divides(&fields, "norm_num_groups", groups, &channels)?;
        let shift_factor = match fields.get("shift_factor") {
            None => 0.0,
            Some(value) => value
                .as_f64()
                .filter(|shift| shift.is_finite())
                .ok_or_else(|| fields.unsupported("shift_factor", value, "a number"))?,
        };
        Ok(Self {
            inputs: fields.size("in_channels", 1, Some(3))?,
            outputs: fields.size("out_channels", 1, Some(3))?,
            latents: fields.size("latent_channels", 1, Some(4))?,
            resnets: fields.size("layers_per_block", 1, Some(1))?,
            groups,
            scaling_factor: positive(&fields, "scaling_factor", 0.18215)?,
            shift_factor,
            quant_conv: fields.flag("use_quant_conv", true)?,
            post_quant_conv: fields.flag("use_post_quant_conv", true)?,
            attends: fields.flag("mid_block_add_attention", true)?,
            channels,
        })
    }

    /// How many times smaller than an image its latents are, along each side.
    pub fn factor(&self) -> usize {
        1 << (self.channels.len() - 1)
    }
}

/// A tensor's name as diffusers has it today, for files that know the attention's layers by older
/// names.
pub fn today(name: &str) -> String {
    let Some((start, end)) = name.split_once(".attentions.") else {
        return name.to_owned();
    };
    let mut end = end.to_owned();
    for (old, new) in [
        (".query.", ".to_q."),
        (".key.", ".to_k."),
        (".value.", ".to_v."),
        (".proj_attn.", ".to_out.0."),
    ] {
        end = end.replace(old, new);
    }
    format!("{start}.attentions.{end}")
}
