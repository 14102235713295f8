//! A network on a device, and where its parameters came from.

mod adapters;
#[cfg(test)]
mod tests;

pub use adapters::GradientTensor;

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Tensor};
use serde_json::{Map, Value};

use super::ModelConfig;
use super::batch::{Batch, InputShape};
use super::compute::Compute;
use super::decoder::Decoder;
use super::dropout::DropoutProbabilities;
use super::error::ModelError;
use super::family::Family;
use super::layered::Layered;
use super::load::Narrow;
use super::lora::LoraLinear;
use super::network::{Network, RowCost};
use super::parameter::{self, Parameter, Role, Weights};
use super::pass::Pass;
use super::weight_bytes::WeightBytes;
use crate::checkpoints::peft::modules::split_layer;
use crate::checkpoints::shards::ShardsError;
use crate::device::DeviceChoice;

/// A [network](Network) on a device, with what is known of where its parameters came from.
///
/// It holds what is not an architecture's: device, family of a checkpoint, and what an adapter brought along.
/// Adapters and head are trained; the head's bias too, although its gradient is not among the blocks
/// of the Fisher (as in the paper's code).
#[derive(Clone, Debug)]
pub struct Model {
    network: Box<dyn Network>,
    /// Whether the head came from a checkpoint or an adapter.
    pretrained_head: bool,
    /// What a checkpoint's config.json says; none for a network of our own.
    dropout: DropoutProbabilities,
    brought: Brought,
    family: Option<&'static Family>,
    device: Device,
}

/// What an adapter of PEFT brought along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// Names of the parameters of the base that it replaced, because it trains them in full.
    pub parameters: BTreeSet<String>,
    /// The modules that it names, by the ends of their names (PEFT's `modules_to_save`).
    pub modules: Vec<String>,
    /// Fields of its settings that say how A and B began, which are saved again as they were.
    pub init: Map<String, Value>,
}

/// The settings do not contradict one another.
fn check(config: &ModelConfig) -> Result<(), ModelError> {
    match config.problem() {
        None => Ok(()),
        Some((field, problem)) => {
            let at = format!("model.{field}");
            Err(ModelError::Setting { at, problem })
        }
    }
}

impl Model {
    /// A network of our own, as it is.
    pub fn of_network(network: Box<dyn Network>, device: &Device) -> Self {
        Self {
            network,
            pretrained_head: false,
            dropout: DropoutProbabilities::default(),
            brought: Brought::default(),
            family: None,
            device: device.clone(),
        }
    }

    /// The same as a checkpoint of `family`, whose config.json asks for `dropout` in train mode.
    #[must_use]
    pub fn of_family(self, family: &'static Family, dropout: DropoutProbabilities) -> Self {
        Self {
            family: Some(family),
            dropout,
            ..self
        }
    }

