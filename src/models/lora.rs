//! Linear layers that may carry a LoRA adapter.
//!
//! y = W x + b + s·B A D(x), with s = α/r or α/√r (rsLoRA), A `[r, in]`, B `[out, r]`, D dropout while fine-tuning only
//! (Hu et al., 2022). A is drawn from the distribution of [`LoraInit`], B starts at zero.

pub mod layers;
pub mod settings;
pub mod targets;

use burn::tensor::{Device, Tensor};

use super::linear::{Linear, probed};
use super::ops;
use super::parameter::{Init, Parameter, Role, Slot, blank};
use super::pass::Pass;
use settings::LoraInit;

/// The factors of an adapter.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// A, `[r, in]`.
    pub a: Tensor<2>,
    /// B, `[out, r]`.
    pub b: Tensor<2>,
    /// s, α/r or α/√r.
    pub scale: f64,
    /// Distribution that A is drawn from.
    pub init: LoraInit,
}

impl Adapter {
    /// How A begins.
    fn init_of_a(&self) -> Init {
        let [rank, inputs] = self.a.dims();
        match self.init {
            LoraInit::Kaiming => Init::Uniform(1.0 / (inputs as f64).sqrt()),
            LoraInit::Gaussian => Init::Normal(1.0 / rank as f64),
        }
    }
}

/// What an adapter is made with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdapterShape {
    /// r.
    pub rank: usize,
    /// s, α/r or α/√r.
    pub scale: f64,
    /// Distribution that A is drawn from when it is not loaded.
    pub init: LoraInit,
}

/// A linear layer that may carry an adapter, or be trained in full.
#[derive(Clone, Debug)]
pub struct LoraLinear {
    base: Linear,
    adapter: Option<Adapter>,
    /// Whether per-example gradients of W are taken, where there is no adapter.
    probed: bool,
}

impl LoraLinear {
    /// Without adapter.
    pub fn new(name: impl Into<String>, inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            base: Linear::new(name, inputs, outputs, device),
            adapter: None,
            probed: false,
        }
    }

    /// The same layer without a bias.
    #[must_use]
    pub fn without_bias(mut self) -> Self {
        self.base = self.base.without_bias();
        self
    }

    /// Hangs an adapter on, to be initialised or loaded.
    pub fn adapt(&mut self, shape: AdapterShape, device: &Device) {
        let AdapterShape { rank, scale, init } = shape;
        let [outputs, inputs] = self.base.weight.dims();
        self.adapter = Some(Adapter {
            a: blank([rank, inputs], device),
            b: blank([outputs, rank], device),
            scale,
            init,
        });
    }

    /// Takes the adapter away.
    pub fn strip(&mut self) {
        self.adapter = None;
    }

    /// Has per-example gradients of W taken, or not.
    pub fn probe_weight(&mut self, probed: bool) {
        self.probed = probed;
    }

    /// Whether per-example gradients are taken here: of an adapter, or of W.
    pub fn is_probed(&self) -> bool {
        self.adapter.is_some() || self.probed
    }

    /// W, `[out, in]`.
    pub fn weight(&self) -> &Tensor<2> {
        &self.base.weight
    }

    /// The adapter, if there is one.
    pub fn adapter(&self) -> Option<&Adapter> {
        self.adapter.as_ref()
    }

    /// W + s·B A and b: one layer without adapter that computes the same.
    pub fn merged(&self) -> (Tensor<2>, Option<Tensor<1>>) {
        let weight = self.base.weight.clone();
        let weight = match &self.adapter {
            Some(Adapter { a, b, scale, .. }) => weight + b.clone().matmul(a.clone()) * *scale,
            None => weight,
        };
        (weight, self.base.bias.clone())
    }

    /// Width of its input.
    pub fn inputs(&self) -> usize {
        self.base.weight.dims()[1]
    }

    /// Width of its output.
    pub fn outputs(&self) -> usize {
        self.base.weight.dims()[0]
    }

    /// Name as in PyTorch, e.g. `encoder.layer.0.attention.self.query`.
    pub fn name(&self) -> &str {
        &self.base.name
    }

    /// `[n, t, in]` → `[n, t, out]`.
    pub fn forward(&self, x: Tensor<3>, pass: &mut Pass) -> Tensor<3> {
        let Some(Adapter { a, b, scale, .. }) = &self.adapter else {
            return match pass {
                Pass::Probed(_) if self.probed => self.base.forward_probed(x, pass),
                _ => self.base.forward(x),
            };
        };
        let dropped = match pass {
            Pass::Probed(sites) => {
                // A and B are constants here, so that one product with W + sBA does for three
                let (weight, bias) = self.merged();
                return probed(x, weight, bias, sites);
            }
            Pass::Plain | Pass::Training { .. } => pass.drop(x.clone(), |dropout| dropout.adapter),
        };
        let [n, t, inputs] = x.dims();
        let low = dropped
            .reshape([n * t, inputs])
            .matmul(a.clone().transpose())
            * *scale;
        let update = low.matmul(b.clone().transpose());
        let update = update.reshape([n, t, self.outputs()]);
        let addend = match &self.base.bias {
            Some(bias) => update + bias.clone().unsqueeze(),
            None => update,
        };
        ops::linear_onto(x, self.base.weight.clone(), addend)
    }

    /// W, b, and A and B when there is an adapter.
    pub fn parameters(&mut self, deviation: f64) -> Vec<Parameter<'_>> {
        let mut all = Vec::with_capacity(4);
        if let Some(adapter) = &mut self.adapter {
            let init = adapter.init_of_a();
            let Adapter { a, b, .. } = adapter;
            all.push(Parameter {
                name: format!("{}.lora_A.weight", self.base.name),
                role: Role::Adapter,
                init,
                slot: Slot::new(a),
            });
            all.push(Parameter {
                name: format!("{}.lora_B.weight", self.base.name),
                role: Role::Adapter,
                init: Init::Zeros,
                slot: Slot::new(b),
            });
        }
        all.extend(self.base.parameters(Role::Base, deviation));
        all
    }
}

#[cfg(test)]
mod tests;
