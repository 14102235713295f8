//! Per-example gradients of a layer's matrices from its inputs x and the gradients δ at its outputs.

use std::mem::MaybeUninit;

use burn::tensor::Tensor;

use super::gemm::{Matrix, buffer, gemm};
use super::host::{Host, Input, on_host, product};
use super::simd::{self, Kernel};
use crate::models::parameter::to_f32;

/// Gradients of A `[r, in]` and B `[out, r]` of y = W x + s·B A x for every example:
/// s·(δ B)ᵀ x and s·δᵀ (x Aᵀ).
///
/// # Shapes
/// `x` `[n, t, in]`, `delta` `[n, t, out]`; the results are row-major `[n, r·in]` and `[n, out·r]`.
pub fn adapter_gradients(
    x: Tensor<3>,
    delta: Tensor<3>,
    a: &Tensor<2>,
    b: &Tensor<2>,
    scale: f64,
) -> [Vec<f32>; 2] {
    on_host!(
        &x,
        fused(x, delta, a, b, scale),
        composed(x, delta, a, b, scale)
    )
}

/// Gradient δᵀ x of W `[out, in]` for every example, row-major `[n, out·in]`; shapes as above.
pub fn weight_gradients(x: Tensor<3>, delta: Tensor<3>) -> Vec<f32> {
    to_f32(delta.swap_dims(1, 2).matmul(x).into_data())
}

fn composed(
    x: Tensor<3>,
    delta: Tensor<3>,
    a: &Tensor<2>,
    b: &Tensor<2>,
    scale: f64,
) -> [Vec<f32>; 2] {
    let [n, t, inputs] = x.dims();
    let [outputs, rank] = b.dims();
    let back = delta
        .clone()
        .reshape([n * t, outputs])
        .matmul(b.clone() * scale)
        .reshape([n, t, rank]);
    let low = x
        .clone()
        .reshape([n * t, inputs])
        .matmul(a.clone().transpose() * scale)
        .reshape([n, t, rank]);
    let grad_a = back.swap_dims(1, 2).matmul(x);
    let grad_b = delta.swap_dims(1, 2).matmul(low);
    [grad_a, grad_b].map(|grad| to_f32(grad.into_data()))
}

fn fused<B: Host>(
    x: Tensor<3>,
    delta: Tensor<3>,
    a: &Tensor<2>,
    b: &Tensor<2>,
    scale: f64,
) -> [Vec<f32>; 2] {
    let [n, t, inputs] = x.dims();
    let [outputs, rank] = b.dims();
    let [x, delta] = [x, delta].map(|tensor| Input::<B>::new(tensor).value());
    let [a, b] = [a, b].map(|tensor| Input::<B>::new(tensor.clone()).value());
    let (x, delta) = (B::slice(&x), B::slice(&delta));
    let low_rank = |lhs: &[f32], width: usize, rhs: Matrix| {
        let lhs = Matrix::row_major(lhs, width);
        let mut out = product::<B>([n * t, rank, width], lhs, rhs);
        simd::dispatch(Scale(&mut out, scale as f32));
        out
    };
    let back = low_rank(delta, outputs, Matrix::row_major(B::slice(&b), rank));
    let low = low_rank(x, inputs, Matrix::row_major(B::slice(&a), inputs).t());
    let each = |rows: usize, cols: usize, lhs: &[f32], rhs: &[f32]| {
        let size = rows * cols;
        let fill = |out: &mut [MaybeUninit<f32>]| {
            for example in 0..n {
                gemm(
                    [rows, cols, t],
                    &mut out[example * size..][..size],
                    cols,
                    Matrix::row_major(&lhs[example * t * rows..], rows).t(),
                    Matrix::row_major(&rhs[example * t * cols..], cols),
                    false,
                );
            }
        };
        // SAFETY: a product that does not accumulate writes all of its output, for every example.
        unsafe { buffer(n * size, fill) }
    };
    [
        each(rank, inputs, &back, x),
        each(outputs, rank, delta, &low),
    ]
}

struct Scale<'a>(&'a mut [f32], f32);

impl Kernel for Scale<'_> {
    #[inline(always)]
    fn run(self) {
        for value in self.0 {
            *value *= self.1;
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use rand::RngExt;

    use super::*;
    use crate::device::DeviceChoice;
    use crate::random;

    #[test]
    fn agrees_with_the_composed_operation() {
        for device in DeviceChoice::in_memory() {
            let inner = device.inner();
            let mut rng = random::rng(1, "outer", "test");
            let mut draw = |count: usize| -> Vec<f32> {
                (0..count).map(|_| rng.random::<f32>() - 0.5).collect()
            };
            let (n, t, inputs, outputs, rank) = (3, 5, 7, 4, 2);
            let x = Tensor::from_data(
                TensorData::new(draw(n * t * inputs), [n, t, inputs]),
                &inner,
            );
            let delta = Tensor::from_data(
                TensorData::new(draw(n * t * outputs), [n, t, outputs]),
                &inner,
            );
            let a = Tensor::from_data(TensorData::new(draw(rank * inputs), [rank, inputs]), &inner);
            let b = Tensor::from_data(
                TensorData::new(draw(outputs * rank), [outputs, rank]),
                &inner,
            );
            let fused = adapter_gradients(x.clone(), delta.clone(), &a, &b, 1.5);
            let composed = composed(x, delta, &a, &b, 1.5);
            for (fused, composed) in fused.iter().zip(&composed) {
                assert_eq!(fused.len(), composed.len());
                for (fused, composed) in fused.iter().zip(composed) {
                    // sums of t·in = 35 products below 1/4
                    assert!((fused - composed).abs() <= 35.0 * f32::EPSILON);
                }
            }
        }
    }
}
