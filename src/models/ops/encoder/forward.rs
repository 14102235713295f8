//! From x to the output, keeping what the way back needs.

use std::mem::MaybeUninit;

use burn::tensor::Shape;
use burn_backend::tensor::FloatTensor;

use super::super::attention::Softmax;
use super::super::gemm::{Matrix, buffer, gemm, written};
use super::super::host::{Host, product};
use super::super::simd;
use super::kernels::{AddNorm, AddRow, GeluOfSum};
use super::state::{Saved, Sizes, Weights};

/// `rows` of x Wᵀ, without the bias.
fn through<B: Host>(x: &[f32], weights: &Weights<B>, site: usize, rows: usize) -> Vec<f32> {
    let weight = weights.matrix(site);
    let width = weight.rows;
    let out = weights.bias(site).len();
    product::<B>([rows, out, width], Matrix::row_major(x, width), weight.t())
}

/// The layer's output, `[n, q, h]`, for x `[n, t, h]`.
pub fn forward<B: Host>(
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
                    keys: |_| 0..sizes.lengths[example],
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
