//! A whole encoder layer with constant weights as one operation: what per-example gradients and
//! evaluation need, without a graph of small operations.
//!
//! x₁ = LN(attention(x) Wₒᵀ + bₒ + x), out = LN(GELU(x₁ W₁ᵀ + b₁) W₂ᵀ + b₂ + x₁), as in BERT. The backward
//! pass gives the gradient of the input only; on its way the gradients δ at the outputs of chosen
//! matrices are left in [`Taps`]. Biases, residuals, GELU and normalisation are one pass over each row
//! while it is in the cache; gradients that meet are added up inside the matrix products.

use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex};

use burn::tensor::{Shape, Tensor};
use burn_backend::TensorMetadata as _;
use burn_backend::tensor::FloatTensor;

use super::attention::{Softmax, SoftmaxBackward};
use super::gelu::distribution;
use super::gemm::{Matrix, buffer, gemm, initialised, written};
use super::host::{self, Host, Input, Vjp, on_host};
use super::layer_norm;
use super::simd::{self, Kernel};

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

/// `lhs · rhs` in a buffer of its own.
fn product<B: Host>([m, n, k]: [usize; 3], lhs: Matrix, rhs: Matrix) -> Vec<f32> {
    // SAFETY: a product that does not accumulate writes all of its output.
    unsafe { buffer(m * n, |out| B::gemm([m, n, k], out, lhs, rhs, false)) }
}

/// `rows` of x Wᵀ, without the bias.
fn through<B: Host>(x: &[f32], weights: &Weights<B>, site: usize, rows: usize) -> Vec<f32> {
    let weight = weights.matrix(site);
    let width = weight.rows;
    let out = weights.bias(site).len();
    product::<B>([rows, out, width], Matrix::row_major(x, width), weight.t())
}

fn forward<B: Host>(
    x: &FloatTensor<B>,
    weights: &Weights<B>,
    sizes: &Sizes,
) -> (FloatTensor<B>, Saved) {
    let &Sizes { n, q, t, h, f, .. } = sizes;
    let x = B::slice(x);
    let asking = (q < t).then(|| {
        let firsts = x.chunks_exact(t * h).map(|example| &example[..q * h]);
        firsts.flatten().copied().collect::<Vec<f32>>()
    });
    let rows = asking.as_deref().unwrap_or(x);
    let mut query = through(rows, weights, 0, n * q);
    let mut key = through(x, weights, 1, n * t);
    let mut value = through(x, weights, 2, n * t);
    let part = sizes.part();
    let size = sizes.heads * q * t;
    let mut attention = Vec::with_capacity(n * size);
    let attend = |context: &mut [MaybeUninit<f32>]| {
        let attention = &mut attention.spare_capacity_mut()[..n * size];
        for example in 0..n {
            let query = &mut query[example * q * h..][..q * h];
            let key = &mut key[example * t * h..][..t * h];
            let value = &mut value[example * t * h..][..t * h];
            simd::dispatch(AddRow(query, weights.bias(0)));
            simd::dispatch(AddRow(key, weights.bias(1)));
            simd::dispatch(AddRow(value, weights.bias(2)));
            let context = &mut context[example * q * h..][..q * h];
            let attention = &mut attention[example * size..][..size];
            for (head, attention) in attention.chunks_exact_mut(q * t).enumerate() {
                let of = |rows| Matrix::row_major(rows, h);
                gemm(
                    [q, t, part],
                    attention,
                    t,
                    of(&query[head * part..]),
                    of(&key[head * part..]).t(),
                    false,
                );
                // SAFETY: the product has written all of them.
                let attention = unsafe { written(attention) };
                simd::dispatch(Softmax {
                    rows: attention,
                    width: t,
                    length: sizes.lengths[example],
                    scale: sizes.scale(),
                });
                gemm(
                    [q, part, t],
                    &mut context[head * part..],
                    h,
                    Matrix::row_major(attention, t),
                    of(&value[head * part..]),
                    false,
                );
            }
        }
    };
    // SAFETY: the heads' columns make up the width, and every example is visited.
    let context = unsafe { buffer(n * q * h, attend) };
    // SAFETY: every example and head has written its part.
    unsafe { attention.set_len(n * size) };
    let mut first_normal = through(&context, weights, 3, n * q);
    let mut first_inverse = vec![0.0; n * q];
    let norm = |index: usize, residual: &[f32], inverse: &mut [f32], y: &mut [f32], out: &mut _| {
        simd::dispatch(AddNorm {
            y,
            bias: weights.bias([3, 5][index]),
            residual,
            gamma: B::slice(&weights.norms[index].0),
            beta: B::slice(&weights.norms[index].1),
            epsilon: weights.epsilon,
            out,
            inverse,
        });
    };
    // SAFETY, here and below: every row is written.
    let middle = unsafe {
        buffer(n * q * h, |out| {
            norm(0, rows, &mut first_inverse, &mut first_normal, out);
        })
    };
    let mut wide = through(&middle, weights, 4, n * q);
    let slope = unsafe {
        buffer(n * q * f, |slope| {
            simd::dispatch(GeluOfSum {
                x: &mut wide,
                bias: weights.bias(4),
                slope,
            });
        })
    };
    let mut normal = through(&wide, weights, 5, n * q);
    let mut inverse = vec![0.0; n * q];
    let out = unsafe {
        B::create(Shape::from(vec![n, q, h]), |out| {
            norm(1, &middle, &mut inverse, &mut normal, out);
        })
    };
    let saved = Saved {
        asking,
        query,
        key,
        value,
        attention,
        context,
        middle,
        wide,
        slope,
        normal: [first_normal, normal],
        inverse: [first_inverse, inverse],
    };
    (out, saved)
}

