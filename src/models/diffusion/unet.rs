//! UNet that predicts the noise in latents, attending to a text (diffusers' `UNet2DConditionModel`; Rombach et al.,
//! 2022).

use burn::tensor::{Device, Tensor};

use super::layers::{Conv2d, GroupNorm, nearest};
use super::parts::parts;
use super::resnet::{Resnet, ResnetShape, TimeShape};
use super::time::{Sines, TimeEmbedding};
use super::transformer::{AttentionShape, Transformer};
use super::unet_config::{LevelConfig, Middle, UnetConfig};
use crate::models::ops;
use crate::models::pass::Pass;

/// A residual block, and a transformer after it.
#[derive(Clone, Debug)]
struct Layer {
    resnet: Resnet,
    attention: Option<Transformer>,
}
parts!(Layer: resnet, attention);

/// Layers at one size, and the convolution that leads to the next.
#[derive(Clone, Debug)]
struct Block {
    layers: Vec<Layer>,
    resampler: Option<Conv2d>,
}
parts!(Block: layers, resampler);

/// What all layers see besides their input.
struct Conditions<'a> {
    /// silu of the embedded time, `[n, 1, width]`.
    time: Tensor<3>,
    /// Text states, `[n, t, context]`.
    text: &'a Tensor<3>,
}

impl Layer {
    fn forward(&self, x: Tensor<4>, conditions: &Conditions, pass: &mut Pass) -> Tensor<4> {
        let x = self.resnet.forward(x, Some(&conditions.time), pass);
        match &self.attention {
            Some(attention) => attention.forward(x, conditions.text, pass),
            None => x,
        }
    }
}

/// The UNet.
#[derive(Clone, Debug)]
pub struct Unet {
    time: TimeEmbedding,
    conv_in: Conv2d,
    down: Vec<Block>,
    middle: Option<Block>,
    up: Vec<Block>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    config: UnetConfig,
}
parts!(Unet: time, conv_in, down, middle, up, conv_norm_out, conv_out);

/// Makes the layers of a UNet.
struct Builder<'a> {
    config: &'a UnetConfig,
    device: &'a Device,
}

impl Builder<'_> {
    /// Layer `index` of the block `name`.
    fn layer(
        &self,
        name: &str,
        index: usize,
        [inputs, outputs]: [usize; 2],
        level: Option<&LevelConfig>,
    ) -> Layer {
        let config = self.config;
        let shape = ResnetShape {
            inputs,
            outputs,
            groups: config.groups,
            epsilon: config.epsilon,
            time: Some(TimeShape {
                width: config.time_width,
                scale_shift: config.scale_shift,
            }),
        };
        let attention = level.map(|level| {
            let shape = AttentionShape {
                channels: outputs,
                heads: level.heads,
                context: level.context,
                depth: level.depth,
                groups: config.groups,
                linear_projection: config.linear_projection,
            };
            Transformer::new(&format!("{name}.attentions.{index}"), &shape, self.device)
        });
        Layer {
            resnet: Resnet::new(&format!("{name}.resnets.{index}"), shape, self.device),
            attention,
        }
    }

    /// The block of `level` on the way down.
    fn down(&self, level: usize) -> Block {
        let levels = &self.config.levels;
        let (at, name) = (&levels[level], format!("down_blocks.{level}"));
        let above = levels[level.saturating_sub(1)].channels;
        let layer = |index| {
            let inputs = if index == 0 { above } else { at.channels };
            let attends = at.attends_down.then_some(at);
            self.layer(&name, index, [inputs, at.channels], attends)
        };
        let is_last = level + 1 == levels.len();
        let resampler = (!is_last).then(|| {
            let name = format!("{name}.downsamplers.0.conv");
            let padding = self.config.downsample_padding;
            Conv2d::downsampling(name, at.channels, padding, self.device)
        });
        Block {
            layers: (0..at.resnets).map(layer).collect(),
            resampler,
        }
    }

    fn middle(&self) -> Option<Block> {
        let level = self.config.levels.last().expect("there are levels");
        let width = [level.channels; 2];
        let layer = |index, attends| self.layer("mid_block", index, width, attends);
        let layers = match self.config.middle {
            Middle::CrossAttention => vec![layer(0, Some(level)), layer(1, None)],
            Middle::Plain => vec![layer(0, None)],
            Middle::Absent => return None,
        };
        Some(Block {
            layers,
            resampler: None,
        })
    }

    /// Block `index` on the way up, whose layers take the outputs of the way down besides, last first.
    fn up(&self, index: usize) -> Block {
        let levels = &self.config.levels;
        let level = levels.len() - 1 - index;
        let (at, name) = (&levels[level], format!("up_blocks.{index}"));
        let below = levels[(level + 1).min(levels.len() - 1)].channels;
        let above = levels[level.saturating_sub(1)].channels;
        let layer = |layer| {
            let inputs = if layer == 0 { below } else { at.channels };
            let skip = if layer == at.resnets {
                above
            } else {
                at.channels
            };
            let attends = at.attends_up.then_some(at);
            self.layer(&name, layer, [inputs + skip, at.channels], attends)
        };
        let resampler = (level > 0).then(|| {
            let name = format!("{name}.upsamplers.0.conv");
            Conv2d::new(name, at.channels, at.channels, self.device)
        });
        Block {
            layers: (0..=at.resnets).map(layer).collect(),
            resampler,
        }
    }
}

