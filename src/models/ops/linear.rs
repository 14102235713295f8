//! y = x Wᵀ + b with W as PyTorch lays it out, `[out, in]`.

use std::mem::MaybeUninit;

use burn::tensor::{Shape, Tensor};
use burn_backend::TensorMetadata as _;
use burn_backend::tensor::FloatTensor;

use super::gemm::Matrix;
use super::host::{self, Host, Input, Vjp, on_host};

/// x Wᵀ + b, or x Wᵀ.
///
/// # Shapes
/// `x` is `[n, t, in]`, `weight` `[out, in]`, `bias` `[out]`; the result `[n, t, out]`.
pub fn linear(x: Tensor<3>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<3> {
    match bias {
        None => on_host!(&x, bare(x, weight), product(x, weight)),
        Some(bias) => on_host!(
            &x,
            shared(x, weight, bias),
            product(x, weight) + bias.unsqueeze()
        ),
    }
}

/// x Wᵀ + c.
///
/// # Shapes
/// As [`linear`], with `c` of the result's shape `[n, t, out]`.
pub fn linear_onto(x: Tensor<3>, weight: Tensor<2>, c: Tensor<3>) -> Tensor<3> {
    on_host!(&x, full(x, weight, c), product(x, weight) + c)
}

/// δ W, the gradient of x for the gradient δ of x Wᵀ; nothing of it is on a graph.
///
/// # Shapes
/// `delta` is `[n, t, out]`, `weight` `[out, in]`; the result `[n, t, in]`.
pub fn linear_back(delta: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    on_host!(
        &delta,
        back(delta, weight),
        delta.matmul(weight.unsqueeze())
    )
}

fn back<B: Host>(delta: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    let [delta, weight] = [Input::<B>::new(delta), Input::new(weight)].map(|input| input.value());
    host::constant::<B, 3>(times::<B>(&delta, &weight))
}

/// δ W.
fn times<B: Host>(delta: &FloatTensor<B>, weight: &FloatTensor<B>) -> FloatTensor<B> {
    let (dims, width) = (delta.shape(), weight.shape()[1]);
    let (rows, out) = (dims[0] * dims[1], dims[2]);
    let write = |values: &mut [MaybeUninit<f32>]| {
        let delta = Matrix::row_major(B::slice(delta), out);
        let weight = Matrix::row_major(B::slice(weight), width);
        B::gemm([rows, width, out], values, delta, weight, false);
    };
    // SAFETY: a product that does not accumulate writes all of its output.
    unsafe { B::create(Shape::from(vec![dims[0], dims[1], width]), write) }
}

fn product(x: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    x.matmul(weight.transpose().unsqueeze())
}

fn bare<B: Host>(x: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    let inputs = [Input::<B>::new(x), Input::new(weight)];
    let (values, linear) = multiply(&inputs[0], &inputs[1], None);
    host::output(inputs, values, linear)
}

fn shared<B: Host>(x: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<3> {
    let inputs = [Input::<B>::new(x), Input::new(weight), Input::new(bias)];
    let (values, linear) = multiply(&inputs[0], &inputs[1], Some(&inputs[2]));
    host::output(inputs, values, Onto { linear, row: true })
}

fn full<B: Host>(x: Tensor<3>, weight: Tensor<2>, c: Tensor<3>) -> Tensor<3> {
    let inputs = [Input::<B>::new(x), Input::new(weight), Input::new(c)];
    let (values, linear) = multiply(&inputs[0], &inputs[1], Some(&inputs[2]));
    host::output(inputs, values, Onto { linear, row: false })
}

/// The product, on an addend that is one row for all or has a row for each.
fn multiply<B: Host>(
    x: &Input<B>,
    weight: &Input<B>,
    addend: Option<&Input<B>>,
) -> (FloatTensor<B>, Linear<B>) {
    let wanted = weight.is_tracked();
    let (x, weight, addend) = (x.value(), weight.value(), addend.map(Input::value));
    let (dims, out) = (x.shape(), weight.shape()[0]);
    let (n, t, width) = (dims[0], dims[1], dims[2]);
    let write = |values: &mut [MaybeUninit<f32>]| {
        if let Some(addend) = &addend {
            let addend = B::slice(addend);
            for rows in values.chunks_exact_mut(addend.len().max(1)) {
                rows.write_copy_of_slice(addend);
            }
        }
        B::gemm(
            [n * t, out, width],
            values,
            Matrix::row_major(B::slice(&x), width),
            Matrix::row_major(B::slice(&weight), width).t(),
            addend.is_some(),
        );
    };
    // SAFETY: the addend fills it, and a product that does not accumulate writes all of its output.
    let values = unsafe { B::create(Shape::from(vec![n, t, out]), write) };
    let x = wanted.then_some(x);
    (values, Linear { x, weight })
}

/// What the backward pass needs; `x` only when the weight is trained.
#[derive(Clone, Debug)]
struct Linear<B: Host> {
    x: Option<FloatTensor<B>>,
    weight: FloatTensor<B>,
}

impl<B: Host> Vjp<B, 2> for Linear<B> {
    fn backward(self, grad: FloatTensor<B>, [x, weight]: [bool; 2]) -> [Option<FloatTensor<B>>; 2] {
        let grad_x = x.then(|| times::<B>(&grad, &self.weight));
        let grad_weight = self.x.as_ref().filter(|_| weight).map(|x| {
            let (dims, shape) = (grad.shape(), self.weight.shape());
            let (out, width) = (shape[0], shape[1]);
            let write = |values: &mut [MaybeUninit<f32>]| {
                let delta = Matrix::row_major(B::slice(&grad), out);
                let x = Matrix::row_major(B::slice(x), width);
                B::gemm([out, width, dims[0] * dims[1]], values, delta.t(), x, false);
            };
            // SAFETY: a product that does not accumulate writes all of its output.
            unsafe { B::create(shape, write) }
        });
        [grad_x, grad_weight]
    }
}

/// [`Linear`] on an addend of one row or of as many as the output has.
#[derive(Clone, Debug)]
struct Onto<B: Host> {
    linear: Linear<B>,
    row: bool,
}

impl<B: Host> Vjp<B, 3> for Onto<B> {
    fn backward(
        self,
        grad: FloatTensor<B>,
        [x, weight, addend]: [bool; 3],
    ) -> [Option<FloatTensor<B>>; 3] {
        let out = self.linear.weight.shape()[0];
        let [grad_x, grad_weight] = self.linear.backward(grad.clone(), [x, weight]);
        let grad_addend = addend.then(|| {
            if !self.row {
                return grad;
            }
            let mut values = vec![0.0; out];
            for row in B::slice(&grad).chunks_exact(out.max(1)) {
                for (value, delta) in values.iter_mut().zip(row) {
                    *value += delta;
                }
            }
            host::from_slice::<B>(&values, Shape::from(vec![out]))
        });
        [grad_x, grad_weight, grad_addend]
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use rand::RngExt;

    use super::*;
    use crate::device::DeviceChoice;
    use crate::random;

    #[derive(Clone, Copy)]
    enum Addend {
        None,
        Row,
        Full,
    }

    #[test]
    fn agrees_with_the_composed_operation_and_its_gradients() {
        let inner = DeviceChoice::Flex.inner();
        let mut rng = random::rng(1, "linear", "test");
        let mut draw = |dims: &[usize]| -> TensorData {
            let values: Vec<f32> = (0..dims.iter().product())
                .map(|_| rng.random::<f32>() * 2.0 - 1.0)
                .collect();
            TensorData::new(values, dims.to_vec())
        };
        let (n, t, width, out) = (3, 5, 7, 4);
        let (x, weight, bias, full, mix) = (
            draw(&[n, t, width]),
            draw(&[out, width]),
            draw(&[out]),
            draw(&[n, t, out]),
            draw(&[n, t, out]),
        );
        let run = |fused: bool, addend: Addend| -> Vec<Vec<f32>> {
            let x = Tensor::<3>::from_data(x.clone(), &inner)
                .autodiff()
                .require_grad();
            let weight = Tensor::<2>::from_data(weight.clone(), &inner)
                .autodiff()
                .require_grad();
            let bias = Tensor::<1>::from_data(bias.clone(), &inner)
                .autodiff()
                .require_grad();
            let full = Tensor::<3>::from_data(full.clone(), &inner)
                .autodiff()
                .require_grad();
            let sum = product(x.clone(), weight.clone());
            let out = match (fused, addend) {
                (true, Addend::None) => linear(x.clone(), weight.clone(), None),
                (true, Addend::Row) => linear(x.clone(), weight.clone(), Some(bias.clone())),
                (true, Addend::Full) => linear_onto(x.clone(), weight.clone(), full.clone()),
                (false, Addend::None) => sum,
                (false, Addend::Row) => sum + bias.clone().unsqueeze(),
                (false, Addend::Full) => sum + full.clone(),
            };
            let grads = (out.clone() * Tensor::from_data(mix.clone(), &inner))
                .sum()
                .backward();
            let addend = match addend {
                Addend::None => out.clone().inner().into_data(),
                Addend::Row => bias.grad(&grads).expect("a leaf").into_data(),
                Addend::Full => full.grad(&grads).expect("a leaf").into_data(),
            };
            [
                out.inner().into_data(),
                x.grad(&grads).expect("a leaf").into_data(),
                weight.grad(&grads).expect("a leaf").into_data(),
                addend,
            ]
            .map(|data| data.try_to_vec().expect("f32"))
            .into()
        };
        for addend in [Addend::None, Addend::Row, Addend::Full] {
            for (fused, composed) in run(true, addend).iter().zip(&run(false, addend)) {
                assert_eq!(fused.len(), composed.len());
                for (fused, composed) in fused.iter().zip(composed) {
                    // sums of at most n·t = 15 terms below 1
                    assert!(
                        (fused - composed).abs() <= 15.0 * f32::EPSILON * 4.0,
                        "{fused} against {composed}"
                    );
                }
            }
        }
    }
}
