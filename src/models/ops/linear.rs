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
    let Some(bias) = bias else {
        return product(x, weight);
    };
    on_host!(
        &x,
        shared(x, weight, bias),
        product(x, weight) + bias.unsqueeze()
    )
}

/// x Wᵀ + c.
///
/// # Shapes
/// As [`linear`], with `c` of the result's shape `[n, t, out]`.
pub fn linear_onto(x: Tensor<3>, weight: Tensor<2>, c: Tensor<3>) -> Tensor<3> {
    on_host!(&x, full(x, weight, c), product(x, weight) + c)
}

fn product(x: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    x.matmul(weight.transpose().unsqueeze())
}

fn shared<B: Host>(x: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<3> {
    let width = bias.dims()[0];
    let inputs = [Input::<B>::new(x), Input::new(weight), Input::new(bias)];
    fused(inputs, width, true)
}

fn full<B: Host>(x: Tensor<3>, weight: Tensor<2>, c: Tensor<3>) -> Tensor<3> {
    let width = c.dims()[2];
    let inputs = [Input::<B>::new(x), Input::new(weight), Input::new(c)];
    fused(inputs, width, false)
}

/// The third input is one row, added to every row of the product (`shared`), or has a row for each.
fn fused<B: Host>(inputs: [Input<B>; 3], out: usize, shared: bool) -> Tensor<3> {
    let [x, weight, addend] = inputs.each_ref().map(Input::value);
    let dims = x.shape();
    let (n, t, width) = (dims[0], dims[1], dims[2]);
    let rows = n * t;
    let addend = B::slice(&addend);
    let write = |values: &mut [MaybeUninit<f32>]| {
        if shared {
            for row in values.chunks_exact_mut(out.max(1)) {
                row.write_copy_of_slice(addend);
            }
        } else {
            values.write_copy_of_slice(addend);
        }
        B::gemm(
            [rows, out, width],
            values,
            Matrix::row_major(B::slice(&x), width),
            Matrix::row_major(B::slice(&weight), width).t(),
            true,
        );
    };
    // SAFETY: the addend fills it.
    let values = unsafe { B::create(Shape::from(vec![n, t, out]), write) };
    let wanted = inputs[1].is_tracked();
    let vjp = Linear::<B> {
        x: wanted.then_some(x),
        weight,
        shape: Shape::from(vec![n, t, width]),
        shared_addend: shared,
    };
    host::output(inputs, values, vjp)
}

/// What the backward pass needs; `x` only when the weight is trained.
#[derive(Clone, Debug)]
struct Linear<B: Host> {
    x: Option<FloatTensor<B>>,
    weight: FloatTensor<B>,
    shape: Shape,
    shared_addend: bool,
}

impl<B: Host> Vjp<B, 3> for Linear<B> {
    fn backward(
        self,
        grad: FloatTensor<B>,
        [x, weight, addend]: [bool; 3],
    ) -> [Option<FloatTensor<B>>; 3] {
        let (rows, width) = (self.shape[0] * self.shape[1], self.shape[2]);
        let out = B::slice(&self.weight).len() / width.max(1);
        let delta = Matrix::row_major(B::slice(&grad), out);
        // SAFETY, here and below: a product that does not accumulate writes all of its output.
        let grad_x = x.then(|| unsafe {
            B::create(self.shape.clone(), |values| {
                let weight = Matrix::row_major(B::slice(&self.weight), width);
                B::gemm([rows, width, out], values, delta, weight, false);
            })
        });
        let grad_weight = self.x.as_ref().filter(|_| weight).map(|x| unsafe {
            B::create(self.weight.shape(), |values| {
                let x = Matrix::row_major(B::slice(x), width);
                B::gemm([out, width, rows], values, delta.t(), x, false);
            })
        });
        let grad_addend = addend.then(|| {
            if !self.shared_addend {
                return grad.clone();
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
        let run = |fused: bool, shared: bool| -> Vec<Vec<f32>> {
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
            let out = match (fused, shared) {
                (true, true) => linear(x.clone(), weight.clone(), Some(bias.clone())),
                (true, false) => linear_onto(x.clone(), weight.clone(), full.clone()),
                (false, true) => product(x.clone(), weight.clone()) + bias.clone().unsqueeze(),
                (false, false) => product(x.clone(), weight.clone()) + full.clone(),
            };
            let grads = (out.clone() * Tensor::from_data(mix.clone(), &inner))
                .sum()
                .backward();
            let addend = if shared {
                bias.grad(&grads).expect("a leaf").into_data()
            } else {
                full.grad(&grads).expect("a leaf").into_data()
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
        for shared in [true, false] {
            for (fused, composed) in run(true, shared).iter().zip(&run(false, shared)) {
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
