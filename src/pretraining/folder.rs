//! The files of a pipeline in diffusers' layout.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::error::PretrainingError;
use super::settings::PipelineSettings;
use crate::atomic;
use crate::checkpoints::layout::{
    CONFIG_FILE, PIPELINE_FILE, PIPELINE_STEM, SCHEDULER, SCHEDULER_FILE, TEXT_ENCODER, TOKENIZER,
    UNET, VAE,
};
use crate::models::files;
use crate::models::parameter::{Parameter, Role, export};
use crate::tasks::text::train::TokenizerFiles;

/// A folder that a pipeline is written to.
pub(super) struct Folder(pub PathBuf);

impl Folder {
    /// Writes a file.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), PretrainingError> {
        let path = self.0.join(name);
        atomic::write(&path, bytes).map_err(|source| PretrainingError::Write { path, source })
    }

    /// Writes a value as JSON.
    pub fn json(&self, name: &str, value: &impl Serialize) -> Result<(), PretrainingError> {
        let path = self.0.join(name);
        atomic::write_json(&path, value).map_err(|source| PretrainingError::Write { path, source })
    }

    /// Tokenizer and the settings of all parts, with the autoencoder's scaling factor.
    pub fn describe(
        &self,
        settings: &PipelineSettings,
        tokenizer: &TokenizerFiles,
        scaling_factor: f64,
    ) -> Result<(), PretrainingError> {
        for (name, text) in &tokenizer.files {
            self.write(&format!("{TOKENIZER}/{name}"), text.as_bytes())?;
        }
        let part = |name: &str| format!("{name}/{CONFIG_FILE}");
        self.json(&part(VAE), &vae(settings, scaling_factor))?;
        self.json(&part(UNET), &unet(settings))?;
        self.json(&part(TEXT_ENCODER), &text(settings, tokenizer.vocabulary))?;
        // those of Stable Diffusion 1.5
        let scheduler = json!({
            "_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
            "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "clip_sample": false,
            "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1,
            "trained_betas": null,
        });
        self.json(&format!("{SCHEDULER}/{SCHEDULER_FILE}"), &scheduler)?;
        let index = json!({
            "_class_name": "StableDiffusionPipeline",
            "feature_extractor": [null, null], "requires_safety_checker": false,
            "safety_checker": [null, null],
            "scheduler": ["diffusers", "PNDMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        });
        self.json(PIPELINE_FILE, &index)
    }

    /// Writes the weights of a part; `prefix` goes before their names.
    pub fn weights(
        &self,
        part: &str,
        prefix: &str,
        parameters: Vec<Parameter<'_>>,
    ) -> Result<(), PretrainingError> {
        let stem = match part {
            TEXT_ENCODER => "model",
            _ => PIPELINE_STEM,
        };
        let weights = export(parameters, &[Role::Base]).into_iter();
        let weights = weights.map(|(name, array)| (format!("{prefix}{name}"), array));
        let path = self.path(part, &format!("{stem}.safetensors"));
        // transformers asks which framework wrote a file
        Ok(files::save(&path, &weights.collect(), ("format", "pt"))?)
    }

    fn path(&self, part: &str, name: &str) -> PathBuf {
        Path::join(&self.0, part).join(name)
    }
}

fn vae(settings: &PipelineSettings, scaling_factor: f64) -> Value {
    let own = &settings.autoencoder;
    let blocks = |kind: &str| vec![kind.to_owned(); own.channels.len()];
    json!({
        "_class_name": "AutoencoderKL", "act_fn": "silu", "in_channels": 3, "out_channels": 3,
        "latent_channels": own.latents, "block_out_channels": own.channels,
        "layers_per_block": own.layers, "norm_num_groups": own.groups,
        "down_block_types": blocks("DownEncoderBlock2D"),
        "up_block_types": blocks("UpDecoderBlock2D"),
        "sample_size": settings.images.resolution, "scaling_factor": scaling_factor,
    })
}

fn unet(settings: &PipelineSettings) -> Value {
    let own = &settings.unet;
    let blocks = |plain: &str, attends: &mut dyn Iterator<Item = &bool>| -> Vec<String> {
        let kind = |attends: &bool| match attends {
            true => format!("CrossAttn{plain}"),
            false => plain.to_owned(),
        };
        attends.map(kind).collect()
    };
    let factor = 1 << (settings.autoencoder.channels.len() - 1);
    json!({
        "_class_name": "UNet2DConditionModel", "act_fn": "silu", "center_input_sample": false,
        "in_channels": settings.autoencoder.latents, "out_channels": settings.autoencoder.latents,
        "block_out_channels": own.channels, "layers_per_block": own.layers,
        // as in Stable Diffusion 1.5, this is the number of heads
        "attention_head_dim": own.heads, "cross_attention_dim": settings.text_encoder.hidden,
        "down_block_types": blocks("DownBlock2D", &mut own.attends.iter()),
        "up_block_types": blocks("UpBlock2D", &mut own.attends.iter().rev()),
        "downsample_padding": 1, "flip_sin_to_cos": true, "freq_shift": 0,
        "mid_block_scale_factor": 1, "norm_eps": 1e-5, "norm_num_groups": own.groups,
        "sample_size": settings.images.resolution / factor,
    })
}

fn text(settings: &PipelineSettings, vocabulary: usize) -> Value {
    let own = &settings.text_encoder;
    json!({
        "architectures": ["CLIPTextModel"], "model_type": "clip_text_model",
        "vocab_size": vocabulary, "hidden_size": own.hidden, "intermediate_size": own.ffn,
        "num_hidden_layers": own.layers, "num_attention_heads": own.heads,
        "max_position_embeddings": own.length, "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5, "bos_token_id": vocabulary - 2, "eos_token_id": vocabulary - 1,
        "pad_token_id": vocabulary - 1,
    })
}
