//! Linear layers that may carry a LoRA adapter.
//!
//! y = W x + b + s·B A D(x), with s = α/r or α/√r (rsLoRA), A `[r, in]`, B `[out, r]`, D dropout while fine-tuning only
//! (Hu et al., 2022). A is drawn from the distribution of [`LoraInit`], B starts at zero.

pub mod layers;
pub mod settings;
pub mod targets;

use burn::tensor::{Device, Tensor};

use super::compute::Compute;
use super::linear::{Linear, probed, with_leaf};
use super::ops;
use super::parameter::{Init, Parameter, Role, Slot, blank};
use super::pass::{Pass, Site};
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
    /// The precision of products with W.
    compute: Compute,
    /// W + s·B A, until something of it is asked for to be changed.
    merged: Option<Tensor<2>>,
}

impl LoraLinear {
    /// Without adapter.
    pub fn new(name: impl Into<String>, inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            base: Linear::new(name, inputs, outputs, device),
            adapter: None,
            probed: false,
            compute: Compute::F32,
            merged: None,
        }
    }

    /// Takes products with W in another precision from now on; W is rounded by whoever sets it.
    pub fn compute_in(&mut self, compute: Compute) {
        self.compute = compute;
    }

    /// The precision of products with W.
    pub fn compute(&self) -> Compute {
        self.compute
    }

    /// Merges the adapter into W once, for passes that probe; until [`Self::thaw`].
    pub fn freeze(&mut self) {
        if self.adapter.is_some() && !self.compute.rounds_inputs() {
            self.merged = Some(self.merged().0);
        }
    }

    /// Ends [`Self::freeze`].
    pub fn thaw(&mut self) {
        self.merged = None;
    }

    /// Takes over what is trained of the same layer: its adapter, and whether it is probed.
    pub fn adopt(&mut self, other: &Self) {
        self.adapter.clone_from(&other.adapter);
        self.probed = other.probed;
        self.merged = None;
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
        let weight = match (&self.merged, &self.adapter) {
            (Some(merged), _) => merged.clone(),
            (None, Some(Adapter { a, b, scale, .. })) => {
                weight + b.clone().matmul(a.clone()) * *scale
            }
            (None, None) => weight,
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

    /// W x + b in the precision asked for.
    fn base(&self, x: Tensor<3>) -> Tensor<3> {
        self.compute
            .output(self.base.forward(self.compute.input(x)))
    }

    /// s·B A x, with x as the adapter sees it.
    fn update(&self, x: Tensor<3>, Adapter { a, b, scale, .. }: &Adapter) -> Tensor<3> {
        let [n, t, inputs] = x.dims();
        let low = x.reshape([n * t, inputs]).matmul(a.clone().transpose()) * *scale;
        let update = low.matmul(b.clone().transpose());
        update.reshape([n, t, self.outputs()])
    }

    /// `[n, t, in]` → `[n, t, out]`.
    pub fn forward(&self, x: Tensor<3>, pass: &mut Pass) -> Tensor<3> {
        if let Pass::Probed(sites) = pass
            && self.is_probed()
        {
            if self.compute.rounds_inputs() {
                return self.probed_apart(x, sites);
            }
            // A and B are constants here, so that one product with W + sBA does for three
            let (weight, bias) = self.merged();
            return probed(x, weight, bias, sites);
        }
        if let (Some(merged), Pass::Plain) = (&self.merged, &pass) {
            return ops::linear(x, merged.clone(), self.base.bias.clone());
        }
        let Some(adapter) = &self.adapter else {
            return self.base(x);
        };
        let dropped = pass.drop(x.clone(), |dropout| dropout.adapter);
        let update = self.update(dropped, adapter);
        if self.compute.rounds_inputs() {
            return self.base(x) + update;
        }
        let addend = match &self.base.bias {
            Some(bias) => update + bias.clone().unsqueeze(),
            None => update,
        };
        ops::linear_onto(x, self.base.weight.clone(), addend)
    }

    /// [`Self::forward`] with a leaf at the output where W x is rounded and s·B A x is not.
    fn probed_apart(&self, x: Tensor<3>, sites: &mut Vec<Site>) -> Tensor<3> {
        let mut out = self.base(x.clone());
        if let Some(adapter) = &self.adapter {
            out = out + self.update(x.clone(), adapter);
        }
        with_leaf(x, out, sites)
    }

    /// Σ y·δ of the output y = forward(x) without computing y: Σ x·(δ W), and of a probed layer x and δ for its gradients.
    /// For a layer whose output nothing but δ depends on; `delta` is `[n, t, out]`.
    pub fn pull(&self, x: Tensor<3>, delta: Tensor<3>, pass: &mut Pass) -> Tensor<1> {
        let drops = matches!(pass, Pass::Training { .. }) && self.adapter.is_some();
        if drops || self.compute.rounds_inputs() {
            return (self.forward(x, pass) * delta).sum();
        }
        let back = ops::linear_back(delta.clone(), self.merged().0);
        if let Pass::Probed(sites) = pass
            && self.is_probed()
        {
            sites.push(Site::known(x.clone().inner(), delta));
        }
        (x * back).sum()
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
