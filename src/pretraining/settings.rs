//! Settings of a pipeline that is trained from images. Defaults are a model for icons of 32 × 32 pixels with 4.1 million
//! parameters, about 30 minutes of processor time.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::input::Problem;
use crate::models::diffusion::Sampling;
use crate::tasks::pictures::Fit;

/// A pipeline that is trained from captioned images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineSettings {
    /// The images.
    pub images: ImageSettings,
    /// Decides initial weights, order, noise and what is held out.
    #[serde(default)]
    pub seed: u64,
    /// AutoencoderKL.
    #[serde(default)]
    pub autoencoder: AutoencoderSettings,
    /// CLIP's tokenizer and text encoder.
    #[serde(default)]
    pub text_encoder: TextEncoderSettings,
    /// UNet2DConditionModel.
    #[serde(default)]
    pub unet: UnetSettings,
    /// Images that are drawn at the end.
    #[serde(default)]
    pub samples: SampleSettings,
}

/// Images with captions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageSettings {
    /// JSON lines, an image a line: `file_name` (or `image`, relative to the list) and the caption in `text`. Relative to
    /// the folder that infbench is started in.
    pub path: PathBuf,
    /// Further lists that the autoencoder alone is trained on; their captions are not read.
    #[serde(default)]
    pub autoencoder_only: Vec<PathBuf>,
    /// Pixels a side.
    #[serde(default = "resolution")]
    #[schemars(range(min = 8, max = 1024))]
    pub resolution: usize,
    /// How an image becomes a square.
    #[serde(default)]
    pub fit: Fit,
    /// Images of `path` that are drawn to be held out: the record has reconstruction and loss of these.
    #[serde(default = "held_out")]
    #[schemars(range(min = 1))]
    pub held_out: usize,
}

fn resolution() -> usize {
    32
}

fn held_out() -> usize {
    128
}

/// Sizes and training of the autoencoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AutoencoderSettings {
    /// Channels of every level, from the images' size down; every further level halves the sides.
    #[schemars(length(min = 1, max = 6), inner(range(min = 1)))]
    pub channels: Vec<usize>,
    /// Residual blocks a level of the encoder; the decoder has one more.
    #[schemars(range(min = 1))]
    pub layers: usize,
    /// Channels of the latents.
    #[schemars(range(min = 1))]
    pub latents: usize,
    /// Groups of every normalisation; divides all channels.
    #[schemars(range(min = 1))]
    pub groups: usize,
    /// Weight of the Kullback–Leibler divergence of the posterior from a standard normal distribution, mean over the
    /// latents, beside mean absolute and mean square error of the pixels.
    #[schemars(range(min = 0.0, max = 1e3))]
    pub kl: f64,
    /// Share of the images that are mirrored left to right.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub flip: f64,
    /// How it is trained.
    pub training: TrainingSettings,
}

impl Default for AutoencoderSettings {
    fn default() -> Self {
        Self {
            channels: vec![24, 48, 48],
            layers: 1,
            latents: 4,
            groups: 8,
            kl: 1e-3,
            flip: 0.5,
            training: TrainingSettings {
                steps: 1800,
                batch_size: 32,
                lr: 2.5e-3,
                warmup: 50,
                schedule: Schedule::Cosine,
                weight_decay: 1e-4,
                ema: 0.0,
            },
        }
    }
}

/// Sizes of tokenizer and text encoder, which is trained with the UNet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TextEncoderSettings {
    /// Most tokens of the byte-level BPE that is learnt on the captions, the bytes (512), start and end included.
    #[schemars(range(min = 514, max = 49_408))]
    pub vocabulary: usize,
    /// Tokens that every caption is filled up or cut to.
    #[schemars(range(min = 3, max = 1024))]
    pub length: usize,
    /// Width, which the UNet attends to.
    #[schemars(range(min = 1))]
    pub hidden: usize,
    /// Width of the feed-forward layers.
    #[schemars(range(min = 1))]
    pub ffn: usize,
    /// Layers.
    #[schemars(range(min = 1))]
    pub layers: usize,
    /// Heads of every attention.
    #[schemars(range(min = 1))]
    pub heads: usize,
}

impl Default for TextEncoderSettings {
    fn default() -> Self {
        Self {
            vocabulary: 2048,
            length: 16,
            hidden: 96,
            ffn: 256,
            layers: 2,
            heads: 4,
        }
    }
}

