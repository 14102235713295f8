//! Self-attention of a decoder layer: rotated queries and keys, of the past.

use burn::tensor::{Device, Tensor};

use super::positions::Positions;
use super::rms_norm::RmsNorm;
use super::rotation::Rotation;
use super::shape::LlamaShape;
use crate::models::lora::LoraLinear;
use crate::models::ops::{self, Attend, Reach};
use crate::models::parameter::Parameter;
use crate::models::parameter::fan_in;
use crate::models::pass::Pass;

/// Projections, normalisations and settings of one layer's attention.
#[derive(Clone, Debug)]
pub struct SelfAttention {
    query: LoraLinear,
    key: LoraLinear,
    value: LoraLinear,
    output: LoraLinear,
    /// Of every head of the queries and of the keys (Qwen3).
    head_norms: Option<[RmsNorm; 2]>,
    heads: usize,
    key_heads: usize,
    window: Option<usize>,
}

impl SelfAttention {
    /// To be initialised or loaded.
    pub fn new(layer: usize, shape: &LlamaShape, device: &Device) -> Self {
        let name = |part: &str| format!("layers.{layer}.self_attn.{part}");
        let linear = |part: &str, inputs, outputs, bias| {
            let linear = LoraLinear::new(name(part), inputs, outputs, device);
            if bias { linear } else { linear.without_bias() }
        };
        let norm = |part: &str| RmsNorm::new(name(part), shape.part, shape.rms_norm_eps, device);
        let (width, key_width) = (shape.heads * shape.part, shape.key_heads * shape.part);
        let (hidden, bias) = (shape.hidden, shape.query_bias);
        Self {
            query: linear("q_proj", hidden, width, bias),
            key: linear("k_proj", hidden, key_width, bias),
            value: linear("v_proj", hidden, key_width, bias),
            output: linear("o_proj", width, hidden, shape.output_bias),
            head_norms: shape.head_norm.then(|| ["q_norm", "k_norm"].map(norm)),
            heads: shape.heads,
            key_heads: shape.key_heads,
            window: shape.windows[layer],
        }
    }

    /// Queries, keys and values, rotated: `[n, t, hidden]` → `[n, t, heads·part]` and twice `[n, t, key_heads·part]`.
    pub fn project(&self, x: Tensor<3>, rotation: &Rotation, pass: &mut Pass) -> [Tensor<3>; 3] {
        let mut query = self.query.forward(x.clone(), pass);
        let mut key = self.key.forward(x.clone(), pass);
        let value = self.value.forward(x, pass);
        if let Some([queries, keys]) = &self.head_norms {
            (query, key) = (queries.forward_heads(query), keys.forward_heads(key));
        }
        [rotation.turn(query), rotation.turn(key), value]
    }

    /// What the queries of the last positions find, projected: `[n, q, heads·part]` → `[n, q, hidden]`.
    pub fn attend(
        &self,
        query: Tensor<3>,
        key: Tensor<3>,
        value: Tensor<3>,
        at: &Positions,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let ([n, q, _], [_, t, _]) = (query.dims(), key.dims());
        let mask = pass.attention_mask(n * self.heads * q * t);
        let attend = Attend {
            heads: self.heads,
            key_heads: self.key_heads,
            lengths: at.keys,
            reach: Reach::Past {
                window: self.window,
            },
        };
        let context = ops::attention(query, key, value, attend, mask);
        self.output.forward(at.masked(context), pass)
    }

    /// The projections in the order of a forward pass.
    pub fn matrices(&self) -> [&LoraLinear; 4] {
        [&self.query, &self.key, &self.value, &self.output]
    }

    /// [`Self::matrices`], to be changed.
    pub fn matrices_mut(&mut self) -> [&mut LoraLinear; 4] {
        [
            &mut self.query,
            &mut self.key,
            &mut self.value,
            &mut self.output,
        ]
    }

    /// Every parameter in the order of a forward pass.
    pub fn parameters(&mut self) -> Vec<Parameter<'_>> {
        let mut all = Vec::new();
        for linear in [&mut self.query, &mut self.key, &mut self.value] {
            let deviation = fan_in(linear.inputs());
            all.extend(linear.parameters(deviation));
        }
        all.extend(self.head_norms.iter_mut().flatten().map(RmsNorm::parameter));
        let deviation = fan_in(self.output.inputs());
        all.extend(self.output.parameters(deviation));
        all
    }
}