    /// The network without adapters. A checkpoint's parameters come from its files, its head too when
    /// it has one for as many classes; all others are drawn from `seed`.
    ///
    /// # Errors
    /// When the settings contradict themselves or the input, or a checkpoint cannot be loaded.
    pub fn new(
        config: &ModelConfig,
        input: &InputShape,
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self, ModelError> {
        check(config)?;
        config.build(input, classes, seed, device)
    }

    /// The network with [blank](parameter::blank) parameters: its shape, at little cost.
    ///
    /// # Errors
    /// As [`Self::new`], but for a checkpoint's weights, which are not looked at.
    pub fn blank(
        config: &ModelConfig,
        input: &InputShape,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        check(config)?;
        config.blank(input, classes, device)
    }

    /// [`Self::blank`] for inputs of the smallest size: what there is to know before anything is computed, the names
    /// and shapes of its linear layers.
    ///
    /// # Errors
    /// As [`Self::blank`].
    pub fn outline(config: &ModelConfig) -> Result<Self, ModelError> {
        let input = config.smallest_input()?;
        Self::blank(config, &input, 2, &DeviceChoice::Flex.inner())
    }

    /// Says that the head came from files.
    pub(super) fn with_pretrained_head(&mut self) {
        self.pretrained_head = true;
    }

    /// Draws the parameters of `roles` from `seed`.
    pub(super) fn initialise(&mut self, roles: &[Role], seed: u64) {
        let device = self.device.clone();
        parameter::initialise(self.parameters(), roles, seed, &device);
    }

    /// What the network makes of a batch, `[n, positions, outputs]`.
    pub fn output(&self, batch: &Batch, pass: &mut Pass) -> Tensor<3> {
        self.network.forward(batch, pass)
    }

    /// Logits `[n, classes]`.
    pub fn logits(&self, batch: &Batch, pass: &mut Pass) -> Tensor<2> {
        self.output(batch, pass).squeeze_dim(1)
    }

    /// Logits over the vocabulary, `[k, vocabulary]`, of hidden states `[k, width]` of a language model.
    pub fn unembed(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.network.unembed(hidden)
    }

    /// The network as one whose layers are in memory one at a time; none where all are.
    pub fn layered(&self) -> Option<&dyn Layered> {
        self.network.layered()
    }

    /// Takes products with the matrices that can carry an adapter in another precision.
    pub(super) fn compute_in(&mut self, compute: Compute) {
        for linear in self.linears_mut() {
            linear.compute_in(compute);
        }
    }

    /// Has the layers read from `weights` when it is their turn, see [`Network::stream`].
    pub(super) fn stream(&mut self, weights: Narrow, resident: bool) -> Result<(), ShardsError> {
        let device = self.device.clone();
        self.network.stream(weights, &device, resident)
    }

    /// What the weights take, those of layers in the files `weights`; all in f32 where there are none.
    pub fn weight_bytes(&mut self, weights: Option<&Narrow>) -> WeightBytes {
        let mut layers = BTreeMap::<usize, u64>::new();
        let mut bytes = WeightBytes::default();
        for parameter in self.parameters() {
            let count = parameter.slot.count() as u64;
            let size = 4 * count;
            match split_layer(&parameter.name) {
                Some((layer, _)) if parameter.role == Role::Base => {
                    *layers.entry(layer).or_default() += size;
                    let narrow = weights.map(|weights| weights.dtype(&parameter.name).size());
                    bytes.narrow += narrow.map_or(size, |narrow| narrow as u64 * count);
                }
                _ => bytes.outside += size,
            }
        }
        bytes.layer = layers.values().copied().max().unwrap_or(0);
        bytes.layers = layers.values().sum();
        bytes
    }

    /// The network as one that continues texts; none for one that does not.
    pub fn decoder(&self) -> Option<&dyn Decoder> {
        self.network.decoder()
    }

    /// Makes passes that train nothing faster, until the parameters are asked for to be changed.
    pub fn freeze(&mut self) {
        self.network.freeze();
    }

    /// Turns every parameter into f64, for derivatives that f32 is too coarse for: passes then go through the
    /// framework's own operations, far slower, on batches that are [widened](Batch::widen) too.
    pub fn widen(&mut self) {
        for parameter in &mut self.parameters() {
            parameter.slot.widen();
        }
    }

    /// How many layers lie below the first adapted one, so that their activations do not change while
    /// adapters and head are trained; 0 when there is none.
    pub fn layers_below_adapters(&self) -> usize {
        self.network.layers_below_adapters()
    }

    /// What the embedding and the first `depth` layers make of a batch, `[n, t, h]`.
    ///
    /// # Panics
    /// When the network has no such layers, see [`Self::layers_below_adapters`].
    pub fn activations(&self, batch: &Batch, depth: usize) -> Tensor<3> {
        self.network.activations(batch, depth)
    }

    /// Names of the parameters whose rows are looked up and multiplied with nothing.
    pub fn looked_up(&self) -> &'static [&'static str] {
        self.network.looked_up()
    }

    /// Every parameter in a stable order; the head comes last.
    pub fn parameters(&mut self) -> Vec<Parameter<'_>> {
        self.network.parameters()
    }

    /// The linear layers that can carry an adapter, in the order in which a forward pass meets them.
    pub fn linears(&self) -> Vec<&LoraLinear> {
        self.network.adaptable()
    }

    fn linears_mut(&mut self) -> Vec<&mut LoraLinear> {
        self.network.adaptable_mut()
    }

    /// Plain copies of the parameters of `roles`.
    pub fn export(&mut self, roles: &[Role]) -> Weights {
        parameter::export(self.parameters(), roles)
    }

    /// Sets the parameters of `roles`.
    ///
    /// # Errors
    /// When one is missing or has another shape.
    pub fn import(&mut self, roles: &[Role], weights: &Weights) -> Result<(), ModelError> {
        let device = self.device.clone();
        Ok(parameter::import(
            self.parameters(),
            roles,
            weights,
            &device,
        )?)
    }

    /// Number of parameters of `roles`.
    pub fn count(&mut self, roles: &[Role]) -> usize {
        self.parameters()
            .iter()
            .filter(|parameter| roles.contains(&parameter.role))
            .map(|parameter| parameter.slot.count())
            .sum()
    }

    /// The family of a checkpoint; `None` for a network of our own.
    pub fn family(&self) -> Option<&'static Family> {
        self.family
    }

    /// The dropout that a checkpoint's config.json asks for in train mode; none for a network of our own.
    pub fn dropout(&self) -> DropoutProbabilities {
        self.dropout
    }

    /// The layer that a module is in, from 0 at the input; `None` for one in no layer.
    pub fn layer_of(&self, module: &str) -> Option<usize> {
        self.network.layer_of(module)
    }

    /// Width of the vectors that layers pass on.
    pub fn width(&self) -> usize {
        self.network.width()
    }

    /// See [`Network::recompute`].
    pub fn recompute(&mut self, recomputes: bool) {
        self.network.recompute(recomputes);
    }

    /// See [`Network::row_cost`].
    pub fn row_cost(&self, size: [usize; 2], tokens: usize) -> Option<RowCost> {
        self.network.row_cost(size, tokens)
    }

    /// Layers of the network.
    pub fn layers(&self) -> usize {
        self.network.layers()
    }

    /// Where the parameters are.
    pub fn device(&self) -> &Device {
        &self.device
    }
}
