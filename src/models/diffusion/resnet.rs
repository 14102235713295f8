//! Residual block of two convolutions (diffusers' `ResnetBlock2D`).

use burn::tensor::{Device, Tensor};

use super::layers::{Conv2d, GroupNorm};
use super::parts::parts;
use crate::models::lora::LoraLinear;
use crate::models::ops;
use crate::models::pass::Pass;

/// What a residual block is made with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResnetShape {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Groups of the normalisations.
    pub groups: usize,
    /// ε of the normalisations.
    pub epsilon: f64,
    /// How the time comes in; `None` without time.
    pub time: Option<TimeShape>,
}

/// How the time comes into a residual block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeShape {
    /// Width of the embedded time.
    pub width: usize,
    /// Whether it scales and shifts the second normalisation (`resnet_time_scale_shift: scale_shift`); else it is
    /// added before it.
    pub scale_shift: bool,
}

/// conv₂(silu(norm₂(conv₁(silu(norm₁ x)) + W silu(t)))) + x, with a pointwise convolution of x where the number of
/// channels changes.
#[derive(Clone, Debug)]
pub struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Option<LoraLinear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
    scale_shift: bool,
}
parts!(Resnet: norm1, conv1, time_emb_proj, norm2, conv2, conv_shortcut);

impl Resnet {
    /// Zeros, to be initialised or loaded.
    pub fn new(name: &str, shape: ResnetShape, device: &Device) -> Self {
        let ResnetShape {
            inputs,
            outputs,
            groups,
            epsilon,
            time,
        } = shape;
        let norm = |part: &str, channels| {
            GroupNorm::new(format!("{name}.{part}"), channels, groups, epsilon, device)
        };
        let scale_shift = time.is_some_and(|time| time.scale_shift);
        let projected = if scale_shift { 2 * outputs } else { outputs };
        Self {
            norm1: norm("norm1", inputs),
            conv1: Conv2d::new(format!("{name}.conv1"), inputs, outputs, device),
            time_emb_proj: time.map(|time| {
                LoraLinear::new(
                    format!("{name}.time_emb_proj"),
                    time.width,
                    projected,
                    device,
                )
            }),
            norm2: norm("norm2", outputs),
            conv2: Conv2d::new(format!("{name}.conv2"), outputs, outputs, device),
            conv_shortcut: (inputs != outputs).then(|| {
                Conv2d::pointwise(format!("{name}.conv_shortcut"), inputs, outputs, device)
            }),
            scale_shift,
        }
    }

    /// `[n, in, h, w]` → `[n, out, h, w]`; `time` is silu of the embedded time, `[n, 1, width]`, for a block with
    /// time.
    pub fn forward(&self, x: Tensor<4>, time: Option<&Tensor<3>>, pass: &mut Pass) -> Tensor<4> {
        let mut hidden = self.conv1.forward(self.norm1.forward_silu(x.clone()));
        let [n, c, _, _] = hidden.dims();
        let time = self.time_emb_proj.as_ref().zip(time);
        let time = time.map(|(projection, time)| projection.forward(time.clone(), pass));
        hidden = match time {
            Some(time) if self.scale_shift => {
                let part = |first| time.clone().narrow(2, first, c).reshape([n, c, 1, 1]);
                let normal = self.norm2.forward(hidden);
                ops::silu(normal.clone() * part(0) + normal + part(c))
            }
            Some(time) => self.norm2.forward_silu(hidden + time.reshape([n, c, 1, 1])),
            None => self.norm2.forward_silu(hidden),
        };
        let shortcut = match &self.conv_shortcut {
            Some(conv) => conv.forward(x),
            None => x,
        };
        self.conv2.forward(hidden) + shortcut
    }
}
