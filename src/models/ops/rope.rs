//! Rotary position embedding (Su et al., 2021, arXiv 2104.09864), half-split: the first half of a head against the second.

use std::mem::MaybeUninit;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use burn_backend::TensorMetadata as _;
use burn_backend::tensor::FloatTensor;

use super::host::{self, Host, Input, Vjp, on_host};
use super::simd::{self, Kernel};

/// Cosines and sines of the angles of every position.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotation {
    /// Half the width of a head: angles of a position.
    pub half: usize,
    /// Cosines, row-major `[t, half]` for all examples, or `[n, t, half]`.
    pub cos: Arc<[f32]>,
    /// Sines, of the same shape.
    pub sin: Arc<[f32]>,
}

/// Rotates every head of `x`: with its halves x₁ and x₂, (x₁·cos − x₂·sin, x₂·cos + x₁·sin).
///
/// # Shapes
/// `x` is `[n, t, heads·2·half]`, the heads side by side.
pub fn rotate(x: Tensor<3>, rotation: &Rotation) -> Tensor<3> {
    on_host!(&x, fused(x, rotation), composed(x, rotation))
}

fn composed(x: Tensor<3>, rotation: &Rotation) -> Tensor<3> {
    let [n, t, width] = x.dims();
    let half = rotation.half;
    let device = x.clone().inner().device();
    let table = |values: &[f32]| -> Tensor<4> {
        let rows = values.len() / (t * half);
        let data = TensorData::new(values.to_vec(), [rows, t, 1, half]);
        Tensor::<4>::from_data(data, &device).cast(x.dtype())
    };
    let (cos, sin) = (table(&rotation.cos), table(&rotation.sin));
    let heads: Tensor<4> = x.reshape([n, t, width / (2 * half), 2 * half]);
    let first = heads.clone().narrow(3, 0, half);
    let second = heads.narrow(3, half, half);
    let turned = first.clone() * cos.clone() - second.clone() * sin.clone();
    Tensor::cat(vec![turned, second * cos + first * sin], 3).reshape([n, t, width])
}

fn fused<B: Host>(x: Tensor<3>, rotation: &Rotation) -> Tensor<3> {
    let width = x.dims()[2];
    let inputs = [Input::<B>::new(x)];
    let [x] = inputs.each_ref().map(Input::value);
    let out = turn::<B>(&x, width, rotation, 1.0);
    let vjp = Rotate {
        rotation: rotation.clone(),
        width,
    };
    host::output(inputs, out, vjp)
}

/// Rotates forwards (`sign` 1) or by the transpose (−1).
fn turn<B: Host>(x: &FloatTensor<B>, width: usize, by: &Rotation, sign: f32) -> FloatTensor<B> {
    let write = |out: &mut [MaybeUninit<f32>]| {
        simd::dispatch(Turn {
            x: B::slice(x),
            out,
            width,
            by,
            sign,
        });
    };
    // SAFETY: every half of every head is written.
    unsafe { B::create(x.shape(), write) }
}

struct Turn<'a> {
    x: &'a [f32],
    out: &'a mut [MaybeUninit<f32>],
    width: usize,
    by: &'a Rotation,
    sign: f32,
}

impl Kernel for Turn<'_> {
    #[inline(always)]
    fn run(self) {
        let half = self.by.half;
        let tables = self
            .by
            .cos
            .chunks_exact(half)
            .zip(self.by.sin.chunks_exact(half));
        let rows = self.x.chunks_exact(self.width);
        let rows = rows.zip(self.out.chunks_exact_mut(self.width));
        for ((x, out), (cos, sin)) in rows.zip(tables.cycle()) {
            for (x, out) in x.chunks_exact(2 * half).zip(out.chunks_exact_mut(2 * half)) {
                let ((a, b), (left, right)) = (x.split_at(half), out.split_at_mut(half));
                for index in 0..half {
                    let (cos, sin) = (cos[index], sin[index] * self.sign);
                    left[index].write(a[index] * cos - b[index] * sin);
                    right[index].write(b[index] * cos + a[index] * sin);
                }
            }
        }
    }
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct Rotate {
    rotation: Rotation,
    width: usize,
}

impl<B: Host> Vjp<B, 1> for Rotate {
    fn backward(self, grad: FloatTensor<B>, _: [bool; 1]) -> [Option<FloatTensor<B>>; 1] {
        [Some(turn::<B>(&grad, self.width, &self.rotation, -1.0))]
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::device::DeviceChoice;
    use crate::models::parameter::to_f32;
    use crate::random;

    #[test]
    fn agrees_with_the_composed_operation_and_its_gradient() {
        let inner = DeviceChoice::Flex.inner();
        let mut rng = random::rng(1, "rope", "test");
        let mut draw = |count: usize| -> Vec<f32> {
            (0..count)
                .map(|_| rng.random::<f32>() * 2.0 - 1.0)
                .collect()
        };
        let (n, t, heads, half) = (3, 5, 2, 4);
        let dims = [n, t, heads * 2 * half];
        let (x, mix) = (draw(dims.iter().product()), draw(dims.iter().product()));
        for rows in [1, n] {
            let rotation = Rotation {
                half,
                cos: draw(rows * t * half).into(),
                sin: draw(rows * t * half).into(),
            };
            let run = |operation: fn(Tensor<3>, &Rotation) -> Tensor<3>| {
                let x = Tensor::<3>::from_data(TensorData::new(x.clone(), dims), &inner);
                let x = x.autodiff().require_grad();
                let out = operation(x.clone(), &rotation);
                let mix = Tensor::<3>::from_data(TensorData::new(mix.clone(), dims), &inner);
                let grads = (out.clone() * mix).sum().backward();
                let grad = x.grad(&grads).expect("a leaf");
                [out.inner(), grad].map(|tensor| to_f32(tensor.into_data()))
            };
            for (fused, composed) in run(rotate).iter().zip(&run(composed)) {
                for (fused, composed) in fused.iter().zip(composed) {
                    // sums of two products below 1
                    assert!((fused - composed).abs() <= 4.0 * f32::EPSILON);
                }
            }
        }
    }
}
