//! Convolution and group normalisation, and the changes of size between levels.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::parts::leaf;
use crate::models::ops::{self, Window};
use crate::models::parameter::{Init, Parameter, Role, Slot, blank, fan_in};

/// A convolution with bias and a square kernel of side 3 or 1.
#[derive(Clone, Debug)]
pub struct Conv2d {
    name: String,
    /// `[out, in, side, side]`.
    weight: Tensor<4>,
    bias: Tensor<1>,
    window: Window,
}

impl Conv2d {
    /// Side 3, stride 1, the same size out as in; zeros, to be initialised or loaded.
    pub fn new(name: impl Into<String>, inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            name: name.into(),
            weight: blank([outputs, inputs, 3, 3], device),
            bias: Tensor::zeros([outputs], device),
            window: Window {
                side: 3,
                stride: 1,
                padding: (1, 1),
            },
        }
    }

    /// Side 1: a linear map of the channels at every point.
    pub fn pointwise(
        name: impl Into<String>,
        inputs: usize,
        outputs: usize,
        device: &Device,
    ) -> Self {
        Self {
            name: name.into(),
            weight: blank([outputs, inputs, 1, 1], device),
            bias: Tensor::zeros([outputs], device),
            window: Window {
                side: 1,
                stride: 1,
                padding: (0, 0),
            },
        }
    }

    /// Side 3, stride 2. With `padding` 1 a zero is put on every side; with 0, as in diffusers, on the right and at
    /// the bottom only.
    pub fn downsampling(
        name: impl Into<String>,
        channels: usize,
        padding: usize,
        device: &Device,
    ) -> Self {
        Self {
            window: Window {
                side: 3,
                stride: 2,
                padding: (padding, 1),
            },
            ..Self::new(name, channels, channels, device)
        }
    }

    /// `[n, in, h, w]` → `[n, out, h', w']`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        ops::conv2d(x, self.weight.clone(), self.bias.clone(), self.window)
    }

    /// Weight and bias, which begin as PyTorch's, uniform with variance 1/(3 · fan in), but for a bias of zero.
    fn parameters(&mut self) -> [Parameter<'_>; 2] {
        let [_, inputs, side, _] = self.weight.dims();
        let bound = fan_in(inputs * side * side);
        [
            Parameter {
                name: format!("{}.weight", self.name),
                role: Role::Base,
                init: Init::Uniform(bound),
                slot: Slot::new(&mut self.weight),
            },
            Parameter {
                name: format!("{}.bias", self.name),
                role: Role::Base,
                init: Init::Zeros,
                slot: Slot::new(&mut self.bias),
            },
        ]
    }
}
leaf!(Conv2d);

/// γ·(x − μ)/√(σ² + ε) + β with the mean μ and the (biased) variance σ² over the channels of a group and all points of an
/// example (Wu and He, 2018, arXiv 1803.08494).
#[derive(Clone, Debug)]
pub struct GroupNorm {
    name: String,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    groups: usize,
    epsilon: f64,
}

impl GroupNorm {
    /// γ = 1, β = 0; `groups` divides `channels`.
    pub fn new(
        name: impl Into<String>,
        channels: usize,
        groups: usize,
        epsilon: f64,
        device: &Device,
    ) -> Self {
        Self {
            name: name.into(),
            gamma: Tensor::ones([channels], device),
            beta: Tensor::zeros([channels], device),
            groups,
            epsilon,
        }
    }

    /// `[n, c, h, w]` → the same.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [n, c, h, w] = x.dims();
        let groups = self.groups;
        // row by row and then over the rows, so that sums of f32 stay short
        let mean = |x: Tensor<4>| -> Tensor<4> {
            let rows = x.reshape([n, groups, c / groups * h, w]).mean_dim(3);
            rows.mean_dim(2)
        };
        let x = x.reshape([n, groups, c / groups, h * w]);
        let centred = x.clone() - mean(x);
        let inverse = (mean(centred.clone().square()) + self.epsilon)
            .sqrt()
            .recip();
        let per_channel = |x: &Tensor<1>| x.clone().reshape([1, groups, c / groups, 1]);
        let out = centred * (inverse * per_channel(&self.gamma)) + per_channel(&self.beta);
        out.reshape([n, c, h, w])
    }

    /// [`Self::forward`] and SiLU, x·σ(x).
    pub fn forward_silu(&self, x: Tensor<4>) -> Tensor<4> {
        ops::silu(self.forward(x))
    }

    fn parameters(&mut self) -> [Parameter<'_>; 2] {
        [
            Parameter {
                name: format!("{}.weight", self.name),
                role: Role::Base,
                init: Init::Ones,
                slot: Slot::new(&mut self.gamma),
            },
            Parameter {
                name: format!("{}.bias", self.name),
                role: Role::Base,
                init: Init::Zeros,
                slot: Slot::new(&mut self.beta),
            },
        ]
    }
}
leaf!(GroupNorm);

/// `[n, c, h, w]` → `[n, c, h', w']` with `[h', w']` = `size`: every point takes the value of the nearest, counted as
/// in PyTorch (point i of h' takes point ⌊i·h/h'⌋).
pub fn nearest(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    if size == [2 * h, 2 * w] {
        return x
            .reshape([n, c, h, 1, w, 1])
            .expand([n, c, h, 2, w, 2])
            .reshape([n, c, 2 * h, 2 * w]);
    }
    let device = x.clone().inner().device();
    let rows = |from: usize, to: usize| -> Tensor<1, Int> {
        let indices: Vec<i64> = (0..to).map(|i| (i * from / to) as i64).collect();
        Tensor::from_data(TensorData::new(indices, [to]), &device)
    };
    x.select(2, rows(h, size[0])).select(3, rows(w, size[1]))
}

/// `[n, c, h, w]` → `[n, h·w, c]`, points as tokens.
pub fn to_tokens(x: Tensor<4>) -> Tensor<3> {
    let [n, c, h, w] = x.dims();
    x.reshape([n, c, h * w]).swap_dims(1, 2)
}

/// The way back of [`to_tokens`].
pub fn from_tokens(x: Tensor<3>, [h, w]: [usize; 2]) -> Tensor<4> {
    let [n, _, c] = x.dims();
    x.swap_dims(1, 2).reshape([n, c, h, w])
}
