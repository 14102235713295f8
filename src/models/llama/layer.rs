//! A decoder layer: attention and feed-forward part, each on the normalised residual stream and added to it.

use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor};

use super::attention::SelfAttention;
use super::mlp::Mlp;
use super::positions::Positions;
use super::rms_norm::RmsNorm;
use super::shape::LlamaShape;
use crate::models::lora::LoraLinear;
use crate::models::parameter::Parameter;
use crate::models::pass::Pass;

/// One layer.
#[derive(Clone, Debug)]
pub struct Layer {
    attention_norm: RmsNorm,
    attention: SelfAttention,
    mlp_norm: RmsNorm,
    mlp: Mlp,
}

impl Layer {
    /// To be initialised or loaded.
    pub fn new(index: usize, shape: &LlamaShape, device: &Device) -> Self {
        let norm = |part: &str| {
            let name = format!("layers.{index}.{part}");
            RmsNorm::new(name, shape.hidden, shape.rms_norm_eps, device)
        };
        Self {
            attention_norm: norm("input_layernorm"),
            attention: SelfAttention::new(index, shape, device),
            mlp_norm: norm("post_attention_layernorm"),
            mlp: Mlp::new(index, shape, device),
        }
    }

    /// `[n, t, hidden]` → `[n, t, hidden]`.
    pub fn forward(&self, x: Tensor<3>, at: &Positions, pass: &mut Pass) -> Tensor<3> {
        let (x, normal) = self.attended(x, at, pass, |new| new);
        x + self.mlp.forward(normal, pass)
    }

    /// Σ y·δ of the output y of [`Self::forward`], see [`LoraLinear::pull`].
    pub fn pull(
        &self,
        x: Tensor<3>,
        delta: Tensor<3>,
        at: &Positions,
        pass: &mut Pass,
    ) -> Tensor<1> {
        let (x, normal) = self.attended(x, at, pass, |new| new);
        (x * delta.clone()).sum() + self.mlp.pull(normal, delta, pass)
    }

    /// [`Self::forward`] of the last positions of texts; `keep` adds the keys and values of these positions to those before
    /// and gives all.
    pub fn step(
        &self,
        x: Tensor<3>,
        at: &Positions,
        keep: impl FnOnce([Tensor<3>; 2]) -> [Tensor<3>; 2],
    ) -> Tensor<3> {
        let (x, normal) = self.attended(x, at, &mut Pass::Plain, keep);
        x + self.mlp.forward(normal, &mut Pass::Plain)
    }

    /// The residual stream between attention and feed-forward part, and the input of the latter.
    fn attended(
        &self,
        x: Tensor<3>,
        at: &Positions,
        pass: &mut Pass,
        keep: impl FnOnce([Tensor<3>; 2]) -> [Tensor<3>; 2],
    ) -> (Tensor<3>, Tensor<3>) {
        let normal = at.masked(self.attention_norm.forward(x.clone()));
        let [query, key, value] = self.attention.project(normal, &at.rotation, pass);
        let [keys, values] = keep([key, value]);
        let x = x + self.attention.attend(query, keys, values, at, pass);
        let normal = at.masked(self.mlp_norm.forward(x.clone()));
        (x, normal)
    }

    /// Takes over what is trained of the same layer, and its parameters named in `replaced`; they share their tensors.
    pub fn adopt(&mut self, other: &Self, replaced: &BTreeSet<String>) {
        for (own, other) in self.matrices_mut().zip(other.matrices()) {
            own.adopt(other);
        }
        if replaced.is_empty() {
            return;
        }
        let mut other = other.clone();
        for (mut own, other) in self.parameters().into_iter().zip(other.parameters()) {
            if replaced.contains(&own.name) {
                own.slot.share(&other.slot);
            }
        }
    }

    /// The matrices in the order of a forward pass.
    pub fn matrices(&self) -> impl Iterator<Item = &LoraLinear> {
        let attention = self.attention.matrices().into_iter();
        attention.chain(self.mlp.matrices())
    }

    /// [`Self::matrices`], to be changed.
    pub fn matrices_mut(&mut self) -> impl Iterator<Item = &mut LoraLinear> {
        let attention = self.attention.matrices_mut().into_iter();
        attention.chain(self.mlp.matrices_mut())
    }

    /// Every parameter in the order of a forward pass.
    pub fn parameters(&mut self) -> Vec<Parameter<'_>> {
        let mut all = vec![self.attention_norm.parameter()];
        all.extend(self.attention.parameters());
        all.push(self.mlp_norm.parameter());
        all.extend(self.mlp.parameters());
        all
    }
}
