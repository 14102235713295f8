//! Embedding, layers, final normalisation and unembedding.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, module};

use super::layer::Layer;
use super::positions::Positions;
use super::rms_norm::RmsNorm;
use super::rope::Rope;
use super::shape::LlamaShape;
use super::source::Source;
use super::stage::LlamaStage;
use crate::checkpoints::shards::ShardsError;
use crate::models::batch::{Batch, ModelInput};
use crate::models::compute::Compute;
use crate::models::decoder::Decoder;
use crate::models::layered::{Layered, Stage};
use crate::models::load::Narrow;
use crate::models::lora::LoraLinear;
use crate::models::network::Network;
use crate::models::ops;
use crate::models::parameter::{Init, Parameter, Role, Slot, blank, fan_in};
use crate::models::pass::Pass;

/// The network; see the [module](super).
#[derive(Clone, Debug)]
pub struct Llama {
    /// E, `[vocabulary, hidden]`.
    embedding: Tensor<2>,
    layers: Vec<Layer>,
    norm: RmsNorm,
    /// W, `[vocabulary, hidden]`; E when there is none.
    unembedding: Option<Tensor<2>>,
    rope: Rope,
    /// Where the weights of the layers come from that are blank in `layers`, which then hold adapters alone, and parameters
    /// of the base that an adapter replaced.
    source: Option<Arc<Source>>,
    /// Names of these parameters.
    replaced: BTreeSet<String>,
    /// Whether adapters are merged.
    frozen: bool,
}

impl Llama {
    /// Without adapters; to be initialised or loaded.
    pub fn new(shape: &LlamaShape, device: &Device) -> Self {
        let table = || blank([shape.vocabulary, shape.hidden], device);
        Self {
            embedding: table(),
            layers: (0..shape.layers())
                .map(|index| Layer::new(index, shape, device))
                .collect(),
            norm: RmsNorm::new("norm", shape.hidden, shape.rms_norm_eps, device),
            unembedding: (!shape.tied).then(table),
            rope: Rope::new(shape.rope, shape.part),
            source: None,
            replaced: BTreeSet::new(),
            frozen: false,
        }
    }

    /// The embedding of ids `[n, t]`, `[n, t, hidden]`.
    pub(super) fn embed_ids(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        module::embedding(self.embedding.clone(), ids)
    }

    /// Some layers, one after another.
    pub(super) fn stack(&self, layers: Range<usize>) -> impl Iterator<Item = Cow<'_, Layer>> {
        let end = layers.end;
        layers.map(move |index| self.layer(index, Some(index + 1).filter(|&next| next < end)))
    }

    /// Number of layers.
    pub(super) fn depth(&self) -> usize {
        self.layers.len()
    }

    /// A layer with its weights; where layers are streamed `next` is read meanwhile.
    fn layer(&self, index: usize, next: Option<usize>) -> Cow<'_, Layer> {
        let own = &self.layers[index];
        let Some(source) = &self.source else {
            return Cow::Borrowed(own);
        };
        let mut layer = source.fetch(index, next);
        layer.adopt(own, &self.replaced);
        if self.frozen {
            layer.matrices_mut().for_each(LoraLinear::freeze);
        }
        Cow::Owned(layer)
    }

    /// Whether padding would take part in the rounding of a product's input.
    pub(super) fn sees_padding(&self) -> bool {
        let first = self
            .layers
            .first()
            .and_then(|layer| layer.matrices().next());
        first.is_some_and(|linear| linear.compute() == Compute::LlmInt8)
    }

    /// Ends what [`Network::freeze`] began.
    fn thaw(&mut self) {
        if self.frozen {
            let layers = self.layers.iter_mut();
            layers
                .flat_map(Layer::matrices_mut)
                .for_each(LoraLinear::thaw);
            self.frozen = false;
        }
    }

    /// The rotary embedding.
    pub(super) fn rope(&self) -> &Rope {
        &self.rope
    }

    /// The final normalisation of `[n, t, hidden]`.
    pub(super) fn normalise(&self, x: Tensor<3>) -> Tensor<3> {
        self.norm.forward(x)
    }

    /// The embedding of a batch's tokens, `[n, t, hidden]`.
    fn embed(&self, batch: &Batch) -> Tensor<3> {
        match &batch.input {
            ModelInput::Tokens(ids) => self.embed_ids(ids.clone()),
            _ => unreachable!("a batch is made for the input that the model was built for"),
        }
    }

    /// `layers` on x.
    fn through(
        &self,
        mut x: Tensor<3>,
        layers: Range<usize>,
        batch: &Batch,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let at = Positions::of(batch, x.dims()[1], &self.rope, self.sees_padding());
        for layer in self.stack(layers) {
            x = layer.forward(x, &at, pass);
        }
        x
    }
}

