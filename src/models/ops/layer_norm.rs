//! Layer normalisation over the last dimension.

use std::mem::MaybeUninit;

use burn::tensor::{Tensor, module};
use burn_backend::TensorMetadata as _;
use burn_backend::tensor::FloatTensor;

use super::host::{self, Host, Input, Vjp, on_host};
use super::simd::{self, Kernel};

/// γ·(x − μ)/√(σ² + ε) + β with the mean μ and the (biased) variance σ² of every row of `x`.
///
/// # Shapes
/// `x` is `[…, d]`, `gamma` and `beta` are `[d]`.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    on_host!(
        &x,
        fused[_](x, gamma, beta, epsilon),
        module::layer_norm(x, gamma, Some(beta), epsilon)
    )
}

fn fused<B: Host, const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    let inputs = [Input::<B>::new(x), Input::new(gamma), Input::new(beta)];
    let [x, gamma, beta] = inputs.each_ref().map(Input::value);
    let shape = x.shape();
    let values = B::slice(&x);
    let width = B::slice(&gamma).len();
    let mut inverse = vec![0.0; values.len() / width.max(1)];
    let mut normal = None;
    // SAFETY: every row of both is written.
    let out = unsafe {
        B::create(shape.clone(), |out| {
            normal = Some(B::create(shape, |normal| {
                simd::dispatch(Forward {
                    x: values,
                    gamma: B::slice(&gamma),
                    beta: B::slice(&beta),
                    epsilon: epsilon as f32,
                    out,
                    normal,
                    inverse: &mut inverse,
                });
            }));
        })
    };
    let normal = normal.expect("made beside the output");
    host::output(
        inputs,
        out,
        LayerNorm::<B> {
            normal,
            gamma,
            inverse,
        },
    )
}

struct Forward<'a> {
    x: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    epsilon: f32,
    out: &'a mut [MaybeUninit<f32>],
    normal: &'a mut [MaybeUninit<f32>],
    inverse: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run(self) {
        let width = self.gamma.len();
        let scale = 1.0 / width as f32;
        let rows = self
            .x
            .chunks_exact(width)
            .zip(self.out.chunks_exact_mut(width))
            .zip(self.normal.chunks_exact_mut(width))
            .zip(self.inverse);
        for (((x, out), normal), inverse) in rows {
            let mean = simd::sum(x) * scale;
            let variance = simd::spread(x, mean) * scale;
            *inverse = 1.0 / (variance + self.epsilon).sqrt();
            for ((((out, normal), x), gamma), beta) in out
                .iter_mut()
                .zip(normal)
                .zip(x)
                .zip(self.gamma)
                .zip(self.beta)
            {
                let value = (x - mean) * *inverse;
                normal.write(value);
                out.write(value * gamma + beta);
            }
        }
    }
}

/// What the backward pass needs: (x − μ)/σ, γ, and 1/σ of every row.
#[derive(Clone, Debug)]
struct LayerNorm<B: Host> {
    normal: FloatTensor<B>,
    gamma: FloatTensor<B>,
    inverse: Vec<f32>,
}

impl<B: Host> Vjp<B, 3> for LayerNorm<B> {
    fn backward(
        self,
        mut grad: FloatTensor<B>,
        [x, gamma, beta]: [bool; 3],
    ) -> [Option<FloatTensor<B>>; 3] {
        let width = B::slice(&self.gamma).len();
        let normal = B::slice(&self.normal);
        let mut gammas = vec![0.0f32; width];
        let mut betas = vec![0.0f32; width];
        if gamma || beta {
            for (grad, normal) in B::slice(&grad)
                .chunks_exact(width)
                .zip(normal.chunks_exact(width))
            {
                for index in 0..width {
                    gammas[index] += grad[index] * normal[index];
                    betas[index] += grad[index];
                }
            }
        }
        if x {
            simd::dispatch(Backward {
                grad: B::slice_mut(&mut grad),
                normal,
                gamma: B::slice(&self.gamma),
                inverse: &self.inverse,
            });
        }
        let shape = self.gamma.shape();
        [
            x.then_some(grad),
            gamma.then(|| host::from_slice::<B>(&gammas, shape.clone())),
            beta.then(|| host::from_slice::<B>(&betas, shape)),
        ]
    }
}

/// In place: g ← (γg − mean(γg) − x̂·mean(γg·x̂))/σ.
pub struct Backward<'a> {
    pub grad: &'a mut [f32],
    pub normal: &'a [f32],
    pub gamma: &'a [f32],
    pub inverse: &'a [f32],
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run(self) {
        let width = self.gamma.len();
        let scale = 1.0 / width as f32;
        for ((grad, normal), &inverse) in self
            .grad
            .chunks_exact_mut(width)
            .zip(self.normal.chunks_exact(width))
            .zip(self.inverse)
        {
            for (grad, gamma) in grad.iter_mut().zip(self.gamma) {
                *grad *= gamma;
            }
            let mean = simd::sum(grad) * scale;
            let along = simd::dot(grad, normal) * scale;
            for (grad, normal) in grad.iter_mut().zip(normal) {
                *grad = (*grad - mean - normal * along) * inverse;
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
    use crate::random;

    #[test]
    fn agrees_with_the_composed_operation_and_its_gradients() {
        let inner = DeviceChoice::Flex.inner();
        let mut rng = random::rng(1, "layer_norm", "test");
        for width in [1usize, 5, 48, 128] {
            let mut draw = |count: usize| -> Vec<f32> {
                (0..count)
                    .map(|_| rng.random::<f32>() * 2.0 - 1.0)
                    .collect()
            };
            let x = TensorData::new(draw(6 * width), [2, 3, width]);
            let gamma = TensorData::new(draw(width), [width]);
            let beta = TensorData::new(draw(width), [width]);
            let weight =
                Tensor::<3>::from_data(TensorData::new(draw(6 * width), [2, 3, width]), &inner);
            let run = |fused: bool| -> Vec<Vec<f32>> {
                let x = Tensor::<3>::from_data(x.clone(), &inner)
                    .autodiff()
                    .require_grad();
                let gamma = Tensor::<1>::from_data(gamma.clone(), &inner)
                    .autodiff()
                    .require_grad();
                let beta = Tensor::<1>::from_data(beta.clone(), &inner)
                    .autodiff()
                    .require_grad();
                let (g, b) = (gamma.clone(), beta.clone());
                let out = if fused {
                    layer_norm(x.clone(), g, b, 1e-5)
                } else {
                    module::layer_norm(x.clone(), g, Some(b), 1e-5)
                };
                let grads = (out.clone() * weight.clone()).sum().backward();
                vec![
                    out.inner().into_data().try_to_vec().expect("f32"),
                    x.grad(&grads)
                        .expect("a leaf")
                        .into_data()
                        .try_to_vec()
                        .expect("f32"),
                    gamma
                        .grad(&grads)
                        .expect("a leaf")
                        .into_data()
                        .try_to_vec()
                        .expect("f32"),
                    beta.grad(&grads)
                        .expect("a leaf")
                        .into_data()
                        .try_to_vec()
                        .expect("f32"),
                ]
            };
            for (fused, composed) in run(true).iter().zip(&run(false)) {
                let largest = composed
                    .iter()
                    .fold(1.0f32, |max, value| max.max(value.abs()));
                for (fused, composed) in fused.iter().zip(composed) {
                    // 1/σ amplifies the rounding of sums of `width` terms
                    assert!(
                        (fused - composed).abs() <= 2e-5 * largest,
                        "width {width}: {fused} against {composed}"
                    );
                }
            }
        }
    }
}
