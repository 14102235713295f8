//! Transformer over the points of a level, with attention to the text (diffusers' `Transformer2DModel`).

use burn::tensor::{Device, Tensor};

use super::layers::{Conv2d, GroupNorm, from_tokens, to_tokens};
use super::parts::{Parts, parts};
use crate::models::layer_norm::LayerNorm;
use crate::models::lora::LoraLinear;
use crate::models::ops::{self, Attend, Reach};
use crate::models::parameter::Parameter;
use crate::models::pass::Pass;

/// ε of the group normalisation at the entry.
const ENTRY_EPSILON: f64 = 1e-6;
/// ε of the layer normalisations.
const LAYER_NORM_EPSILON: f64 = 1e-5;
/// Width of the feed-forward layers, times the channels.
const FEED_FORWARD: usize = 4;

/// Sizes of the attentions of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Channels, divided among the heads.
    pub channels: usize,
    /// Heads.
    pub heads: usize,
    /// Width of the text states that are attended to.
    pub context: usize,
    /// Transformer blocks one after another.
    pub depth: usize,
    /// Groups of the normalisation at the entry.
    pub groups: usize,
    /// Whether the projections in and out are linear layers; else pointwise convolutions.
    pub linear_projection: bool,
}

/// softmax(Q Kᵀ/√width) V over all heads, with K and V of the text, or of the points themselves.
#[derive(Clone, Debug)]
struct Attention {
    to_q: LoraLinear,
    to_k: LoraLinear,
    to_v: LoraLinear,
    to_out: LoraLinear,
    heads: usize,
}
parts!(Attention: to_q, to_k, to_v, to_out);

impl Attention {
    fn new(name: &str, shape: &AttentionShape, context: usize, device: &Device) -> Self {
        let linear = |part: &str, inputs| {
            LoraLinear::new(format!("{name}.{part}"), inputs, shape.channels, device)
        };
        Self {
            to_q: linear("to_q", shape.channels).without_bias(),
            to_k: linear("to_k", context).without_bias(),
            to_v: linear("to_v", context).without_bias(),
            to_out: linear("to_out.0", shape.channels),
            heads: shape.heads,
        }
    }

    /// `[n, q, c]` and `[n, t, context]` → `[n, q, c]`.
    fn forward(&self, x: Tensor<3>, context: Tensor<3>, pass: &mut Pass) -> Tensor<3> {
        let query = self.to_q.forward(x, pass);
        let key = self.to_k.forward(context.clone(), pass);
        let value = self.to_v.forward(context, pass);
        let mixed = ops::attention(
            query,
            key,
            value,
            Attend::heads(self.heads, Reach::Everything),
            None,
        );
        self.to_out.forward(mixed, pass)
    }
}

/// W₂ (a · gelu(b)) with a‖b = W₁ x: GEGLU (Shazeer, 2020), with the exact GELU.
#[derive(Clone, Debug)]
struct FeedForward {
    proj: LoraLinear,
    out: LoraLinear,
}
parts!(FeedForward: proj, out);

impl FeedForward {
    fn new(name: &str, channels: usize, device: &Device) -> Self {
        let inner = FEED_FORWARD * channels;
        Self {
            proj: LoraLinear::new(format!("{name}.net.0.proj"), channels, 2 * inner, device),
            out: LoraLinear::new(format!("{name}.net.2"), inner, channels, device),
        }
    }

    fn forward(&self, x: Tensor<3>, pass: &mut Pass) -> Tensor<3> {
        let wide = self.proj.forward(x, pass);
        let inner = self.out.inputs();
        let value = wide.clone().narrow(2, 0, inner);
        let gate = ops::gelu(wide.narrow(2, inner, inner));
        self.out.forward(value * gate, pass)
    }
}

/// Self-attention, attention to the text and feed-forward, each normalised before and added to its input.
#[derive(Clone, Debug)]
struct Block {
    norm1: LayerNorm,
    attn1: Attention,
    norm2: LayerNorm,
    attn2: Attention,
    norm3: LayerNorm,
    ff: FeedForward,
}
parts!(Block: norm1, attn1, norm2, attn2, norm3, ff);

