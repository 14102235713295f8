//! Layer normalisation over the last dimension.

use burn::tensor::{Tensor, module};
use burn_dispatch::backends::flex::FlexTensor;

use super::cpu::{self, Input, Vjp};
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
    if !cpu::here(&x) {
        return module::layer_norm(x, gamma, Some(beta), epsilon);
    }
    let inputs = [Input::new(x), Input::new(gamma), Input::new(beta)];
    let [x, gamma, beta] = inputs.each_ref().map(Input::value);
    let shape = x.layout().shape().clone();
    let values = cpu::slice(&x);
    let width = cpu::slice(&gamma).len();
    let mut out = vec![0.0; values.len()];
    let mut normal = vec![0.0; values.len()];
    let mut inverse = vec![0.0; values.len() / width.max(1)];
    simd::dispatch(Forward {
        x: values,
        gamma: cpu::slice(&gamma),
        beta: cpu::slice(&beta),
        epsilon: epsilon as f32,
        out: &mut out,
        normal: &mut normal,
        inverse: &mut inverse,
    });
    cpu::output(
        inputs,
        cpu::buffer(out, shape.clone()),
        LayerNorm {
            normal: cpu::buffer(normal, shape),
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
    out: &'a mut [f32],
    normal: &'a mut [f32],
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
            for (normal, x) in normal.iter_mut().zip(x) {
                *normal = (x - mean) * *inverse;
            }
            for (((out, normal), gamma), beta) in
                out.iter_mut().zip(normal).zip(self.gamma).zip(self.beta)
            {
                *out = *normal * gamma + beta;
            }
        }
    }
}

/// What the backward pass needs: (x − μ)/σ, γ, and 1/σ of every row.
#[derive(Clone, Debug)]
struct LayerNorm {
    normal: FlexTensor,
    gamma: FlexTensor,
    inverse: Vec<f32>,
}

impl Vjp<3> for LayerNorm {
    fn backward(
        self,
        mut grad: FlexTensor,
        [x, gamma, beta]: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let width = cpu::slice(&self.gamma).len();
        let normal = cpu::slice(&self.normal);
        let mut gammas = vec![0.0f32; width];
        let mut betas = vec![0.0f32; width];
        if gamma || beta {
            for (grad, normal) in cpu::slice(&grad)
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
                grad: grad.storage_mut(),
                normal,
                gamma: cpu::slice(&self.gamma),
                inverse: &self.inverse,
            });
        }
        let shape = self.gamma.layout().shape().clone();
        [
            x.then_some(grad),
            gamma.then(|| cpu::buffer(gammas, shape.clone())),
            beta.then(|| cpu::buffer(betas, shape)),
        ]
    }
}

/// In place: g ← (γg − mean(γg) − x̂·mean(γg·x̂))/σ.
struct Backward<'a> {
    grad: &'a mut [f32],
    normal: &'a [f32],
    gamma: &'a [f32],
    inverse: &'a [f32],
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
