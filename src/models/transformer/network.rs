//! Embedding, layers, pooling and head.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData, module};

use super::layer::Layer;
use super::shape::{EncoderShape, Pooling};
use crate::models::batch::{Batch, InputShape, ModelInput};
use crate::models::head::Head;
use crate::models::layer_norm::LayerNorm;
use crate::models::linear::Linear;
use crate::models::lora::LoraLinear;
use crate::models::network::Network;
use crate::models::ops::encoder::FrozenLayer;
use crate::models::parameter::{Init, Parameter, Role, Slot, blank, fan_in};
use crate::models::pass::Pass;

/// How inputs become vectors of width h.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one in a model")]
enum Embedding {
    /// A row of a table for every token id, `[vocabulary, h]`.
    Words(Tensor<2>),
    /// A linear map of the features of every patch.
    Patches(Linear),
}

/// The encoder with its embedding and its head.
#[derive(Clone, Debug)]
pub struct Transformer {
    embedding: Embedding,
    positions: Tensor<2>,
    padding: Option<usize>,
    /// A row for every token type, `[types, h]`.
    types: Option<Tensor<2>>,
    embedding_norm: LayerNorm,
    layers: Vec<Layer>,
    pooling: Pooling,
    /// The dense layer of [`Pooling::Pooler`].
    pooler: Option<LoraLinear>,
    /// The layers as single operations, see [`Self::freeze`].
    frozen: Option<Arc<[FrozenLayer]>>,
    head: Head,
}

impl Transformer {
    /// Without adapters; zeros, to be initialised or loaded.
    pub fn new(shape: &EncoderShape, input: &InputShape, head: Head, device: &Device) -> Self {
        let (embedding, positions) = match *input {
            InputShape::Tokens {
                vocabulary,
                max_length,
            } => (
                Embedding::Words(blank([vocabulary, shape.hidden], device)),
                max_length,
            ),
            InputShape::Features { tokens, features } => (
                Embedding::Patches(Linear::new(
                    "embeddings.patch_embeddings.projection",
                    features,
                    shape.hidden,
                    device,
                )),
                tokens,
            ),
            InputShape::Latents { .. } => unreachable!("latents are refused before"),
        };
        Self {
            embedding,
            positions: blank([positions, shape.hidden], device),
            padding: shape.padding,
            types: (shape.types > 0).then(|| blank([shape.types, shape.hidden], device)),
            embedding_norm: LayerNorm::new(
                "embeddings.LayerNorm",
                shape.hidden,
                shape.layer_norm_eps,
                device,
            ),
            layers: (0..shape.layers)
                .map(|index| Layer::new(index, shape, device))
                .collect(),
            pooling: shape.pooling,
            pooler: (shape.pooling == Pooling::Pooler)
                .then(|| LoraLinear::new("pooler.dense", shape.hidden, shape.hidden, device)),
            frozen: None,
            head,
        }
    }

    /// `layers` of the encoder on x; the last layer of all gives the first position alone when that is all
    /// that the pooling looks at.
    fn through(
        &self,
        mut x: Tensor<3>,
        layers: std::ops::Range<usize>,
        lengths: Option<&[usize]>,
        pass: &mut Pass,
    ) -> Tensor<3> {
        for index in layers {
            let layer = &self.layers[index];
            let first = self.pooling != Pooling::Mean && index + 1 == self.layers.len();
            x = match (&self.frozen, &pass) {
                (Some(frozen), Pass::Plain | Pass::Probed(_)) => {
                    layer.forward_frozen(&frozen[index], x, lengths, first, pass)
                }
                _ => layer.forward(x, lengths, first, pass),
            };
        }
        x
    }

    /// Tokens or patches as normalised vectors, `[n, t, h]`.
    fn embed(&self, batch: &Batch) -> Tensor<3> {
        let (mut x, t) = match (&self.embedding, &batch.input) {
            (Embedding::Words(table), ModelInput::Tokens(ids)) => {
                (module::embedding(table.clone(), ids.clone()), ids.dims()[1])
            }
            (Embedding::Patches(projection), ModelInput::Features(values)) => {
                (projection.forward(values.clone()), values.dims()[1])
            }
            _ => unreachable!("a batch is made for the input that the model was built for"),
        };
        x = x + match (self.padding, &batch.input) {
            (Some(padding), ModelInput::Tokens(ids)) => {
                let rows = positions_after(ids.clone(), padding);
                module::embedding(self.positions.clone(), rows)
            }
            _ => self.positions.clone().narrow(0, 0, t).unsqueeze(),
        };
        if let Some(table) = &self.types {
            x = x + match &batch.types {
                Some(types) => module::embedding(table.clone(), types.clone()),
                None => table.clone().narrow(0, 0, 1).unsqueeze(),
            };
        }
        self.embedding_norm.forward(x)
    }
}

impl Network for Transformer {
    fn boxed(&self) -> Box<dyn Network> {
        Box::new(self.clone())
    }

    /// The tokens are embedded and led through every layer, pooled to one vector an example, and classified.
    fn forward(&self, batch: &Batch, pass: &mut Pass) -> Tensor<3> {
        let (x, below) = match &batch.input {
            ModelInput::Activations { x, layer } => (x.clone(), *layer),
            _ => (pass.drop_hidden(self.embed(batch)), 0),
        };
        let t = x.dims()[1];
        let lengths = batch.lengths.as_deref();
        let x = self.through(x, below..self.layers.len(), batch.keys(), pass);
        let pooled = match (self.pooling, &self.pooler) {
            (Pooling::Mean, _) => mean_weights(batch.len(), t, lengths, &batch.device)
                .cast(x.dtype())
                .matmul(x),
            (_, None) => x,
            (_, Some(pooler)) => pooler.forward(x, pass).tanh(),
        };
        self.head.forward(pooled, pass)
    }

