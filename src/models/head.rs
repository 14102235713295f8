//! From the pooled vector to logits.

use burn::tensor::{Device, Tensor};

use super::linear::Linear;
use super::parameter::{Parameter, Role};
use super::pass::Pass;

/// Standard deviation of fresh weights, as in BERT.
const DEVIATION: f64 = 0.02;

/// A linear classifier W x + b, or RoBERTa's W tanh(V x + c) + b. All of it is trained; the gradient of
/// W is one of the blocks of the Fisher (as in the paper's code).
#[derive(Clone, Debug)]
pub struct Head {
    /// V and c.
    dense: Option<Linear>,
    /// W and b.
    last: Linear,
    /// Whether per-example gradients of V are taken, too.
    probe_dense: bool,
}

/// Which classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadKind {
    /// W x + b.
    Linear,
    /// W tanh(V x + c) + b.
    Dense,
}

impl Head {
    /// Zeros, for `classes`.
    pub fn new(kind: HeadKind, hidden: usize, classes: usize, device: &Device) -> Self {
        match kind {
            HeadKind::Linear => Self::linear(hidden, classes, device),
            HeadKind::Dense => Self::dense(hidden, classes, device),
        }
    }

    /// `classifier`.
    pub fn linear(hidden: usize, classes: usize, device: &Device) -> Self {
        Self {
            dense: None,
            last: Linear::new("classifier", hidden, classes, device),
            probe_dense: false,
        }
    }

    /// `classifier.dense` and `classifier.out_proj`.
    pub fn dense(hidden: usize, classes: usize, device: &Device) -> Self {
        Self {
            dense: Some(Linear::new("classifier.dense", hidden, hidden, device)),
            last: Linear::new("classifier.out_proj", hidden, classes, device),
            probe_dense: false,
        }
    }

    /// Zeros of the same form, for `classes`.
    pub fn replace(&mut self, classes: usize, device: &Device) {
        let hidden = self.last.weight.dims()[1];
        *self = match self.dense {
            None => Self::linear(hidden, classes, device),
            Some(_) => Self::dense(hidden, classes, device),
        };
    }

    /// Has per-example gradients of V taken, or not.
    pub fn probe_dense(&mut self, probed: bool) {
        self.probe_dense = probed;
    }

    /// The layers whose weights have per-example gradients, in the order of a forward pass.
    pub fn probed(&self) -> impl Iterator<Item = &Linear> {
        let dense = self.dense.iter().filter(|_| self.probe_dense);
        dense.chain([&self.last])
    }

    /// The layer that gives the logits.
    pub fn last(&self) -> &Linear {
        &self.last
    }

    /// `[n, 1, h]` → `[n, 1, classes]`; a probe at the logits when gradients are taken, dropout before each of its
    /// layers while training.
    pub fn forward(&self, x: Tensor<3>, pass: &mut Pass) -> Tensor<3> {
        let x = pass.drop_classifier(x);
        let x = match &self.dense {
            None => x,
            Some(dense) => {
                let x = if self.probe_dense {
                    dense.forward_probed(x, pass)
                } else {
                    dense.forward(x)
                };
                pass.drop_classifier(x.tanh())
            }
        };
        self.last.forward_probed(x, pass)
    }

    /// Every parameter, the last layer's at the end.
    pub fn parameters(&mut self) -> Vec<Parameter<'_>> {
        let mut all = Vec::with_capacity(4);
        if let Some(dense) = &mut self.dense {
            all.extend(dense.parameters(Role::Head, DEVIATION));
        }
        all.extend(self.last.parameters(Role::Head, DEVIATION));
        all
    }
}
