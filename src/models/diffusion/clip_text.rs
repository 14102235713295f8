//! Text encoder of CLIP (Radford et al., 2021; transformers' `CLIPTextModel`): what a UNet attends to.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor, activation, module};
use serde_json::Value;

use super::parts::{Parts, leaf, parts};
use super::settings::{divides, positive};
use crate::checkpoints::layout::CONFIG_FILE;
use crate::checkpoints::{Fields, HuggingFaceError};
use crate::models::layer_norm::LayerNorm;
use crate::models::lora::LoraLinear;
use crate::models::ops::{self, Attend, Reach};
use crate::models::parameter::{Init, Parameter, Role, Slot, blank};
use crate::models::pass::Pass;

/// Sizes and settings of a text encoder; defaults are those of transformers' `CLIPTextConfig`.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipTextConfig {
    /// Number of token ids.
    pub vocabulary: usize,
    /// Width.
    pub hidden: usize,
    /// Width of the feed-forward layers.
    pub ffn: usize,
    /// Layers.
    pub layers: usize,
    /// Heads.
    pub heads: usize,
    /// Most tokens of a text.
    pub positions: usize,
    /// Nonlinearity.
    pub activation: Activation,
    /// ε of every layer normalisation.
    pub epsilon: f64,
}

/// Nonlinearity of the feed-forward layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x·σ(1.702 x).
    QuickGelu,
    /// x·Φ(x), exactly.
    Gelu,
}

impl ClipTextConfig {
    /// Reads `config.json` in `folder`.
    ///
    /// # Errors
    /// When it cannot be read, contradicts itself, or asks for what there is not.
    pub fn read(folder: &Path) -> Result<Self, HuggingFaceError> {
        let fields = Fields::read(&folder.join(CONFIG_FILE))?;
        fields.only("model_type", Value::from("clip_text_model"))?;
        let hidden = fields.size("hidden_size", 1, Some(512))?;
        let heads = fields.size("num_attention_heads", 1, Some(8))?;
        divides(&fields, "num_attention_heads", heads, &[hidden])?;
        let activation = fields.one_of("hidden_act", &["quick_gelu", "gelu"])?;
        Ok(Self {
            vocabulary: fields.size("vocab_size", 1, Some(49_408))?,
            ffn: fields.size("intermediate_size", 1, Some(2048))?,
            layers: fields.size("num_hidden_layers", 1, Some(12))?,
            positions: fields.size("max_position_embeddings", 1, Some(77))?,
            activation: match activation {
                Some("gelu") => Activation::Gelu,
                _ => Activation::QuickGelu,
            },
            epsilon: positive(&fields, "layer_norm_eps", 1e-5)?,
            hidden,
            heads,
        })
    }
}

/// One layer: attention to earlier tokens and feed-forward, each normalised before and added to its input.
#[derive(Clone, Debug)]
struct Layer {
    layer_norm1: LayerNorm,
    q_proj: LoraLinear,
    k_proj: LoraLinear,
    v_proj: LoraLinear,
    out_proj: LoraLinear,
    layer_norm2: LayerNorm,
    fc1: LoraLinear,
    fc2: LoraLinear,
    heads: usize,
    activation: Activation,
}
parts!(Layer: layer_norm1, q_proj, k_proj, v_proj, out_proj, layer_norm2, fc1, fc2);

impl Layer {
    fn new(index: usize, config: &ClipTextConfig, device: &Device) -> Self {
        let name = |part: &str| format!("encoder.layers.{index}.{part}");
        let norm = |part| LayerNorm::new(name(part), config.hidden, config.epsilon, device);
        let linear =
            |part: &str, inputs, outputs| LoraLinear::new(name(part), inputs, outputs, device);
        let square =
            |part: &str| linear(&format!("self_attn.{part}"), config.hidden, config.hidden);
        Self {
            layer_norm1: norm("layer_norm1"),
            q_proj: square("q_proj"),
            k_proj: square("k_proj"),
            v_proj: square("v_proj"),
            out_proj: square("out_proj"),
            layer_norm2: norm("layer_norm2"),
            fc1: linear("mlp.fc1", config.hidden, config.ffn),
            fc2: linear("mlp.fc2", config.ffn, config.hidden),
            heads: config.heads,
            activation: config.activation,
        }
    }

    fn forward(&self, x: Tensor<3>, pass: &mut Pass) -> Tensor<3> {
        let normal = self.layer_norm1.forward(x.clone());
        let [query, key, value] = [&self.q_proj, &self.k_proj, &self.v_proj]
            .map(|linear| linear.forward(normal.clone(), pass));
        let mixed = ops::attention(
            query,
            key,
            value,
            Attend::heads(self.heads, Reach::Past { window: None }),
            None,
        );
        let x = self.out_proj.forward(mixed, pass) + x;
        let wide = self.fc1.forward(self.layer_norm2.forward(x.clone()), pass);
        let wide = match self.activation {
            Activation::QuickGelu => wide.clone() * activation::sigmoid(wide * 1.702),
            Activation::Gelu => ops::gelu(wide),
        };
        self.fc2.forward(wide, pass) + x
    }
}

/// Vectors of tokens and of positions.
#[derive(Clone, Debug)]
struct Embeddings {
    /// `[vocabulary, hidden]`.
    token: Tensor<2>,
    /// `[positions, hidden]`.
    position: Tensor<2>,
}
leaf!(Embeddings);

impl Embeddings {
    /// As in transformers, Gaussian with standard deviation 0.02.
    fn parameters(&mut self) -> [Parameter<'_>; 2] {
        let Self { token, position } = self;
        [("token", token), ("position", position)].map(|(name, table)| Parameter {
            name: format!("embeddings.{name}_embedding.weight"),
            role: Role::Base,
            init: Init::Normal(0.02),
            slot: Slot::new(table),
        })
    }
}

/// The text encoder.
#[derive(Clone, Debug)]
pub struct ClipText {
    embeddings: Embeddings,
    layers: Vec<Layer>,
    final_layer_norm: LayerNorm,
}
parts!(ClipText: embeddings, layers, final_layer_norm);

impl ClipText {
    /// Zeros, to be initialised or loaded.
    pub fn new(config: &ClipTextConfig, device: &Device) -> Self {
        let table = |rows| blank([rows, config.hidden], device);
        let layers = 0..config.layers;
        Self {
            embeddings: Embeddings {
                token: table(config.vocabulary),
                position: table(config.positions),
            },
            layers: layers
                .map(|index| Layer::new(index, config, device))
                .collect(),
            final_layer_norm: LayerNorm::new(
                "final_layer_norm".to_owned(),
                config.hidden,
                config.epsilon,
                device,
            ),
        }
    }

    /// Every parameter in a stable order.
    pub fn parameters(&mut self) -> Vec<Parameter<'_>> {
        let mut all = Vec::new();
        Parts::parameters(self, &mut all);
        all
    }

    /// Token ids `[n, t]`, t at most the number of positions → last hidden states, normalised, `[n, t, hidden]`.
    /// Padding is read like any other token, as in the published training script.
    pub fn encode(&self, ids: Tensor<2, Int>, pass: &mut Pass) -> Tensor<3> {
        let t = ids.dims()[1];
        let Embeddings { token, position } = &self.embeddings;
        let mut x = module::embedding(token.clone(), ids)
            + position.clone().narrow(0, 0, t).unsqueeze::<3>();
        for layer in &self.layers {
            x = layer.forward(x, pass);
        }
        self.final_layer_norm.forward(x)
    }
}