#[derive(Clone, Debug)]
struct Backward<B: Host> {
    weights: Weights<B>,
    sizes: Sizes,
    saved: Saved,
    tapped: [bool; 6],
    /// Whether nobody asks for the gradient of the input.
    bottom: bool,
    taps: Taps,
}

impl<B: Host> Backward<B> {
    fn tap(&self, site: usize, delta: &[f32], rows: usize) {
        if !self.tapped[site] {
            return;
        }
        let n = self.sizes.n;
        let shape = Shape::from(vec![n, rows, delta.len() / (n * rows).max(1)]);
        let tensor = host::constant::<B, 3>(host::from_slice::<B>(delta, shape));
        self.taps.lock().expect("nobody panics while holding it")[site] = Some(tensor);
    }

    /// δ of a normalisation's input from that of its output, in place.
    fn norm(&self, index: usize, grad: &mut [f32]) {
        simd::dispatch(layer_norm::Backward {
            grad,
            normal: &self.saved.normal[index],
            gamma: B::slice(&self.weights.norms[index].0),
            inverse: &self.saved.inverse[index],
        });
    }

    /// δ at query, key and value from that at the context; unwanted ones are empty.
    fn attention(&self, context: &[f32], wanted: [bool; 3]) -> [Vec<f32>; 3] {
        let &Sizes { n, q, t, h, .. } = &self.sizes;
        let part = self.sizes.part();
        let heads = self.sizes.heads;
        let counts = [q, t, t].map(|rows| n * rows * h);
        let mut deltas: [Vec<f32>; 3] =
            std::array::from_fn(|i| Vec::with_capacity(if wanted[i] { counts[i] } else { 0 }));
        let [queries, keys, values] = deltas.each_mut().map(Vec::spare_capacity_mut);
        let mut scores = vec![0.0; q * t];
        let of = |rows| Matrix::row_major(rows, h);
        for example in 0..n {
            let (asked, asking) = (example * t * h, example * q * h);
            for head in 0..heads {
                let start = head * part;
                let weights = &self.saved.attention[(example * heads + head) * q * t..][..q * t];
                let delta = of(&context[asking + start..]);
                if wanted[2] {
                    gemm(
                        [t, part, q],
                        &mut values[asked + start..],
                        h,
                        Matrix::row_major(weights, t).t(),
                        delta,
                        false,
                    );
                }
                if !wanted[0] && !wanted[1] {
                    continue;
                }
                let value = of(&self.saved.value[asked + start..]);
                gemm(
                    [q, t, part],
                    initialised(&mut scores),
                    t,
                    delta,
                    value.t(),
                    false,
                );
                simd::dispatch(SoftmaxBackward {
                    grad: &mut scores,
                    weights,
                    width: t,
                    scale: self.sizes.scale(),
                });
                let scores = Matrix::row_major(&scores, t);
                if wanted[0] {
                    gemm(
                        [q, part, t],
                        &mut queries[asking + start..],
                        h,
                        scores,
                        of(&self.saved.key[asked + start..]),
                        false,
                    );
                }
                if wanted[1] {
                    gemm(
                        [t, part, q],
                        &mut keys[asked + start..],
                        h,
                        scores.t(),
                        of(&self.saved.query[asking + start..]),
                        false,
                    );
                }
            }
        }
        for ((delta, wanted), count) in deltas.iter_mut().zip(wanted).zip(counts) {
            if wanted {
                // SAFETY: every example and head has written its columns.
                unsafe { delta.set_len(count) };
            }
        }
        deltas
    }
}