impl Layered for Llama {
    fn enter(&self, batch: &Batch) -> (Tensor<3>, usize) {
        match &batch.input {
            ModelInput::Activations { x, layer } => (x.clone(), *layer),
            _ => (self.embed(batch), 0),
        }
    }

    fn resident(&self) -> u64 {
        self.source.as_ref().map_or(0, |source| source.resident())
    }

    fn fetch(&self, layer: usize, next: Option<usize>) -> Box<dyn Stage> {
        Box::new(LlamaStage {
            layer: self.layer(layer, next).into_owned(),
            rope: self.rope.clone(),
            sees_padding: self.sees_padding(),
        })
    }
}

impl Network for Llama {
    fn boxed(&self) -> Box<dyn Network> {
        Box::new(self.clone())
    }

    /// Hidden states after the final normalisation, `[n, t, hidden]`.
    fn forward(&self, batch: &Batch, pass: &mut Pass) -> Tensor<3> {
        let (x, below) = self.enter(batch);
        let x = self.through(x, below..self.layers.len(), batch, pass);
        self.normalise(x)
    }

    fn decoder(&self) -> Option<&dyn Decoder> {
        Some(self)
    }

    fn unembed(&self, hidden: Tensor<2>) -> Tensor<2> {
        let weight = self.unembedding.as_ref().unwrap_or(&self.embedding);
        let logits = ops::linear(hidden.unsqueeze_dim(0), weight.clone(), None);
        logits.squeeze_dim(0)
    }

    /// Layer by layer: query, key, value, output, gate, up, down.
    fn adaptable(&self) -> Vec<&LoraLinear> {
        self.layers.iter().flat_map(Layer::matrices).collect()
    }

    fn adaptable_mut(&mut self) -> Vec<&mut LoraLinear> {
        self.thaw();
        let layers = self.layers.iter_mut();
        layers.flat_map(Layer::matrices_mut).collect()
    }

    fn short_names(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("query", r".*\.self_attn\.q_proj"),
            ("key", r".*\.self_attn\.k_proj"),
            ("value", r".*\.self_attn\.v_proj"),
            ("output", r".*\.self_attn\.o_proj"),
            ("ffn", r".*\.mlp\.(gate|up|down)_proj"),
            ("ffn_in", r".*\.mlp\.(gate|up)_proj"),
            ("ffn_out", r".*\.mlp\.down_proj"),
        ]
    }

    /// The embedding, unless it is the unembedding, too.
    fn looked_up(&self) -> &'static [&'static str] {
        match self.unembedding {
            Some(_) => &["embed_tokens.weight"],
            None => &[],
        }
    }

    /// Embedding, layer by layer, final normalisation, unembedding.
    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        self.thaw();
        let deviation = fan_in(self.embedding.dims()[1]);
        let table = |name: &str, tensor| Parameter {
            name: name.to_owned(),
            role: Role::Base,
            init: Init::Normal(deviation),
            slot: Slot::new::<2>(tensor),
        };
        let mut all = vec![table("embed_tokens.weight", &mut self.embedding)];
        all.extend(self.layers.iter_mut().flat_map(Layer::parameters));
        all.push(self.norm.parameter());
        let unembedding = self.unembedding.as_mut();
        all.extend(unembedding.map(|tensor| table("lm_head.weight", tensor)));
        all
    }

    fn layers(&self) -> usize {
        self.layers.len()
    }

    fn width(&self) -> usize {
        self.embedding.dims()[1]
    }

    fn layers_below_adapters(&self) -> usize {
        let mut layers = self.layers.iter();
        let first = layers.position(|layer| layer.matrices().any(LoraLinear::is_probed));
        first.unwrap_or(0)
    }

    fn activations(&self, batch: &Batch, depth: usize) -> Tensor<3> {
        let (x, below) = self.enter(batch);
        self.through(x, below..depth, batch, &mut Pass::Plain)
    }

    /// Adapters are merged into their matrices once.
    fn freeze(&mut self) {
        self.frozen = true;
        if self.source.is_none() {
            let layers = self.layers.iter_mut();
            layers
                .flat_map(Layer::matrices_mut)
                .for_each(LoraLinear::freeze);
        }
    }

    fn stream(
        &mut self,
        weights: Narrow,
        device: &Device,
        resident: bool,
    ) -> Result<(), ShardsError> {
        let source = Source::new(weights, self.layers.clone(), device, resident)?;
        self.source = Some(Arc::new(source));
        Ok(())
    }

    fn keep_replaced(&mut self, names: &BTreeSet<String>) {
        self.replaced.clone_from(names);
    }

    fn layered(&self) -> Option<&dyn Layered> {
        self.source.as_ref().map(|_| self as &dyn Layered)
    }
}
