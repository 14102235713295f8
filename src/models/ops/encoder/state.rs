//! What a layer is made of: its constants, its sizes, and what its backward pass needs.

use std::sync::{Arc, Mutex};

use burn::tensor::Tensor;
use burn_backend::TensorMetadata as _;
use burn_backend::tensor::FloatTensor;

use crate::models::ops::gemm::Matrix;
use crate::models::ops::host::{Host, Input};

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

/// Shapes of a pass.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Examples.
    pub n: usize,
    /// Positions that ask: t, or 1.
    pub q: usize,
    /// Positions.
    pub t: usize,
    /// Width.
    pub h: usize,
    /// Width of the feed-forward layer.
    pub f: usize,
    /// Attention heads.
    pub heads: usize,
    /// Positions of each example that can be looked at.
    pub lengths: Vec<usize>,
}

impl Sizes {
    /// Width of a head.
    pub fn part(&self) -> usize {
        self.h / self.heads
    }

    /// What the products of queries and keys are multiplied with.
    pub fn scale(&self) -> f32 {
        1.0 / (self.part() as f32).sqrt()
    }
}

/// The constants of a layer on its device, as [`FrozenLayer`].
#[derive(Clone, Debug)]
pub struct Weights<B: Host> {
    pub matrices: [(FloatTensor<B>, FloatTensor<B>); 6],
    pub norms: [(FloatTensor<B>, FloatTensor<B>); 2],
    pub epsilon: f32,
}

impl<B: Host> Weights<B> {
    /// Those of `layer`.
    pub fn new(layer: &FrozenLayer) -> Self {
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

    /// W of a matrix.
    pub fn matrix(&self, site: usize) -> Matrix<'_> {
        let weight = &self.matrices[site].0;
        Matrix::row_major(B::slice(weight), weight.shape()[1])
    }

    /// b of a matrix.
    pub fn bias(&self, site: usize) -> &[f32] {
        B::slice(&self.matrices[site].1)
    }
}

/// What the backward pass needs of the forward pass.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The rows of x that ask, when they are not all.
    pub asking: Option<Vec<f32>>,
    pub query: Vec<f32>,
    pub key: Vec<f32>,
    pub value: Vec<f32>,
    /// The softmax, `[n, heads, q, t]`.
    pub attention: Vec<f32>,
    pub context: Vec<f32>,
    /// x₁.
    pub middle: Vec<f32>,
    /// After GELU.
    pub wide: Vec<f32>,
    /// GELU's derivative.
    pub slope: Vec<f32>,
    /// (z − μ)/σ and 1/σ of both normalisations.
    pub normal: [Vec<f32>; 2],
    pub inverse: [Vec<f32>; 2],
}