impl<B: Host> Vjp<B, 1> for Backward<B> {
    fn backward(self, mut grad: FloatTensor<B>, _: [bool; 1]) -> [Option<FloatTensor<B>>; 1] {
        let &Sizes { n, q, t, h, f, .. } = &self.sizes;
        let weights = &self.weights;
        let delta = B::slice_mut(&mut grad);
        self.norm(1, delta);
        self.tap(5, delta, q);
        let mut wide = product::<B>(
            [n * q, f, h],
            Matrix::row_major(delta, h),
            weights.matrix(5),
        );
        simd::dispatch(Times(&mut wide, &self.saved.slope));
        self.tap(4, &wide, q);
        let onto = |out: &mut [f32], lhs: &[f32], site: usize, rows: usize, width: usize| {
            B::gemm(
                [rows, h, width],
                initialised(out),
                Matrix::row_major(lhs, width),
                weights.matrix(site),
                true,
            );
        };
        onto(delta, &wide, 4, n * q, f);
        drop(wide);
        self.norm(0, delta);
        self.tap(3, delta, q);
        let context = product::<B>(
            [n * q, h, h],
            Matrix::row_major(delta, h),
            weights.matrix(3),
        );
        let wanted = std::array::from_fn(|site| self.tapped[site] || !self.bottom);
        let [query, key, value] = self.attention(&context, wanted);
        for (site, delta, rows) in [(0, &query, q), (1, &key, t), (2, &value, t)] {
            self.tap(site, delta, rows);
        }
        if self.bottom {
            return [None];
        }
        onto(delta, &query, 0, n * q, h);
        if q == t {
            onto(delta, &key, 1, n * t, h);
            onto(delta, &value, 2, n * t, h);
            return [Some(grad)];
        }
        let mut all = vec![0.0; n * t * h];
        for (all, delta) in all.chunks_exact_mut(t * h).zip(delta.chunks_exact(q * h)) {
            all[..q * h].copy_from_slice(delta);
        }
        onto(&mut all, &key, 1, n * t, h);
        onto(&mut all, &value, 2, n * t, h);
        [Some(host::from_slice::<B>(
            &all,
            Shape::from(vec![n, t, h]),
        ))]
    }
}

/// Every row plus the same row.
struct AddRow<'a>(&'a mut [f32], &'a [f32]);

impl Kernel for AddRow<'_> {
    #[inline(always)]
    fn run(self) {
        for row in self.0.chunks_exact_mut(self.1.len()) {
            for (value, bias) in row.iter_mut().zip(self.1) {
                *value += bias;
            }
        }
    }
}

/// Element by element.
struct Times<'a>(&'a mut [f32], &'a [f32]);

impl Kernel for Times<'_> {
    #[inline(always)]
    fn run(self) {
        for (value, factor) in self.0.iter_mut().zip(self.1) {
            *value *= factor;
        }
    }
}

/// x ← GELU(x + b) row by row, and its derivative.
struct GeluOfSum<'a> {
    x: &'a mut [f32],
    bias: &'a [f32],
    slope: &'a mut [MaybeUninit<f32>],
}

impl Kernel for GeluOfSum<'_> {
    #[inline(always)]
    fn run(self) {
        let width = self.bias.len();
        for (x, slope) in self
            .x
            .chunks_exact_mut(width)
            .zip(self.slope.chunks_exact_mut(width))
        {
            for ((x, slope), bias) in x.iter_mut().zip(slope).zip(self.bias) {
                let sum = *x + bias;
                let (below, density) = distribution(sum);
                *x = sum * below;
                slope.write(below + sum * density);
            }
        }
    }
}

/// z = y + b + residual, normalised: y becomes (z − μ)/σ, `out` γ·y + β.
struct AddNorm<'a> {
    y: &'a mut [f32],
    bias: &'a [f32],
    residual: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    epsilon: f32,
    out: &'a mut [MaybeUninit<f32>],
    inverse: &'a mut [f32],
}

impl Kernel for AddNorm<'_> {
    #[inline(always)]
    fn run(self) {
        let width = self.gamma.len();
        let scale = 1.0 / width as f32;
        let rows = self
            .y
            .chunks_exact_mut(width)
            .zip(self.residual.chunks_exact(width))
            .zip(self.out.chunks_exact_mut(width))
            .zip(self.inverse);
        for (((y, residual), out), inverse) in rows {
            for ((y, residual), bias) in y.iter_mut().zip(residual).zip(self.bias) {
                *y += residual + bias;
            }
            let mean = simd::sum(y) * scale;
            let variance = simd::spread(y, mean) * scale;
            *inverse = 1.0 / (variance + self.epsilon).sqrt();
            for (((y, out), gamma), beta) in y.iter_mut().zip(out).zip(self.gamma).zip(self.beta) {
                *y = (*y - mean) * *inverse;
                out.write(*y * gamma + beta);
            }
        }
    }
}
