//! Variational autoencoder of images (diffusers' `AutoencoderKL`; Kingma and Welling, 2014; Rombach et al., 2022).

use burn::tensor::{Device, Tensor};

use super::layers::{Conv2d, GroupNorm, from_tokens, nearest, to_tokens};
use super::parts::{Parts, parts};
use super::resnet::{Resnet, ResnetShape};
use super::vae_config::VaeConfig;
use crate::models::lora::LoraLinear;
use crate::models::ops::{self, Attend, Reach};
use crate::models::parameter::Parameter;
use crate::models::pass::Pass;

/// ε of every normalisation.
const EPSILON: f64 = 1e-6;
/// Bounds of the posterior's log variance.
const LOG_VARIANCE: (f64, f64) = (-30.0, 20.0);

/// Self-attention of a single head over all points, added to its input.
#[derive(Clone, Debug)]
struct Attention {
    group_norm: GroupNorm,
    to_q: LoraLinear,
    to_k: LoraLinear,
    to_v: LoraLinear,
    to_out: LoraLinear,
}
parts!(Attention: group_norm, to_q, to_k, to_v, to_out);

impl Attention {
    fn new(name: &str, channels: usize, groups: usize, device: &Device) -> Self {
        let linear =
            |part: &str| LoraLinear::new(format!("{name}.{part}"), channels, channels, device);
        Self {
            group_norm: GroupNorm::new(
                format!("{name}.group_norm"),
                channels,
                groups,
                EPSILON,
                device,
            ),
            to_q: linear("to_q"),
            to_k: linear("to_k"),
            to_v: linear("to_v"),
            to_out: linear("to_out.0"),
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let [_, _, h, w] = x.dims();
        let tokens = to_tokens(self.group_norm.forward(x.clone()));
        let [query, key, value] =
            [&self.to_q, &self.to_k, &self.to_v].map(|linear| linear.forward(tokens.clone(), pass));
        let mixed = ops::attention(query, key, value, Attend::heads(1, Reach::Everything), None);
        from_tokens(self.to_out.forward(mixed, pass), [h, w]) + x
    }
}

/// Residual blocks at one size, an attention among them, and the convolution that leads to the next size.
#[derive(Clone, Debug)]
struct Block {
    first: Resnet,
    attention: Option<Attention>,
    rest: Vec<Resnet>,
    resampler: Option<Conv2d>,
}
parts!(Block: first, attention, rest, resampler);

impl Block {
    fn new(
        name: &str,
        [inputs, outputs]: [usize; 2],
        resnets: usize,
        groups: usize,
        device: &Device,
    ) -> Self {
        let resnet = |index: usize, inputs| {
            let shape = ResnetShape {
                inputs,
                outputs,
                groups,
                epsilon: EPSILON,
                time: None,
            };
            Resnet::new(&format!("{name}.resnets.{index}"), shape, device)
        };
        Self {
            first: resnet(0, inputs),
            attention: None,
            rest: (1..resnets).map(|index| resnet(index, outputs)).collect(),
            resampler: None,
        }
    }

    fn bottom(name: &str, config: &VaeConfig, channels: usize, device: &Device) -> Self {
        let name = format!("{name}.mid_block");
        let attention = config.attends.then(|| {
            let name = format!("{name}.attentions.0");
            Attention::new(&name, channels, config.groups, device)
        });
        Self {
            attention,
            ..Self::new(&name, [channels; 2], 2, config.groups, device)
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let mut x = self.first.forward(x, None, pass);
        if let Some(attention) = &self.attention {
            x = attention.forward(x, pass);
        }
        for resnet in &self.rest {
            x = resnet.forward(x, None, pass);
        }
        x
    }
}

/// Images → mean and log variance of their latents.
#[derive(Clone, Debug)]
struct Encoder {
    conv_in: Conv2d,
    down: Vec<Block>,
    middle: Block,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}
parts!(Encoder: conv_in, down, middle, conv_norm_out, conv_out);

impl Encoder {
    fn new(config: &VaeConfig, device: &Device) -> Self {
        let channels = &config.channels;
        let last = channels.len() - 1;
        let block = |level: usize| {
            let name = format!("encoder.down_blocks.{level}");
            let width = [channels[level.saturating_sub(1)], channels[level]];
            let resampler = (level < last).then(|| {
                let name = format!("{name}.downsamplers.0.conv");
                Conv2d::downsampling(name, channels[level], 0, device)
            });
            Block {
                resampler,
                ..Block::new(&name, width, config.resnets, config.groups, device)
            }
        };
        let deepest = channels[last];
        Self {
            conv_in: Conv2d::new("encoder.conv_in", config.inputs, channels[0], device),
            down: (0..=last).map(block).collect(),
            middle: Block::bottom("encoder", config, deepest, device),
            conv_norm_out: GroupNorm::new(
                "encoder.conv_norm_out",
                deepest,
                config.groups,
                EPSILON,
                device,
            ),
            conv_out: Conv2d::new("encoder.conv_out", deepest, 2 * config.latents, device),
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let mut x = self.conv_in.forward(x);
        for block in &self.down {
            x = block.forward(x, pass);
            if let Some(conv) = &block.resampler {
                x = conv.forward(x);
            }
        }
        x = self.middle.forward(x, pass);
        self.conv_out.forward(self.conv_norm_out.forward_silu(x))
    }
}

/// Latents → images.
#[derive(Clone, Debug)]
struct Decoder {
    conv_in: Conv2d,
    middle: Block,
    up: Vec<Block>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}
parts!(Decoder: conv_in, middle, up, conv_norm_out, conv_out);

impl Decoder {
    fn new(config: &VaeConfig, device: &Device) -> Self {
        let channels = &config.channels;
        let last = channels.len() - 1;
        let block = |index: usize| {
            let level = last - index;
            let name = format!("decoder.up_blocks.{index}");
            let width = [channels[(level + 1).min(last)], channels[level]];
            let resampler = (level > 0).then(|| {
                let name = format!("{name}.upsamplers.0.conv");
                Conv2d::new(name, channels[level], channels[level], device)
            });
            Block {
                resampler,
                ..Block::new(&name, width, config.resnets + 1, config.groups, device)
            }
        };
        let deepest = channels[last];
        Self {
            conv_in: Conv2d::new("decoder.conv_in", config.latents, deepest, device),
            middle: Block::bottom("decoder", config, deepest, device),
            up: (0..=last).map(block).collect(),
            conv_norm_out: GroupNorm::new(
                "decoder.conv_norm_out",
                channels[0],
                config.groups,
                EPSILON,
                device,
            ),
            conv_out: Conv2d::new("decoder.conv_out", channels[0], config.outputs, device),
        }
    }