impl Block {
    fn new(name: &str, shape: &AttentionShape, device: &Device) -> Self {
        let norm = |part: &str| {
            let name = format!("{name}.{part}");
            LayerNorm::new(name, shape.channels, LAYER_NORM_EPSILON, device)
        };
        let attention =
            |part: &str, context| Attention::new(&format!("{name}.{part}"), shape, context, device);
        Self {
            norm1: norm("norm1"),
            attn1: attention("attn1", shape.channels),
            norm2: norm("norm2"),
            attn2: attention("attn2", shape.context),
            norm3: norm("norm3"),
            ff: FeedForward::new(&format!("{name}.ff"), shape.channels, device),
        }
    }

    fn forward(&self, x: Tensor<3>, context: &Tensor<3>, pass: &mut Pass) -> Tensor<3> {
        let normal = self.norm1.forward(x.clone());
        let x = self.attn1.forward(normal.clone(), normal, pass) + x;
        let normal = self.norm2.forward(x.clone());
        let x = self.attn2.forward(normal, context.clone(), pass) + x;
        let normal = self.norm3.forward(x.clone());
        self.ff.forward(normal, pass) + x
    }
}

/// The map into and out of the transformer.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are two in a level")]
enum Projection {
    Convolution(Conv2d),
    Linear(LoraLinear),
}

impl Projection {
    fn new(name: String, shape: &AttentionShape, device: &Device) -> Self {
        let channels = shape.channels;
        if shape.linear_projection {
            Self::Linear(LoraLinear::new(name, channels, channels, device))
        } else {
            Self::Convolution(Conv2d::pointwise(name, channels, channels, device))
        }
    }
}

impl Parts for Projection {
    fn linears<'a>(&'a self, all: &mut Vec<&'a LoraLinear>) {
        match self {
            Self::Convolution(part) => part.linears(all),
            Self::Linear(part) => part.linears(all),
        }
    }

    fn linears_mut<'a>(&'a mut self, all: &mut Vec<&'a mut LoraLinear>) {
        match self {
            Self::Convolution(part) => part.linears_mut(all),
            Self::Linear(part) => part.linears_mut(all),
        }
    }

    fn parameters<'a>(&'a mut self, all: &mut Vec<Parameter<'a>>) {
        match self {
            Self::Convolution(part) => Parts::parameters(part, all),
            Self::Linear(part) => Parts::parameters(part, all),
        }
    }
}

/// Normalisation, projection in, transformer blocks, projection out, added to the input.
#[derive(Clone, Debug)]
pub struct Transformer {
    norm: GroupNorm,
    proj_in: Projection,
    transformer_blocks: Vec<Block>,
    proj_out: Projection,
}
parts!(Transformer: norm, proj_in, transformer_blocks, proj_out);

impl Transformer {
    /// Zeros, to be initialised or loaded.
    pub fn new(name: &str, shape: &AttentionShape, device: &Device) -> Self {
        let block =
            |index| Block::new(&format!("{name}.transformer_blocks.{index}"), shape, device);
        Self {
            norm: GroupNorm::new(
                format!("{name}.norm"),
                shape.channels,
                shape.groups,
                ENTRY_EPSILON,
                device,
            ),
            proj_in: Projection::new(format!("{name}.proj_in"), shape, device),
            transformer_blocks: (0..shape.depth).map(block).collect(),
            proj_out: Projection::new(format!("{name}.proj_out"), shape, device),
        }
    }

    /// `[n, c, h, w]` and the text states `[n, t, context]` → `[n, c, h, w]`.
    pub fn forward(&self, x: Tensor<4>, context: &Tensor<3>, pass: &mut Pass) -> Tensor<4> {
        let [_, _, h, w] = x.dims();
        let normal = self.norm.forward(x.clone());
        let mut tokens = match &self.proj_in {
            Projection::Convolution(conv) => to_tokens(conv.forward(normal)),
            Projection::Linear(linear) => linear.forward(to_tokens(normal), pass),
        };
        for block in &self.transformer_blocks {
            tokens = block.forward(tokens, context, pass);
        }
        let out = match &self.proj_out {
            Projection::Convolution(conv) => conv.forward(from_tokens(tokens, [h, w])),
            Projection::Linear(linear) => from_tokens(linear.forward(tokens, pass), [h, w]),
        };
        out + x
    }
}
