//! y = x Wᵀ + b with W as PyTorch lays it out, `[out, in]`.

use burn::tensor::{Shape, Tensor};
use burn_dispatch::backends::flex::FlexTensor;

use super::cpu::{self, Input, Matrix, Vjp};

/// x Wᵀ + b.
///
/// # Shapes
/// `x` is `[n, t, in]`, `weight` `[out, in]`, `bias` `[out]`; the result `[n, t, out]`.
pub fn linear(x: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<3> {
    if !cpu::here(&x) {
        return product(x, weight) + bias.unsqueeze();
    }
    let width = bias.dims()[0];
    fused(
        [Input::new(x), Input::new(weight), Input::new(bias)],
        width,
        true,
    )
}

/// x Wᵀ + c.
///
/// # Shapes
/// As [`linear`], with `c` of the result's shape `[n, t, out]`.
pub fn linear_onto(x: Tensor<3>, weight: Tensor<2>, c: Tensor<3>) -> Tensor<3> {
    if !cpu::here(&x) {
        return product(x, weight) + c;
    }
    let width = c.dims()[2];
    fused(
        [Input::new(x), Input::new(weight), Input::new(c)],
        width,
        false,
    )
}

fn product(x: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    x.matmul(weight.transpose().unsqueeze())
}

/// The third input is one row, added to every row of the product (`shared`), or has a row for each.
fn fused(inputs: [Input; 3], out: usize, shared: bool) -> Tensor<3> {
    let [x, weight, addend] = inputs.each_ref().map(Input::value);
    let dims = x.layout().shape();
    let (n, t, width) = (dims[0], dims[1], dims[2]);
    let rows = n * t;
    let addend = cpu::slice(&addend);
    let mut values = Vec::with_capacity(rows * out);
    if shared {
        (0..rows).for_each(|_| values.extend_from_slice(addend));
    } else {
        values.extend_from_slice(addend);
    }
    let lhs = Matrix::row_major(cpu::slice(&x), width);
    cpu::gemm(
        [rows, out, width],
        &mut values,
        out,
        lhs,
        Matrix::row_major(cpu::slice(&weight), width).t(),
        true,
    );
    let wanted = inputs[1].is_tracked();
    let vjp = Linear {
        x: wanted.then_some(x),
        weight,
        shape: Shape::from(vec![n, t, width]),
        shared_addend: shared,
    };
    cpu::output(
        inputs,
        cpu::buffer(values, Shape::from(vec![n, t, out])),
        vjp,
    )
}

/// What the backward pass needs; `x` only when the weight is trained.
#[derive(Clone, Debug)]
struct Linear {
    x: Option<FlexTensor>,
    weight: FlexTensor,
    shape: Shape,
    shared_addend: bool,
}

impl Vjp<3> for Linear {
    fn backward(self, grad: FlexTensor, [x, weight, addend]: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let (rows, width) = (self.shape[0] * self.shape[1], self.shape[2]);
        let out = cpu::slice(&self.weight).len() / width.max(1);
        let delta = Matrix::row_major(cpu::slice(&grad), out);
        let grad_x = x.then(|| {
            let mut values = vec![0.0; rows * width];
            cpu::gemm(
                [rows, width, out],
                &mut values,
                width,
                delta,
                Matrix::row_major(cpu::slice(&self.weight), width),
                false,
            );
            cpu::buffer(values, self.shape.clone())
        });
        let grad_weight = self.x.as_ref().filter(|_| weight).map(|x| {
            let mut values = vec![0.0; out * width];
            cpu::gemm(
                [out, width, rows],
                &mut values,
                width,
                delta.t(),
                Matrix::row_major(cpu::slice(x), width),
                false,
            );
            cpu::buffer(values, self.weight.layout().shape().clone())
        });
        let grad_addend = addend.then(|| {
            if !self.shared_addend {
                return grad.clone();
            }
            let mut values = vec![0.0; out];
            for row in cpu::slice(&grad).chunks_exact(out.max(1)) {
                for (value, delta) in values.iter_mut().zip(row) {
                    *value += delta;
                }
            }
            cpu::buffer(values, Shape::from(vec![out]))
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
                (true, true) => linear(x.clone(), weight.clone(), bias.clone()),
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
