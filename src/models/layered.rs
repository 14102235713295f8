//! A network whose layers are in memory one at a time.
//!
//! Its passes go layer by layer: all batches through one layer, whose weights are read meanwhile for the next. For
//! gradients the input of every layer is kept; from the last layer to the first each is led through once more, now on a
//! graph, and the gradient δ of its output is let in as that of Σ y·δ. What a layer leaves is taken before the next is read.

use burn::tensor::Tensor;

use super::batch::Batch;
use super::lora::LoraLinear;
use super::parameter::Parameter;
use super::pass::Pass;

/// A network of layers that are read when it is their turn.
pub trait Layered: Sync {
    /// A batch as its first layer takes it, `[n, t, width]`, and which layer that is.
    fn enter(&self, batch: &Batch) -> (Tensor<3>, usize);

    /// Bytes that all layers take on the device besides the one that is fetched, where they are kept there.
    fn resident(&self) -> u64;

    /// A layer with its weights and adapters; `next` is read by another thread meanwhile.
    fn fetch(&self, layer: usize, next: Option<usize>) -> Box<dyn Stage>;
}

/// A layer with its weights.
pub trait Stage: Send + Sync {
    /// A copy that shares its tensors.
    fn boxed(&self) -> Box<dyn Stage>;

    /// `[n, t, width]` → `[n, t, width]`.
    fn forward(&self, x: Tensor<3>, batch: &Batch, pass: &mut Pass) -> Tensor<3>;

    /// Σ y·δ over the output y of [`Self::forward`], on the graph of x; `delta` is `[n, t, width]`.
    fn pull(&self, x: Tensor<3>, delta: Tensor<3>, batch: &Batch, pass: &mut Pass) -> Tensor<1>;

    /// The linear layers that can carry an adapter, in the order of a forward pass.
    fn linears(&self) -> Vec<&LoraLinear>;

    /// Every parameter, in the order of a forward pass.
    fn parameters(&mut self) -> Vec<Parameter<'_>>;
}