    /// Layer by layer: query, key, value, output, feed-forward; then
    /// the pooler's.
    fn adaptable(&self) -> Vec<&LoraLinear> {
        let sites = self.layers.iter().flat_map(Layer::matrices);
        sites.chain(&self.pooler).collect()
    }

    fn adaptable_mut(&mut self) -> Vec<&mut LoraLinear> {
        self.frozen = None;
        let sites = self.layers.iter_mut().flat_map(Layer::matrices_mut);
        sites.chain(&mut self.pooler).collect()
    }

    fn short_names(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("query", r".*\.attention\.self\.query"),
            ("key", r".*\.attention\.self\.key"),
            ("value", r".*\.attention\.self\.value"),
            ("output", r".*\.attention\.output\.dense"),
            ("ffn", r".*\.\d+\.(intermediate|output)\.dense"),
            ("ffn_in", r".*\.\d+\.intermediate\.dense"),
            ("ffn_out", r".*\.\d+\.output\.dense"),
        ]
    }

    fn trained(&self) -> Vec<&Linear> {
        self.head.probed().collect()
    }

    fn classifier(&self) -> Option<&Linear> {
        Some(self.head.last())
    }

    fn replace_head(&mut self, classes: usize, device: &Device) {
        self.head.replace(classes, device);
    }

    fn probe_head(&mut self) {
        self.head.probe_dense(true);
    }

    /// Embeddings, then layer by layer, pooler and head.
    fn looked_up(&self) -> &'static [&'static str] {
        &[
            "embeddings.word_embeddings.weight",
            "embeddings.position_embeddings.weight",
            "embeddings.token_type_embeddings.weight",
        ]
    }

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        self.frozen = None;
        let hidden = self.positions.dims()[1];
        let matrix = |name: &str, deviation: f64, slot| Parameter {
            name: name.to_owned(),
            role: Role::Base,
            init: Init::Normal(deviation),
            slot,
        };
        let mut all = Vec::new();
        match &mut self.embedding {
            Embedding::Words(table) => all.push(matrix(
                "embeddings.word_embeddings.weight",
                0.02,
                Slot::new(table),
            )),
            Embedding::Patches(projection) => {
                let inputs = projection.weight.dims()[1];
                all.extend(projection.parameters(Role::Base, fan_in(inputs)));
            }
        }
        all.push(matrix(
            "embeddings.position_embeddings.weight",
            0.02,
            Slot::new(&mut self.positions),
        ));
        if let Some(types) = &mut self.types {
            all.push(matrix(
                "embeddings.token_type_embeddings.weight",
                0.02,
                Slot::new(types),
            ));
        }
        all.extend(self.embedding_norm.parameters());
        for layer in &mut self.layers {
            let ffn = layer.ffn_output.inputs();
            for linear in [
                &mut layer.query,
                &mut layer.key,
                &mut layer.value,
                &mut layer.output,
            ] {
                all.extend(linear.parameters(fan_in(hidden)));
            }
            all.extend(layer.attention_norm.parameters());
            all.extend(layer.intermediate.parameters(fan_in(hidden)));
            all.extend(layer.ffn_output.parameters(fan_in(ffn)));
            all.extend(layer.output_norm.parameters());
        }
        if let Some(pooler) = &mut self.pooler {
            all.extend(pooler.parameters(fan_in(hidden)));
        }
        all.extend(self.head.parameters());
        all
    }

    fn layers(&self) -> usize {
        self.layers.len()
    }

    fn width(&self) -> usize {
        self.positions.dims()[1]
    }

    /// Adapters are merged into their matrices once, and every layer is one operation.
    fn freeze(&mut self) {
        let device = self.positions.device();
        self.frozen = self
            .layers
            .iter()
            .map(|layer| layer.freeze(&device))
            .collect();
    }

    fn layers_below_adapters(&self) -> usize {
        let first = self
            .layers
            .iter()
            .position(|layer| layer.matrices().into_iter().any(LoraLinear::is_probed));
        first.unwrap_or(0)
    }

    fn activations(&self, batch: &Batch, depth: usize) -> Tensor<3> {
        let x = self.embed(batch);
        self.through(x, 0..depth, batch.keys(), &mut Pass::Plain)
    }
}

/// RoBERTa's rows in the table of positions, `[n, t]`: the padding's id plus the number of tokens so far that are
/// no padding; a padding token, also one within a text, has the row of the padding's id.
fn positions_after(ids: Tensor<2, Int>, padding: usize) -> Tensor<2, Int> {
    let real = ids.not_equal_elem(padding as i64).int();
    real.clone().cumsum(1) * real + padding as i64
}

/// `[n, 1, t]`: one over the number of real tokens where there is one, else 0.
fn mean_weights(n: usize, t: usize, lengths: Option<&[usize]>, device: &Device) -> Tensor<3> {
    let values: Vec<f32> = match lengths {
        None => vec![1.0 / t as f32; n * t],
        Some(lengths) => lengths
            .iter()
            .flat_map(|&length| {
                (0..t).map(move |j| if j < length { 1.0 / length as f32 } else { 0.0 })
            })
            .collect(),
    };
    Tensor::from_data(TensorData::new(values, [n, 1, t]), device)
}
