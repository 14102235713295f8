//! Root-mean-square normalisation over the last dimension (Zhang and Sennrich, 2019, arXiv 1910.07467).

use std::mem::MaybeUninit;

use burn::tensor::Tensor;
use burn_backend::TensorMetadata as _;
use burn_backend::tensor::FloatTensor;

use super::host::{self, Host, Input, Vjp, on_host};
use super::simd::{self, Kernel};

/// γ·x/√(mean(x²) + ε) on every row of `x`.
///
/// # Shapes
/// `x` is `[…, d]`, `gamma` is `[d]`.
pub fn rms_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, epsilon: f64) -> Tensor<D> {
    on_host!(&x, fused[_](x, gamma, epsilon), composed(x, gamma, epsilon))
}

fn composed<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, epsilon: f64) -> Tensor<D> {
    let square = x.clone() * x.clone();
    let root = (square.mean_dim(D - 1) + epsilon).sqrt();
    x / root * gamma.unsqueeze()
}

fn fused<B: Host, const D: usize>(x: Tensor<D>, gamma: Tensor<1>, epsilon: f64) -> Tensor<D> {
    let inputs = [Input::<B>::new(x), Input::new(gamma)];
    let [x, gamma] = inputs.each_ref().map(Input::value);
    let width = B::slice(&gamma).len();
    let mut inverse = vec![0.0; B::slice(&x).len() / width.max(1)];
    let forward = |out: &mut [MaybeUninit<f32>]| {
        simd::dispatch(Forward {
            x: B::slice(&x),
            gamma: B::slice(&gamma),
            epsilon: epsilon as f32,
            out,
            inverse: &mut inverse,
        });
    };
    // SAFETY: every row is written.
    let out = unsafe { B::create(x.shape(), forward) };
    host::output(inputs, out, RmsNorm::<B> { x, gamma, inverse })
}

struct Forward<'a> {
    x: &'a [f32],
    gamma: &'a [f32],
    epsilon: f32,
    out: &'a mut [MaybeUninit<f32>],
    inverse: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run(self) {
        let width = self.gamma.len();
        let scale = 1.0 / width as f32;
        let rows = self.x.chunks_exact(width);
        let rows = rows.zip(self.out.chunks_exact_mut(width)).zip(self.inverse);
        for ((x, out), inverse) in rows {
            *inverse = 1.0 / (simd::dot(x, x) * scale + self.epsilon).sqrt();
            for ((out, x), gamma) in out.iter_mut().zip(x).zip(self.gamma) {
                out.write(x * *inverse * gamma);
            }
        }
    }
}

/// What the backward pass needs: the input, γ, and 1/√(mean(x²) + ε) of every row.
#[derive(Clone, Debug)]
struct RmsNorm<B: Host> {
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    inverse: Vec<f32>,
}

impl<B: Host> Vjp<B, 2> for RmsNorm<B> {
    fn backward(
        self,
        mut grad: FloatTensor<B>,
        [x, gamma]: [bool; 2],
    ) -> [Option<FloatTensor<B>>; 2] {
        let width = B::slice(&self.gamma).len();
        let values = B::slice(&self.x);
        let grad_gamma = gamma.then(|| {
            let mut sums = vec![0.0f32; width];
            let rows = B::slice(&grad).chunks_exact(width);
            let rows = rows.zip(values.chunks_exact(width)).zip(&self.inverse);
            for ((grad, x), inverse) in rows {
                for ((sum, grad), x) in sums.iter_mut().zip(grad).zip(x) {
                    *sum += grad * x * inverse;
                }
            }
            host::from_slice::<B>(&sums, self.gamma.shape())
        });
        if x {
            simd::dispatch(Backward {
                grad: B::slice_mut(&mut grad),
                x: values,
                gamma: B::slice(&self.gamma),
                inverse: &self.inverse,
            });
        }
        [x.then_some(grad), grad_gamma]
    }
}

/// In place, with r = 1/√(mean(x²) + ε): g ← r·(γg − x·r²·mean(γg·x)).
struct Backward<'a> {
    grad: &'a mut [f32],
    x: &'a [f32],
    gamma: &'a [f32],
    inverse: &'a [f32],
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run(self) {
        let width = self.gamma.len();
        let scale = 1.0 / width as f32;
        let rows = self.grad.chunks_exact_mut(width);
        let rows = rows.zip(self.x.chunks_exact(width)).zip(self.inverse);
        for ((grad, x), &inverse) in rows {
            for (grad, gamma) in grad.iter_mut().zip(self.gamma) {
                *grad *= gamma;
            }
            let along = simd::dot(grad, x) * scale * inverse * inverse;
            for (grad, x) in grad.iter_mut().zip(x) {
                *grad = (*grad - x * along) * inverse;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use rand::RngExt;

    use super::*;
    use crate::device::DeviceChoice;
    use crate::models::parameter::to_f32;
    use crate::random;

    #[test]
    fn agrees_with_the_composed_operation_and_its_gradients() {
        let inner = DeviceChoice::Flex.inner();
        let mut rng = random::rng(1, "rms_norm", "test");
        for width in [1usize, 5, 48, 130] {
            let mut draw = |dims: &[usize]| -> TensorData {
                let count = dims.iter().product::<usize>();
                let values = (0..count).map(|_| rng.random::<f32>() * 2.0 - 1.0);
                TensorData::new(values.collect::<Vec<f32>>(), dims.to_vec())
            };
            let (x, gamma) = (draw(&[2, 3, width]), draw(&[width]));
            let mix = Tensor::<3>::from_data(draw(&[2, 3, width]), &inner);
            let run = |operation: fn(Tensor<3>, Tensor<1>, f64) -> Tensor<3>| {
                let leaf = |data: &TensorData| data.clone();
                let x = Tensor::<3>::from_data(leaf(&x), &inner)
                    .autodiff()
                    .require_grad();
                let gamma = Tensor::<1>::from_data(leaf(&gamma), &inner);
                let gamma = gamma.autodiff().require_grad();
                let out = operation(x.clone(), gamma.clone(), 1e-5);
                let grads = (out.clone() * mix.clone()).sum().backward();
                [
                    to_f32(out.inner().into_data()),
                    to_f32(x.grad(&grads).expect("a leaf").into_data()),
                    to_f32(gamma.grad(&grads).expect("a leaf").into_data()),
                ]
            };
            for (fused, composed) in run(rms_norm).iter().zip(&run(composed)) {
                let largest = composed.iter().fold(1.0f32, |max, v| max.max(v.abs()));
                for (fused, composed) in fused.iter().zip(composed) {
                    // 1/√(mean(x²) + ε), up to 300, amplifies the rounding of sums of `width` terms
                    assert!(
                        (fused - composed).abs() <= 2e-5 * largest,
                        "width {width}: {fused} against {composed}"
                    );
                }
            }
        }
    }
}
