//! The gate of a feed-forward layer, SwiGLU (Shazeer, 2020, arXiv 2002.05202).

use burn::tensor::{Tensor, activation};
use burn_backend::TensorMetadata as _;
use burn_backend::tensor::FloatTensor;
use rayon::prelude::*;
use std::mem::MaybeUninit;

use super::host::{self, Host, Input, Vjp, on_host};
use super::simd::{self, Kernel};

/// SiLU(`gate`)·`up`, element by element, with SiLU(x) = x/(1 + e⁻ˣ).
pub fn swiglu(gate: Tensor<3>, up: Tensor<3>) -> Tensor<3> {
    on_host!(&gate, fused(gate, up), activation::silu(gate) * up)
}

/// Elements that one thread takes at a time.
const CHUNK: usize = 1 << 14;

fn fused<B: Host>(gate: Tensor<3>, up: Tensor<3>) -> Tensor<3> {
    let inputs = [Input::<B>::new(gate), Input::new(up)];
    let [gate, up] = inputs.each_ref().map(Input::value);
    let forward = |out: &mut [MaybeUninit<f32>]| {
        let chunks = out.par_chunks_mut(CHUNK);
        let chunks = chunks.zip(B::slice(&gate).par_chunks(CHUNK));
        let chunks = chunks.zip(B::slice(&up).par_chunks(CHUNK));
        chunks.for_each(|((out, gate), up)| simd::dispatch(Forward { gate, up, out }));
    };
    // SAFETY: every chunk is written.
    let out = unsafe { B::create(gate.shape(), forward) };
    host::output(inputs, out, Swiglu::<B> { gate, up })
}

/// 1/(1 + e⁻ˣ).
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    let small = simd::exp_negative(-x.abs());
    let large = 1.0 / (1.0 + small);
    if x < 0.0 { small * large } else { large }
}

struct Forward<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    out: &'a mut [MaybeUninit<f32>],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run(self) {
        for ((out, &gate), up) in self.out.iter_mut().zip(self.gate).zip(self.up) {
            out.write(gate * sigmoid(gate) * up);
        }
    }
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct Swiglu<B: Host> {
    gate: FloatTensor<B>,
    up: FloatTensor<B>,
}

impl<B: Host> Vjp<B, 2> for Swiglu<B> {
    fn backward(self, mut grad: FloatTensor<B>, wanted: [bool; 2]) -> [Option<FloatTensor<B>>; 2] {
        let mut gates = vec![0.0; B::slice(&grad).len()];
        let chunks = B::slice_mut(&mut grad).par_chunks_mut(CHUNK);
        let chunks = chunks.zip(gates.par_chunks_mut(CHUNK));
        let chunks = chunks.zip(B::slice(&self.gate).par_chunks(CHUNK));
        let chunks = chunks.zip(B::slice(&self.up).par_chunks(CHUNK));
        chunks.for_each(|(((grad, gates), gate), up)| {
            simd::dispatch(Backward {
                grad,
                gates,
                gate,
                up,
            });
        });
        let [gate, up] = wanted;
        [
            gate.then(|| host::from_slice::<B>(&gates, self.gate.shape())),
            up.then_some(grad),
        ]
    }
}

/// With σ = σ(gate): `gates` ← g·up·σ·(1 + gate·(1 − σ)), and in place g ← g·gate·σ.
struct Backward<'a> {
    grad: &'a mut [f32],
    gates: &'a mut [f32],
    gate: &'a [f32],
    up: &'a [f32],
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run(self) {
        let inputs = self.gate.iter().zip(self.up);
        for ((grad, gates), (&gate, up)) in self.grad.iter_mut().zip(self.gates).zip(inputs) {
            let share = sigmoid(gate);
            *gates = *grad * up * share * (1.0 + gate * (1.0 - share));
            *grad *= gate * share;
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::device::DeviceChoice;
    use crate::models::parameter::to_f32;

    #[test]
    fn values_and_slopes_are_those_of_the_exact_function() {
        let count = 40_002;
        let gates: Vec<f32> = (0..count)
            .map(|step| -20.0 + step as f32 / 1000.0)
            .collect();
        let ups: Vec<f32> = (0..count)
            .map(|step| ((step * 37) % 19) as f32 - 9.0)
            .collect();
        let inner = DeviceChoice::Flex.inner();
        let leaf = |values: &[f32]| {
            let data = TensorData::new(values.to_vec(), [2, 3, count / 6]);
            Tensor::<3>::from_data(data, &inner)
                .autodiff()
                .require_grad()
        };
        let (gate, up) = (leaf(&gates), leaf(&ups));
        let out = swiglu(gate.clone(), up.clone());
        let grads = out.clone().sum().backward();
        let values = to_f32(out.inner().into_data());
        let slopes =
            [&gate, &up].map(|leaf| to_f32(leaf.grad(&grads).expect("a leaf").into_data()));
        for index in 0..count {
            let (x, up) = (f64::from(gates[index]), f64::from(ups[index]));
            let share = 1.0 / (1.0 + (-x).exp());
            let close = |found: f32, expected: f64, scale: f64| {
                let error = (f64::from(found) - expected).abs();
                // five roundings, and the exponential's 2e-7
                assert!(
                    error <= 6e-7 * scale,
                    "{x}, {up}: {found} against {expected}"
                );
            };
            close(values[index], x * share * up, (x * share * up).abs());
            let slope = share * (1.0 + x * (1.0 - share));
            close(
                slopes[0][index],
                up * slope,
                (up * share).abs() * x.abs().max(1.0),
            );
            close(slopes[1][index], x * share, (x * share).abs());
        }
    }

    #[test]
    fn not_a_number_stays_so() {
        let inner = DeviceChoice::Flex.inner();
        let gate = Tensor::<3>::from_floats([[[f32::NAN, 1.0]]], &inner);
        let out = to_f32(swiglu(gate.clone(), gate.ones_like()).into_data());
        assert!(out[0].is_nan() && out[1].is_finite());
    }
}
