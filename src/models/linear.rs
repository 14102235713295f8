//! Linear layers: W x + b, with a leaf on the output when per-example gradients are taken.

use burn::tensor::{Device, Tensor};

use super::ops;
use super::parameter::{Init, Parameter, Role, Slot, blank};
use super::pass::{Pass, Site};

/// W x + b, or W x.
#[derive(Clone, Debug)]
pub struct Linear {
    pub(super) name: String,
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

/// W x + b with a leaf at the output, and what the per-example products need.
///
/// Below the first leaf nothing is recorded. Above it the leaf takes the place of the bias: it holds b, or zeros,
/// in every row, so that adding it costs nothing extra.
pub(super) fn probed(
    x: Tensor<3>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    sites: &mut Vec<Site>,
) -> Tensor<3> {
    if !x.is_autodiff() {
        let out = ops::linear(x.clone(), weight, bias);
        return with_leaf(x, out, sites);
    }
    let [n, t, _] = x.dims();
    let dims = [n, t, weight.dims()[0]];
    let inner = x.clone().inner();
    let probe: Tensor<3> = match bias {
        Some(bias) => bias.unsqueeze::<3>().expand(dims),
        None => Tensor::zeros(dims, (&inner.device(), inner.dtype())),
    };
    let probe = probe.autodiff().require_grad();
    sites.push(Site::probed(inner, probe.clone()));
    ops::linear_onto(x, weight, probe)
}

/// The output `out` of a layer with the input x, with a leaf that hangs on it; one that nothing is recorded of is the leaf.
pub(super) fn with_leaf(x: Tensor<3>, out: Tensor<3>, sites: &mut Vec<Site>) -> Tensor<3> {
    let inner = x.inner();
    let (out, probe) = if out.is_autodiff() {
        let zeros = Tensor::<3>::zeros(out.dims(), (&inner.device(), inner.dtype()));
        let probe = zeros.autodiff().require_grad();
        (out + probe.clone(), probe)
    } else {
        let out = out.autodiff().require_grad();
        (out.clone(), out)
    };
    sites.push(Site::probed(inner, probe));
    out
}
