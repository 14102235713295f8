//! What a forward pass is for: evaluation, fine-tuning or per-example gradients; and what it leaves behind for the last.

use burn::tensor::{Gradients, Tensor};

use super::dropout::{self, Dropout, Mask};
use super::ops::encoder::Taps;
use crate::random::Rng;

/// What a forward pass is for.
pub enum Pass {
    /// No dropout; gradients flow to whatever leaves there are.
    Plain,
    /// Fine-tuning: dropout as in transformers' and PEFT's train mode.
    Training {
        /// The probabilities.
        dropout: Dropout,
        /// Where the masks come from.
        rng: Box<Rng>,
    },
    /// Per-example gradients: adapters are constants, a leaf hangs on every adapted layer's output.
    Probed(Vec<Site>),
}

impl Pass {
    /// A pass that does what this one will do from here on; one that probes begins without sites.
    pub fn again(&self) -> Self {
        match self {
            Self::Plain => Self::Plain,
            Self::Training { dropout, rng } => Self::Training {
                dropout: *dropout,
                rng: rng.clone(),
            },
            Self::Probed(_) => Self::Probed(Vec::new()),
        }
    }

    /// What adapted layers have left behind; nothing in a pass that does not probe.
    pub fn into_sites(self) -> Vec<Site> {
        match self {
            Self::Probed(sites) => sites,
            Self::Plain | Self::Training { .. } => Vec::new(),
        }
    }

    /// `x`, in a training pass with elements dropped with the probability that `p` chooses.
    pub(super) fn drop(&mut self, x: Tensor<3>, p: impl Fn(&Dropout) -> f64) -> Tensor<3> {
        match self {
            Self::Training { dropout, rng } => dropout::drop(x, p(dropout), rng),
            Self::Plain | Self::Probed(_) => x,
        }
    }

    /// Dropout between layers, with `hidden_dropout_prob`.
    pub fn drop_hidden(&mut self, x: Tensor<3>) -> Tensor<3> {
        self.drop(x, |dropout| dropout.base.hidden)
    }

    /// Dropout on an input of the classifier, with `classifier_dropout`.
    pub fn drop_classifier(&mut self, x: Tensor<3>) -> Tensor<3> {
        self.drop(x, |dropout| dropout.base.classifier)
    }

    /// Which of `count` attention weights are kept; `None`: all.
    pub fn attention_mask(&mut self, count: usize) -> Option<Mask> {
        match self {
            Self::Training { dropout, rng } if dropout.base.attention > 0.0 => {
                Some(Mask::draw(count, dropout.base.attention, rng))
            }
            _ => None,
        }
    }
}

/// What an adapted layer leaves behind in a [`Pass::Probed`].
pub enum Site {
    /// Its input without graph, `[n, t, in]`, and where the gradient of its output will be.
    Kept(Box<Tensor<3>>, Delta),
    /// Both are computed when they are asked for.
    Replayed(Box<dyn Replayed>),
}

/// A layer of a block that is led through again; to be asked for from the last layer to the first.
pub trait Replayed: Send + Sync {
    /// See [`Site::take`].
    fn take(&self, grads: &mut Gradients) -> (Tensor<3>, Tensor<3>);
}

/// Where the gradient of a layer's output, `[n, t, out]`, is after the backward pass.
pub enum Delta {
    /// At a leaf that hangs on the output.
    Probe(Box<Tensor<3>>),
    /// Left behind by the backward pass of a whole encoder layer, for one of its matrices.
    Tap(Taps, usize),
    /// Known before the backward pass.
    Known(Box<Tensor<3>>),
}

impl Site {
    /// A layer with input x, and a leaf `probe` on its output.
    pub fn probed(x: Tensor<3>, probe: Tensor<3>) -> Self {
        Self::Kept(Box::new(x), Delta::Probe(Box::new(probe)))
    }

    /// A layer with input x, the gradient of whose output is known.
    pub fn known(x: Tensor<3>, delta: Tensor<3>) -> Self {
        Self::Kept(Box::new(x), Delta::Known(Box::new(delta)))
    }

    /// A matrix of an encoder layer that is one operation.
    pub fn tapped(x: Tensor<3>, taps: Taps, matrix: usize) -> Self {
        Self::Kept(Box::new(x), Delta::Tap(taps, matrix))
    }

    /// A layer of a block that is led through again.
    pub fn replayed(layer: Box<dyn Replayed>) -> Self {
        Self::Replayed(layer)
    }

    /// The layer's input x `[n, t, in]` and the gradient δ of its output `[n, t, out]`, after the backward
    /// pass that gave `grads`. Only the positions that the output was computed for are there.
    ///
    /// # Panics
    /// When the loss does not depend on the layer's output.
    pub fn take(self, grads: &mut Gradients) -> (Tensor<3>, Tensor<3>) {
        let (x, delta) = match self {
            Self::Kept(x, delta) => (*x, delta),
            Self::Replayed(layer) => return layer.take(grads),
        };
        let delta = match delta {
            Delta::Probe(probe) => probe.grad_remove(grads),
            Delta::Tap(taps, matrix) => {
                taps.lock().expect("nobody panics while holding it")[matrix].take()
            }
            Delta::Known(delta) => Some(*delta),
        };
        let delta = delta.expect("every loss depends on the output of every layer");
        (x, delta)
    }
}