    fn forward(&self, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let mut x = self.middle.forward(self.conv_in.forward(x), pass);
        for block in &self.up {
            x = block.forward(x, pass);
            if let Some(conv) = &block.resampler {
                let [_, _, h, w] = x.dims();
                x = conv.forward(nearest(x, [2 * h, 2 * w]));
            }
        }
        self.conv_out.forward(self.conv_norm_out.forward_silu(x))
    }
}

/// Encoder and decoder.
#[derive(Clone, Debug)]
pub struct Vae {
    encoder: Encoder,
    quant_conv: Option<Conv2d>,
    post_quant_conv: Option<Conv2d>,
    decoder: Decoder,
    scaling_factor: f64,
    shift_factor: f64,
}
parts!(Vae: encoder, quant_conv, post_quant_conv, decoder);

/// Normal distribution of the latents of every image, independent at every point, before scaling.
#[derive(Clone, Debug)]
pub struct Posterior {
    /// Mean, `[n, latents, h, w]`.
    pub mean: Tensor<4>,
    /// Logarithm of the variance, of the same shape, between −30 and 20.
    pub log_variance: Tensor<4>,
}

impl Posterior {
    /// mean + e^(log variance / 2)·noise.
    pub fn sample(&self, noise: Tensor<4>) -> Tensor<4> {
        self.mean.clone() + (self.log_variance.clone() * 0.5).exp() * noise
    }
}

impl Vae {
    /// Zeros, to be initialised or loaded.
    pub fn new(config: &VaeConfig, device: &Device) -> Self {
        let pointwise = |name: &str, channels| Conv2d::pointwise(name, channels, channels, device);
        Self {
            encoder: Encoder::new(config, device),
            quant_conv: config
                .quant_conv
                .then(|| pointwise("quant_conv", 2 * config.latents)),
            post_quant_conv: config
                .post_quant_conv
                .then(|| pointwise("post_quant_conv", config.latents)),
            decoder: Decoder::new(config, device),
            scaling_factor: config.scaling_factor,
            shift_factor: config.shift_factor,
        }
    }

    /// Every parameter in a stable order.
    pub fn parameters(&mut self) -> Vec<Parameter<'_>> {
        let mut all = Vec::new();
        Parts::parameters(self, &mut all);
        all
    }

    /// Images `[n, channels, h, w]` with numbers from −1 to 1 → the posterior of their latents.
    pub fn encode(&self, images: Tensor<4>) -> Posterior {
        let mut x = self.encoder.forward(images, &mut Pass::Plain);
        if let Some(conv) = &self.quant_conv {
            x = conv.forward(x);
        }
        let latents = x.dims()[1] / 2;
        let (low, high) = LOG_VARIANCE;
        Posterior {
            mean: x.clone().narrow(1, 0, latents),
            log_variance: x.narrow(1, latents, latents).clamp(low, high),
        }
    }

    /// What the encoder gives, before scaling → images, not clamped.
    pub fn decode(&self, z: Tensor<4>) -> Tensor<4> {
        let z = match &self.post_quant_conv {
            Some(conv) => conv.forward(z),
            None => z,
        };
        self.decoder.forward(z, &mut Pass::Plain)
    }

    /// (z − shift)·scale: the latents that a UNet sees.
    pub fn scale(&self, z: Tensor<4>) -> Tensor<4> {
        (z - self.shift_factor) * self.scaling_factor
    }

    /// The way back of [`Self::scale`].
    pub fn unscale(&self, latents: Tensor<4>) -> Tensor<4> {
        latents / self.scaling_factor + self.shift_factor
    }
}
