//! Linear layers, with or without a LoRA adapter.
//!
//! y = W x + b + s·B A D(x), with s = α/r or α/√r (rsLoRA), A `[r, in]`, B `[out, r]`, D dropout while fine-tuning only
//! (Hu et al., 2022). A is drawn from the distribution of [`LoraInit`], B starts at zero.

pub mod settings;
pub mod targets;

use burn::tensor::{Device, Gradients, Tensor};

use super::dropout::{self, Dropout, Mask};
use super::ops;
use super::ops::encoder::Taps;
use super::parameter::{Init, Parameter, Role, Slot, blank};
use crate::random::Rng;
use settings::LoraInit;

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
    /// `x`, in a training pass with elements dropped with the probability that `p` chooses.
    fn drop(&mut self, x: Tensor<3>, p: impl Fn(&Dropout) -> f64) -> Tensor<3> {
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
pub struct Site {
    /// Its input without graph, `[n, t, in]`.
    x: Tensor<3>,
    delta: Delta,
}

/// Where the gradient of a layer's output, `[n, t, out]`, is after the backward pass.
enum Delta {
    /// At a leaf that hangs on the output.
    Probe(Box<Tensor<3>>),
    /// Left behind by the backward pass of a whole encoder layer, for one of its matrices.
    Tap(Taps, usize),
}

impl Site {
    /// A matrix of an encoder layer that is one operation.
    pub fn tapped(x: Tensor<3>, taps: Taps, matrix: usize) -> Self {
        Self {
            x,
            delta: Delta::Tap(taps, matrix),
        }
    }

    /// The layer's input x `[n, t, in]` and the gradient δ of its output `[n, t, out]`, after the backward
    /// pass that gave `grads`. Only the positions that the output was computed for are there.
    ///
    /// # Panics
    /// When the loss does not depend on the layer's output.
    pub fn take(self, grads: &mut Gradients) -> (Tensor<3>, Tensor<3>) {
        let delta = match self.delta {
            Delta::Probe(probe) => probe.grad_remove(grads),
            Delta::Tap(taps, matrix) => {
                taps.lock().expect("nobody panics while holding it")[matrix].take()
            }
        };
        let delta = delta.expect("every loss depends on the output of every layer");
        (self.x, delta)
    }
}

/// W x + b, or W x.
#[derive(Clone, Debug)]
pub struct Linear {
    name: String,
    /// W, `[out, in]`.
    pub weight: Tensor<2>,
    /// b, `[out]`.
    pub bias: Option<Tensor<1>>,
}

impl Linear {
    /// Zeros, to be initialised or loaded; with a bias.
    pub fn new(name: impl Into<String>, inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            name: name.into(),
            weight: blank([outputs, inputs], device),
            bias: Some(blank([outputs], device)),
        }
    }

    /// The same layer without a bias.
    #[must_use]
    pub fn without_bias(mut self) -> Self {
        self.bias = None;
        self
    }

    /// `[n, t, in]` → `[n, t, out]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        ops::linear(x, self.weight.clone(), self.bias.clone())
    }

    /// [`Self::forward`] with a probe when gradients are taken.
    pub fn forward_probed(&self, x: Tensor<3>, pass: &mut Pass) -> Tensor<3> {
        match pass {
            Pass::Probed(sites) => probed(x, self.weight.clone(), self.bias.clone(), sites),
            _ => self.forward(x),
        }
    }

    /// Name as in PyTorch.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// W, and b where there is one; W begins Gaussian with standard deviation `deviation`, b zero.
    pub fn parameters(&mut self, role: Role, deviation: f64) -> Vec<Parameter<'_>> {
        let weight = Parameter {
            name: format!("{}.weight", self.name),
            role,
            init: Init::Normal(deviation),
            slot: Slot::new(&mut self.weight),
        };
        let bias = self.bias.as_mut().map(|bias| Parameter {
            name: format!("{}.bias", self.name),
            role,
            init: Init::Zeros,
            slot: Slot::new(bias),
        });
        [weight].into_iter().chain(bias).collect()
    }
}

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

