//! What fine-tuning and gradients need of an architecture, and nothing of its inside.
//!
//! Per-example gradients need the input and the output gradient of adapted and trained linear layers only, which leave
//! them behind in a [`Pass::Probed`]: every other operation needs a forward pass and the gradient
//! of its input, nothing more.

use std::collections::BTreeSet;
use std::fmt::Debug;

use burn::tensor::{Device, Tensor};

use super::Batch;
use super::decoder::Decoder;
use super::layered::Layered;
use super::linear::Linear;
use super::load::Narrow;
use super::lora::LoraLinear;
use super::parameter::Parameter;
use super::pass::Pass;
use crate::checkpoints::peft::modules::split_layer;
use crate::checkpoints::shards::ShardsError;

/// What a row of latents (an example at one timestep) costs, an estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowCost {
    /// Floating-point operations of the forward pass, two a multiply-add.
    pub forward: f64,
    /// Those of the backward pass to the adapters.
    pub backward: f64,
    /// Bytes that the forward pass leaves for the backward pass.
    pub kept: u64,
    /// The same where blocks are [computed twice](Network::recompute), with the block that keeps most.
    pub between: u64,
}

/// A network whose linear layers can carry adapters.
pub trait Network: Debug + Send + Sync {
    /// A copy that shares its tensors.
    fn boxed(&self) -> Box<dyn Network>;

    /// `[n, positions, outputs]`: a classifier's logits are `[n, 1, classes]`, a language model gives the hidden states
    /// after its final norm, `[n, t, width]`, for [`Self::unembed`].
    fn forward(&self, batch: &Batch, pass: &mut Pass) -> Tensor<3>;

    /// Logits over the vocabulary, `[k, vocabulary]`, of hidden states `[k, width]` of a language model. A loss calls
    /// it for the positions that have a target, some at a time. Nothing in it is adapted.
    fn unembed(&self, hidden: Tensor<2>) -> Tensor<2> {
        hidden
    }

    /// The network as one that continues texts; none for one that does not.
    fn decoder(&self) -> Option<&dyn Decoder> {
        None
    }

    /// The linear layers that can carry an adapter, in the order in which a forward pass meets them.
    fn adaptable(&self) -> Vec<&LoraLinear>;

    /// [`Self::adaptable`], to be changed.
    fn adaptable_mut(&mut self) -> Vec<&mut LoraLinear>;

    /// What the short names in `lora.targets` (`query`, `value`, `ffn`, …) mean here: for each that the network has, a
    /// regular expression that the whole names of its modules match.
    fn short_names(&self) -> &'static [(&'static str, &'static str)];

    /// The layers trained besides the adapters whose weights have per-example gradients, in the order in which a
    /// forward pass meets them, after all of [`Self::adaptable`].
    fn trained(&self) -> Vec<&Linear> {
        Vec::new()
    }

    /// The layer that gives a classifier's logits; `None` for a network that is no classifier.
    fn classifier(&self) -> Option<&Linear> {
        None
    }

    /// Puts a blank head for `classes` in place of a classifier's.
    fn replace_head(&mut self, _classes: usize, _device: &Device) {}

    /// Has per-example gradients taken of every weight matrix of a classifier's head, not of the last alone.
    fn probe_head(&mut self) {}

    /// Every parameter in a stable order, of a forward pass.
    fn parameters(&mut self) -> Vec<Parameter<'_>>;

    /// Names of the parameters whose rows are looked up and multiplied with nothing: embedding tables.
    fn looked_up(&self) -> &'static [&'static str] {
        &[]
    }

    /// Number of layers, by which `lora.layers` counts. 0 for a network that has none, in which it can only be `all`.
    fn layers(&self) -> usize;

    /// The layer that a module is in, from 0 at the input, by the module's name; `None` for one in no layer. By default
    /// the last number within the name, as in PEFT.
    fn layer_of(&self, module: &str) -> Option<usize> {
        split_layer(module).map(|(layer, _)| layer)
    }

    /// What a row of latents `[height, width]` costs with a text of `tokens`; `None` for a network of other inputs, whose
    /// parameters are multiplied with every position alike.
    fn row_cost(&self, _size: [usize; 2], _tokens: usize) -> Option<RowCost> {
        None
    }

    /// Width of the vectors that layers pass on.
    fn width(&self) -> usize;

    /// Makes passes that train nothing faster, until parameters or linear layers are asked for to be changed.
    fn freeze(&mut self) {}

    /// Has passes for per-example gradients keep what lies between blocks alone and compute the blocks once more on the way
    /// back, or not: a third more work and the same gradients to rounding. Without effect on a network that cannot.
    fn recompute(&mut self, _recomputes: bool) {}

    /// Has the layers, whose parameters are blank and stay so, read from `weights` whenever it is their turn; with `resident`
    /// once, to the device in the type of the files. The other parameters are loaded as usual.
    ///
    /// # Errors
    /// Weights that cannot be read.
    ///
    /// # Panics
    /// When the network is none whose layers can be streamed.
    fn stream(
        &mut self,
        _weights: Narrow,
        _device: &Device,
        _resident: bool,
    ) -> Result<(), ShardsError> {
        panic!("only language models are streamed")
    }

    /// The network as one whose layers are led through one at a time, where they are [streamed](Self::stream).
    fn layered(&self) -> Option<&dyn Layered> {
        None
    }

    /// Names the parameters of the base that an adapter replaced, which are no longer those of the files.
    fn keep_replaced(&mut self, _names: &BTreeSet<String>) {}

    /// How many layers lie below the first one that is trained, with activations that can be kept; 0 when there is
    /// none.
    fn layers_below_adapters(&self) -> usize {
        0
    }

    /// What the embedding and the first `depth` layers make of a batch without dropout, `[n, t, width]`.
    ///
    /// # Panics
    /// When `depth` is more than [`Self::layers_below_adapters`].
    fn activations(&self, _batch: &Batch, depth: usize) -> Tensor<3> {
        panic!("no activations are kept at layer {depth}")
    }
}

impl Clone for Box<dyn Network> {
    fn clone(&self) -> Self {
        self.boxed()
    }
}