/// Sizes and training of the UNet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UnetSettings {
    /// Channels of every level, from the latents' size down.
    #[schemars(length(min = 1, max = 6), inner(range(min = 1)))]
    pub channels: Vec<usize>,
    /// Which levels attend to the text; the middle does.
    #[schemars(length(min = 1, max = 6))]
    pub attends: Vec<bool>,
    /// Residual blocks a level on the way down; there is one more on the way up.
    #[schemars(range(min = 1))]
    pub layers: usize,
    /// Heads of every attention.
    #[schemars(range(min = 1))]
    pub heads: usize,
    /// Groups of every normalisation; divides all channels.
    #[schemars(range(min = 1))]
    pub groups: usize,
    /// Share of the captions that are left empty, for guidance.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub empty_captions: f64,
    /// How it is trained, with the text encoder.
    pub training: TrainingSettings,
}

impl Default for UnetSettings {
    fn default() -> Self {
        Self {
            channels: vec![64, 128],
            attends: vec![true, false],
            layers: 1,
            heads: 4,
            groups: 16,
            empty_captions: 0.1,
            training: TrainingSettings {
                steps: 3000,
                batch_size: 64,
                lr: 2e-3,
                warmup: 100,
                schedule: Schedule::Wsd,
                weight_decay: 1e-2,
                ema: 0.999,
            },
        }
    }
}

/// AdamW with β = (0.9, 0.99), gradients clipped to the norm 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingSettings {
    /// Steps.
    #[schemars(range(min = 1))]
    pub steps: usize,
    /// Examples a step, drawn with replacement.
    #[schemars(range(min = 1))]
    pub batch_size: usize,
    /// Highest learning rate.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub lr: f64,
    /// Steps in which the rate rises from zero.
    pub warmup: usize,
    /// How the rate falls.
    pub schedule: Schedule,
    /// AdamW's.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub weight_decay: f64,
    /// Decay of the exponential moving average of the weights, which is what is kept: at step s (from 0) it is
    /// min(ema, (1 + s)/(10 + s)). 0 keeps the last weights.
    #[schemars(range(min = 0.0, max = 0.99999))]
    pub ema: f64,
}

impl Default for TrainingSettings {
    fn default() -> Self {
        UnetSettings::default().training
    }
}

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Not at all.
    Constant,
    /// As half a cosine, to a hundredth.
    Cosine,
    /// Constant for three fifths of the steps, then linear, to a fiftieth (warm-up, stable, decay).
    Wsd,
}

impl TrainingSettings {
    /// The learning rate at a step, from 0.
    pub fn lr_at(&self, step: usize) -> f64 {
        let part = step as f64 / self.steps as f64;
        let rise = match self.warmup {
            0 => 1.0,
            warmup => ((step + 1) as f64 / warmup as f64).min(1.0),
        };
        let fall = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * part).cos()) + 0.01,
            Schedule::Wsd => (1.0 - (part - 0.6).max(0.0) / 0.4).max(0.02),
        };
        self.lr * rise * fall
    }

    /// The decay of the moving average at a step, from 0.
    pub fn ema_at(&self, step: usize) -> f64 {
        self.ema.min((1 + step) as f64 / (10 + step) as f64)
    }
}

/// Images that are drawn at the end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SampleSettings {
    /// Captions, four images each. None: the first four captions that are held out.
    pub prompts: Vec<String>,
    /// How they are sampled.
    pub sampling: Sampling,
}

impl PipelineSettings {
    /// The first contradiction between settings, with the field that it is about.
    pub fn problem(&self) -> Option<(&'static str, Problem)> {
        let Self {
            images,
            autoencoder,
            text_encoder,
            unet,
            ..
        } = self;
        let divides = |field, divisor: usize, of: &[usize]| {
            let odd = of.iter().find(|channels| **channels % divisor != 0)?;
            let problem = format!("{divisor} does not divide {odd}, one of the channels");
            Some((field, Problem::new(problem)))
        };
        let factor = 1 << (autoencoder.channels.len() - 1);
        let sides = images.resolution % factor != 0;
        let sides = sides.then(|| {
            let problem = format!(
                "{} is not divisible by {factor}, the size of a latent by `autoencoder.channels`",
                images.resolution
            );
            ("images.resolution", Problem::new(problem))
        });
        let levels = (unet.attends.len() != unet.channels.len()).then(|| {
            let problem = format!(
                "{} values for {} levels: one a level is needed",
                unet.attends.len(),
                unet.channels.len()
            );
            ("unet.attends", Problem::new(problem))
        });
        let text = text_encoder;
        sides
            .or_else(|| {
                divides(
                    "autoencoder.groups",
                    autoencoder.groups,
                    &autoencoder.channels,
                )
            })
            .or(levels)
            .or_else(|| divides("unet.groups", unet.groups, &unet.channels))
            .or_else(|| divides("unet.heads", unet.heads, &unet.channels))
            .or_else(|| divides("text_encoder.heads", text.heads, &[text.hidden]))
    }
}
