//! A whole encoder layer with constant weights as one operation: what per-example gradients and
//! evaluation need, without a graph of small operations.
//!
//! x₁ = LN(attention(x) Wₒᵀ + bₒ + x), out = LN(GELU(x₁ W₁ᵀ + b₁) W₂ᵀ + b₂ + x₁), as in BERT. The backward
//! pass gives the gradient of the input only; on its way the gradients δ at the outputs of chosen
//! matrices are left in [`Taps`]. Biases, residuals, GELU and normalisation are one pass over each row
//! while it is in the cache; gradients that meet are added up inside the matrix products.

mod backward;
mod forward;
mod kernels;

use std::sync::{Arc, Mutex};

use burn::tensor::{Shape, Tensor};
use burn_backend::TensorMetadata as _;
use burn_backend::tensor::FloatTensor;

use super::gemm::Matrix;
use super::host::{self, Host, Input, on_host};
use backward::Backward;
use forward::forward;

/// W `[out, in]` and b `[out]`.
pub type Affine = (Tensor<2>, Tensor<1>);

/// The constants of a layer.
#[derive(Clone, Debug)]
pub struct FrozenLayer {
    /// Query, key, value, output, the two feed-forward matrices: the order of [`Taps`].
    pub matrices: [Affine; 6],
    /// γ and β after the attention and at the end.
    pub norms: [(Tensor<1>, Tensor<1>); 2],
    /// ε of the normalisations.
    pub epsilon: f64,
    /// Attention heads.
    pub heads: usize,
}

/// Where δ of the six matrices is after the backward pass, for those that were asked for.
pub type Taps = Arc<Mutex<[Option<Tensor<3>>; 6]>>;

/// What a layer gives.
pub struct Output {
    /// `[n, t, h]`, or `[n, 1, h]` when only the first position was asked for.
    pub out: Tensor<3>,
    /// Inputs of the six matrices, for those that were asked for.
    pub inputs: [Option<Tensor<3>>; 6],
    /// Where their δ will be.
    pub taps: Taps,
}

/// The layer on `x` `[n, t, h]`, with attention to the first `lengths[i]` positions of example i only; for
/// the first position alone with `first`. `tapped` says of which matrices inputs and δ are wanted.
///
/// # Panics
/// Where the tensors are out of this program's memory, see [`super::in_memory`].
pub fn encoder_layer(
    x: Tensor<3>,
    layer: &FrozenLayer,
    lengths: Option<&[usize]>,
    first: bool,
    tapped: [bool; 6],
) -> Output {
    on_host!(
        &x,
        fused(x, layer, lengths, first, tapped),
        unreachable!("asked for before")
    )
}

fn fused<B: Host>(
    x: Tensor<3>,
    layer: &FrozenLayer,
    lengths: Option<&[usize]>,
    first: bool,
    tapped: [bool; 6],
) -> Output {
    let [n, t, h] = x.dims();
    let sizes = Sizes {
        n,
        q: if first { 1 } else { t },
        t,
        h,
        f: layer.matrices[4].1.dims()[0],
        heads: layer.heads,
        lengths: lengths.map_or_else(|| vec![t; n], <[usize]>::to_vec),
    };
    let weights = Weights::<B>::new(layer);
    let bottom = tapped.contains(&true) && !x.is_autodiff();
    let x = if bottom {
        x.autodiff().require_grad()
    } else {
        x
    };
    let input = Input::<B>::new(x);
    let x = input.value();
    let (out, saved) = forward::<B>(&x, &weights, &sizes);
    let tensor = |values: &[f32], rows: usize| {
        let shape = Shape::from(vec![n, rows, values.len() / (n * rows).max(1)]);
        host::constant::<B, 3>(host::from_slice::<B>(values, shape))
    };
    let sources: [(&[f32], usize); 6] = [
        (saved.asking.as_deref().unwrap_or(B::slice(&x)), sizes.q),
        (B::slice(&x), t),
        (B::slice(&x), t),
        (&saved.context, sizes.q),
        (&saved.middle, sizes.q),
        (&saved.wide, sizes.q),
    ];
    let inputs = std::array::from_fn(|site| {
        tapped[site].then(|| match site {
            0 if !first => host::constant::<B, 3>(x.clone()),
            1 | 2 => host::constant::<B, 3>(x.clone()),
            _ => tensor(sources[site].0, sources[site].1),
        })
    });
    let taps = Taps::default();
    let vjp = Backward::<B> {
        weights,
        sizes,
        saved,
        tapped,
        bottom,
        taps: taps.clone(),
    };
    Output {
        out: host::output([input], out, vjp),
        inputs,
        taps,
    }
}

#[derive(Clone, Debug)]
struct Sizes {
    n: usize,
    /// Positions that ask: t, or 1.
    q: usize,
    t: usize,
    h: usize,
    /// Width of the feed-forward layer.
    f: usize,
    heads: usize,
    lengths: Vec<usize>,
}

impl Sizes {
    fn part(&self) -> usize {
        self.h / self.heads
    }

    fn scale(&self) -> f32 {
        1.0 / (self.part() as f32).sqrt()
    }
}

#[derive(Clone, Debug)]
struct Weights<B: Host> {
    matrices: [(FloatTensor<B>, FloatTensor<B>); 6],
    norms: [(FloatTensor<B>, FloatTensor<B>); 2],
    epsilon: f32,
}

impl<B: Host> Weights<B> {
    fn new(layer: &FrozenLayer) -> Self {
        fn value<B: Host, const D: usize>(tensor: &Tensor<D>) -> FloatTensor<B> {
            Input::<B>::new(tensor.clone()).value()
        }
        Self {
            matrices: layer
                .matrices
                .each_ref()
                .map(|(weight, bias)| (value::<B, 2>(weight), value::<B, 1>(bias))),
            norms: layer
                .norms
                .each_ref()
                .map(|(gamma, beta)| (value::<B, 1>(gamma), value::<B, 1>(beta))),
            epsilon: layer.epsilon as f32,
        }
    }

    fn matrix(&self, site: usize) -> Matrix<'_> {
        let weight = &self.matrices[site].0;
        Matrix::row_major(B::slice(weight), weight.shape()[1])
    }

    fn bias(&self, site: usize) -> &[f32] {
        B::slice(&self.matrices[site].1)
    }
}

/// What the backward pass needs of the forward pass.
#[derive(Clone, Debug)]
struct Saved {
    /// The rows of x that ask, when they are not all.
    asking: Option<Vec<f32>>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    /// The softmax, `[n, heads, q, t]`.
    attention: Vec<f32>,
    context: Vec<f32>,
    /// x₁.
    middle: Vec<f32>,
    /// After GELU.
    wide: Vec<f32>,
    /// GELU's derivative.
    slope: Vec<f32>,
    /// (z − μ)/σ and 1/σ of both normalisations.
    normal: [Vec<f32>; 2],
    inverse: [Vec<f32>; 2],
}