/// W x + b with a leaf at the output, and what the per-example products need.
///
/// Below the first leaf nothing is recorded. Above it the leaf takes the place of the bias: it holds b, or zeros,
/// in every row, so that adding it costs nothing extra.
fn probed(
    x: Tensor<3>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    sites: &mut Vec<Site>,
) -> Tensor<3> {
    let [n, t, _] = x.dims();
    let outputs = weight.dims()[0];
    let inner = x.clone().inner();
    let (out, probe) = if x.is_autodiff() {
        let probe: Tensor<3> = match bias {
            Some(bias) => bias.unsqueeze::<3>().expand([n, t, outputs]),
            None => Tensor::zeros([n, t, outputs], (&inner.device(), inner.dtype())),
        };
        let probe = probe.autodiff().require_grad();
        (ops::linear_onto(x, weight, probe.clone()), probe)
    } else {
        let out = ops::linear(x, weight, bias).autodiff().require_grad();
        (out.clone(), out)
    };
    sites.push(Site {
        x: inner,
        delta: Delta::Probe(Box::new(probe)),
    });
    out
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use rand::RngExt;

    use super::*;
    use crate::device::DeviceChoice;
    use crate::models::parameter::to_f32;
    use crate::random;

    /// `[out, in]` matrices and inputs as rows, multiplied one number at a time.
    fn times(rows: &[f32], weight: &[f32], inputs: usize) -> Vec<f32> {
        let dot = |row: &[f32], w: &[f32]| row.iter().zip(w).map(|(a, b)| a * b).sum();
        rows.chunks(inputs)
            .flat_map(|row| weight.chunks(inputs).map(move |w| dot(row, w)))
            .collect()
    }

    #[test]
    fn layers_without_bias_give_products_and_the_gradients_of_their_outputs() {
        let device = DeviceChoice::Flex.inner();
        let mut rng = random::rng(1, "lora", "without bias");
        let mut draw =
            |count: usize| -> Vec<f32> { (0..count).map(|_| rng.random::<f32>() - 0.5).collect() };
        let (n, t, width, middle, out) = (2, 3, 5, 4, 6);
        let (x, mix) = (draw(n * t * width), draw(n * t * out));
        let mut layers = [
            LoraLinear::new("first", width, middle, &device).without_bias(),
            LoraLinear::new("second", middle, out, &device).without_bias(),
        ];
        let shape = AdapterShape {
            rank: 2,
            scale: 0.5,
            init: LoraInit::Kaiming,
        };
        for layer in &mut layers {
            layer.adapt(shape, &device);
            let names: Vec<String> = layer
                .parameters(1.0)
                .into_iter()
                .map(|mut parameter| {
                    let values = draw(parameter.slot.count());
                    parameter.slot.set(&values, &device);
                    parameter.name
                })
                .collect();
            assert_eq!(names.len(), 3, "{names:?}");
        }
        let merged = layers
            .each_ref()
            .map(|layer| to_f32(layer.merged().0.into_data()));
        let hidden = times(&x, &merged[0], width);
        let expected = times(&hidden, &merged[1], middle);
        // δ at the first output is δ W, a product with the transpose
        let transposed: Vec<f32> = (0..middle)
            .flat_map(|j| (0..out).map(move |i| (i, j)))
            .map(|(i, j)| merged[1][i * middle + j])
            .collect();
        let delta = times(&mix, &transposed, out);

        let input = Tensor::<3>::from_data(TensorData::new(x.clone(), [n, t, width]), &device);
        let forward = |pass: &mut Pass| {
            let [first, second] = &layers;
            second.forward(first.forward(input.clone(), pass), pass)
        };
        let close = |found: Tensor<3>, expected: &[f32]| {
            let found = to_f32(found.inner().into_data());
            assert_eq!(found.len(), expected.len());
            for (a, b) in found.iter().zip(expected) {
                // sums of at most 6 products of numbers below 2
                assert!((a - b).abs() <= 24.0 * f32::EPSILON, "{a} against {b}");
            }
        };
        close(forward(&mut Pass::Plain), &expected);
        let mut pass = Pass::Probed(Vec::new());
        let found = forward(&mut pass);
        let weights = Tensor::<3>::from_data(TensorData::new(mix.clone(), [n, t, out]), &device);
        let mut grads = (found.clone() * weights.autodiff()).sum().backward();
        close(found, &expected);
        let Pass::Probed(sites) = pass else {
            unreachable!("it was one")
        };
        let expected = [(x, delta), (hidden, mix)];
        assert_eq!(sites.len(), expected.len());
        for (site, (x, delta)) in sites.into_iter().zip(&expected) {
            let (found_x, found_delta) = site.take(&mut grads);
            close(found_x, x);
            close(found_delta, delta);
        }
    }
}
