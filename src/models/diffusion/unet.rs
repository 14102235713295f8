//! UNet that predicts the noise in latents, attending to a text (diffusers' `UNet2DConditionModel`; Rombach et al.,
//! 2022).

use burn::tensor::{Device, Tensor};

use super::layers::{Conv2d, GroupNorm, nearest};
use super::parts::{Parts, parts};
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
pub(super) struct Conditions {
    /// silu of the embedded time, `[n, 1, width]`.
    time: Tensor<3>,
    /// Text states, `[n, t, context]`.
    text: Tensor<3>,
}

/// What the UNet does one after another between its first and its last convolution. Value 0 is what the first makes of x,
/// value k the output of step k, from 1.
#[derive(Clone, Debug)]
pub(super) struct Step {
    part: Part,
    /// Values that it takes: its own input, and for a layer on the way up the output of one on the way down; for an upsampler
    /// one of the size that is wanted.
    pub inputs: Vec<usize>,
}

/// A part of the UNet: block and layer.
#[derive(Clone, Copy, Debug)]
enum Part {
    Down(usize, usize),
    Downsampler(usize),
    Middle(usize),
    Up(usize, usize),
    Upsampler(usize),
}

impl Layer {
    fn forward(&self, x: Tensor<4>, conditions: &Conditions, pass: &mut Pass) -> Tensor<4> {
        let x = self.resnet.forward(x, Some(&conditions.time), pass);
        match &self.attention {
            Some(attention) => attention.forward(x, &conditions.text, pass),
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
    /// Whether passes for per-example gradients compute blocks twice, to keep less in memory.
    recomputes: bool,
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
            recomputes: false,
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
            text: text.clone(),
        };
        let x = if self.config.center_input {
            x * 2.0 - 1.0
        } else {
            x
        };
        let x = self.conv_in.forward(x);
        let x = match pass {
            Pass::Probed(sites) if self.recomputes && !self.time.is_probed() => {
                self.recomputed(x, conditions, sites)
            }
            pass => self.blocks(x, &conditions, pass),
        };
        self.conv_out.forward(self.conv_norm_out.forward_silu(x))
    }

    /// All steps, each value let go when nobody takes it any more.
    fn blocks(&self, x: Tensor<4>, conditions: &Conditions, pass: &mut Pass) -> Tensor<4> {
        let steps = self.steps();
        let mut values = vec![Some(x)];
        for (index, step) in steps.iter().enumerate() {
            let later = |value: &usize| steps[index + 1..].iter().any(|s| s.inputs.contains(value));
            let inputs = step.inputs.iter().map(|value| {
                let there = &mut values[*value];
                let taken = if later(value) {
                    there.clone()
                } else {
                    there.take()
                };
                taken.expect("no step takes it after its last")
            });
            let inputs: Vec<Tensor<4>> = inputs.collect();
            let out = self.run(step, inputs, conditions, pass);
            values.push(Some(out));
        }
        let last = values.pop().flatten();
        last.expect("what the last step gives nobody has taken")
    }

    /// The steps of a forward pass, in order.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut add = |part, inputs| {
            steps.push(Step { part, inputs });
            steps.len()
        };
        let (mut x, mut skipped) = (0, vec![0]);
        for (index, block) in self.down.iter().enumerate() {
            for layer in 0..block.layers.len() {
                x = add(Part::Down(index, layer), vec![x]);
                skipped.push(x);
            }
            if block.resampler.is_some() {
                x = add(Part::Downsampler(index), vec![x]);
                skipped.push(x);
            }
        }
        let middle = self.middle.as_ref().map_or(0, |block| block.layers.len());
        for layer in 0..middle {
            x = add(Part::Middle(layer), vec![x]);
        }
        for (index, block) in self.up.iter().enumerate() {
            for layer in 0..block.layers.len() {
                let skip = skipped.pop().expect("one for every layer on the way up");
                x = add(Part::Up(index, layer), vec![x, skip]);
            }
            if let Some(&next) = skipped.last().filter(|_| block.resampler.is_some()) {
                x = add(Part::Upsampler(index), vec![x, next]);
            }
        }
        steps
    }

    /// The layer of a step; none of one that changes the size.
    fn layer(&self, step: &Step) -> Option<&Layer> {
        match step.part {
            Part::Down(block, layer) => Some(&self.down[block].layers[layer]),
            Part::Middle(layer) => self.middle.as_ref().map(|block| &block.layers[layer]),
            Part::Up(block, layer) => Some(&self.up[block].layers[layer]),
            Part::Downsampler(_) | Part::Upsampler(_) => None,
        }
    }

    /// Matrices of a step of which per-example gradients are taken.
    pub(super) fn probed_in(&self, step: &Step) -> usize {
        let mut linears = Vec::new();
        if let Some(layer) = self.layer(step) {
            layer.linears(&mut linears);
        }
        linears.iter().filter(|linear| linear.is_probed()).count()
    }

    /// What a step gives, of the values that it takes.
    pub(super) fn run(
        &self,
        step: &Step,
        mut inputs: Vec<Tensor<4>>,
        conditions: &Conditions,
        pass: &mut Pass,
    ) -> Tensor<4> {
        let sampler = |block: &Block| block.resampler.clone().expect("a step of it is there");
        match (step.part, self.layer(step)) {
            (Part::Up(..), Some(layer)) => layer.forward(Tensor::cat(inputs, 1), conditions, pass),
            (_, Some(layer)) => layer.forward(inputs.remove(0), conditions, pass),
            (Part::Downsampler(block), _) => sampler(&self.down[block]).forward(inputs.remove(0)),
            (Part::Upsampler(block), _) => {
                let [_, _, h, w] = inputs[1].dims();
                sampler(&self.up[block]).forward(nearest(inputs.remove(0), [h, w]))
            }
            _ => unreachable!("every other part is a layer"),
        }
    }

    /// Has passes for per-example gradients compute blocks twice, or not.
    pub(super) fn recompute(&mut self, recomputes: bool) {
        self.recomputes = recomputes;
    }

    /// Its settings.
    pub fn config(&self) -> &UnetConfig {
        &self.config
    }
}
