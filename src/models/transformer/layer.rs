//! One encoder layer: attention and feed-forward, each with a residual and a layer normalisation behind it.

use burn::tensor::{Device, Tensor, activation};

use super::shape::{Activation, EncoderShape};
use crate::models::layer_norm::LayerNorm;
use crate::models::lora::LoraLinear;
use crate::models::ops;
use crate::models::ops::encoder::{FrozenLayer, encoder_layer};
use crate::models::ops::{Attend, Reach};
use crate::models::pass::{Pass, Site};

/// One encoder layer.
#[derive(Clone, Debug)]
pub struct Layer {
    pub query: LoraLinear,
    pub key: LoraLinear,
    pub value: LoraLinear,
    pub output: LoraLinear,
    pub attention_norm: LayerNorm,
    pub intermediate: LoraLinear,
    pub ffn_output: LoraLinear,
    pub output_norm: LayerNorm,
    heads: usize,
    activation: Activation,
}

impl Layer {
    pub fn new(index: usize, shape: &EncoderShape, device: &Device) -> Self {
        let name = |part: &str| format!("encoder.layer.{index}.{part}");
        let square = |part: &str| LoraLinear::new(name(part), shape.hidden, shape.hidden, device);
        let norm = |part| LayerNorm::new(name(part), shape.hidden, shape.layer_norm_eps, device);
        Self {
            query: square("attention.self.query"),
            key: square("attention.self.key"),
            value: square("attention.self.value"),
            output: square("attention.output.dense"),
            attention_norm: norm("attention.output.LayerNorm"),
            intermediate: LoraLinear::new(
                name("intermediate.dense"),
                shape.hidden,
                shape.ffn,
                device,
            ),
            ffn_output: LoraLinear::new(name("output.dense"), shape.ffn, shape.hidden, device),
            output_norm: norm("output.LayerNorm"),
            heads: shape.heads,
            activation: shape.activation,
        }
    }

    /// The matrices in the order of a forward pass.
    pub fn matrices(&self) -> [&LoraLinear; 6] {
        [
            &self.query,
            &self.key,
            &self.value,
            &self.output,
            &self.intermediate,
            &self.ffn_output,
        ]
    }

    /// [`Self::matrices`], to be changed.
    pub fn matrices_mut(&mut self) -> [&mut LoraLinear; 6] {
        [
            &mut self.query,
            &mut self.key,
            &mut self.value,
            &mut self.output,
            &mut self.intermediate,
            &mut self.ffn_output,
        ]
    }

    /// `[n, t, h]` → `[n, t, h]`, or `[n, 1, h]` with `first`, which asks for the first position alone.
    pub fn forward(
        &self,
        x: Tensor<3>,
        lengths: Option<&[usize]>,
        first: bool,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let asking = if first {
            x.clone().narrow(1, 0, 1)
        } else {
            x.clone()
        };
        let query = self.query.forward(asking.clone(), pass);
        let key = self.key.forward(x.clone(), pass);
        let value = self.value.forward(x, pass);
        let [n, q, _] = query.dims();
        let mask = pass.attention_mask(n * self.heads * q * key.dims()[1]);
        let attend = Attend {
            heads: self.heads,
            key_heads: self.heads,
            lengths,
            reach: Reach::Everything,
        };
        let context = ops::attention(query, key, value, attend, mask);
        let attended = self.output.forward(context, pass);
        let x = self
            .attention_norm
            .forward(pass.drop_hidden(attended) + asking);
        let wide = self.intermediate.forward(x.clone(), pass);
        let wide = match self.activation {
            Activation::Gelu => ops::gelu(wide),
            Activation::GeluTanh => activation::gelu_approximate(wide),
            Activation::Relu => activation::relu(wide),
        };
        let narrow = self.ffn_output.forward(wide, pass);
        self.output_norm.forward(pass.drop_hidden(narrow) + x)
    }

    /// The layer with its adapters merged, when it can be one operation.
    pub fn freeze(&self, device: &Device) -> Option<FrozenLayer> {
        let fits = self.activation == Activation::Gelu && ops::in_memory(device);
        fits.then(|| FrozenLayer {
            matrices: self.matrices().map(|linear| {
                let (weight, bias) = linear.merged();
                (weight, bias.expect("every layer of an encoder has one"))
            }),
            norms: [&self.attention_norm, &self.output_norm]
                .map(|norm| (norm.gamma.clone(), norm.beta.clone())),
            epsilon: self.attention_norm.epsilon,
            heads: self.heads,
        })
    }

    /// [`Self::forward`] as one operation.
    pub fn forward_frozen(
        &self,
        frozen: &FrozenLayer,
        x: Tensor<3>,
        lengths: Option<&[usize]>,
        first: bool,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let tapped = match pass {
            Pass::Probed(_) => self.matrices().map(LoraLinear::is_probed),
            _ => [false; 6],
        };
        let output = encoder_layer(x, frozen, lengths, first, tapped);
        if let Pass::Probed(sites) = pass {
            for (matrix, input) in output.inputs.into_iter().enumerate() {
                sites.extend(input.map(|x| Site::tapped(x, output.taps.clone(), matrix)));
            }
        }
        output.out
    }
}