impl Unet {
    /// Zeros, to be initialised or loaded.
    pub fn new(config: &UnetConfig, device: &Device) -> Self {
        let builder = Builder { config, device };
        let first = config.levels[0].channels;
        let sines = Sines {
            width: first,
            cosine_first: config.cosine_first,
            frequency_shift: config.frequency_shift as f32,
        };
        let levels = 0..config.levels.len();
        Self {
            time: TimeEmbedding::new(sines, config.time_width, device),
            conv_in: Conv2d::new("conv_in", config.inputs, first, device),
            down: levels.clone().map(|level| builder.down(level)).collect(),
            middle: builder.middle(),
            up: levels.map(|index| builder.up(index)).collect(),
            conv_norm_out: GroupNorm::new(
                "conv_norm_out",
                first,
                config.groups,
                config.epsilon,
                device,
            ),
            conv_out: Conv2d::new("conv_out", first, config.outputs, device),
            config: config.clone(),
        }
    }

    /// The noise (or v) in `x`, `[n, c, h, w]`, at `timesteps`, one an example, given text states `[n, t, context]`.
    /// h and w need not be divisible by the change of size between the levels.
    pub fn predict(
        &self,
        x: Tensor<4>,
        timesteps: &[usize],
        text: &Tensor<3>,
        pass: &mut Pass,
    ) -> Tensor<4> {
        let device = x.clone().inner().device();
        let time = self.time.forward(timesteps, &device, x.dtype(), pass);
        let conditions = Conditions {
            time: ops::silu(time),
            text,
        };
        let x = if self.config.center_input {
            x * 2.0 - 1.0
        } else {
            x
        };
        let mut x = self.conv_in.forward(x);
        let mut skipped = vec![x.clone()];
        for block in &self.down {
            for layer in &block.layers {
                x = layer.forward(x, &conditions, pass);
                skipped.push(x.clone());
            }
            if let Some(conv) = &block.resampler {
                x = conv.forward(x);
                skipped.push(x.clone());
            }
        }
        for layer in self.middle.iter().flat_map(|block| &block.layers) {
            x = layer.forward(x, &conditions, pass);
        }
        for block in &self.up {
            for layer in &block.layers {
                let skip = skipped.pop().expect("one for every layer on the way up");
                x = layer.forward(Tensor::cat(vec![x, skip], 1), &conditions, pass);
            }
            if let Some((conv, next)) = block.resampler.as_ref().zip(skipped.last()) {
                let [_, _, h, w] = next.dims();
                x = conv.forward(nearest(x, [h, w]));
            }
        }
        self.conv_out.forward(self.conv_norm_out.forward_silu(x))
    }

    /// Its settings.
    pub fn config(&self) -> &UnetConfig {
        &self.config
    }
}
