//! GELU, x·Φ(x), with the exact normal distribution function (not its tanh approximation).

use std::mem::MaybeUninit;

use burn::tensor::{Tensor, activation};
use burn_backend::TensorMetadata as _;
use burn_backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::host::{self, Host, Input, Vjp, on_host};
use super::simd::{self, Kernel};

/// GELU(x) = x·Φ(x), element by element; gradient Φ(x) + x·φ(x).
///
/// On a device in this program's memory both are computed in one vectorised pass in f32, each within
/// 3e-7·max(1, |x|) of the exact value; elsewhere this is the framework's GELU.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    on_host!(&x, fused[_](x), activation::gelu(x))
}

fn fused<B: Host, const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let x = Input::<B>::new(x);
    let input = x.value();
    let shape = input.shape();
    let values = B::slice(&input);
    let mut slope = None;
    // SAFETY: every chunk of both is written.
    let out = unsafe {
        B::create(shape.clone(), |out| {
            if x.is_tracked() {
                slope = Some(B::create(shape, |slope| in_chunks(values, out, slope)));
            } else {
                in_chunks(values, out, &mut []);
            }
        })
    };
    match slope {
        Some(slope) => host::output([x], out, Slope::<B>(slope)),
        None => host::constant::<B, D>(out),
    }
}

/// Elements that one thread takes at a time.
const CHUNK: usize = 1 << 14;

/// Values, and slopes unless `slope` is empty.
fn in_chunks(x: &[f32], out: &mut [MaybeUninit<f32>], slope: &mut [MaybeUninit<f32>]) {
    if x.len() <= CHUNK || rayon::current_num_threads() == 1 {
        simd::dispatch(Gelu { x, out, slope });
    } else if slope.is_empty() {
        x.par_chunks(CHUNK)
            .zip(out.par_chunks_mut(CHUNK))
            .for_each(|(x, out)| {
                simd::dispatch(Gelu {
                    x,
                    out,
                    slope: &mut [],
                })
            });
    } else {
        x.par_chunks(CHUNK)
            .zip(out.par_chunks_mut(CHUNK))
            .zip(slope.par_chunks_mut(CHUNK))
            .for_each(|((x, out), slope)| simd::dispatch(Gelu { x, out, slope }));
    }
}

struct Gelu<'a> {
    x: &'a [f32],
    out: &'a mut [MaybeUninit<f32>],
    slope: &'a mut [MaybeUninit<f32>],
}

/// Φ(x) and φ(x).
#[inline(always)]
pub fn distribution(x: f32) -> (f32, f32) {
    let (tail, density) = simd::normal_tail(x.abs());
    (if x < 0.0 { tail } else { 1.0 - tail }, density)
}

impl Kernel for Gelu<'_> {
    #[inline(always)]
    fn run(self) {
        if self.slope.is_empty() {
            for (&x, out) in self.x.iter().zip(self.out) {
                out.write(x * distribution(x).0);
            }
        } else {
            for ((&x, out), slope) in self.x.iter().zip(self.out).zip(self.slope) {
                let (below, density) = distribution(x);
                out.write(x * below);
                slope.write(below + x * density);
            }
        }
    }
}

/// The derivative at every element.
#[derive(Clone, Debug)]
struct Slope<B: Host>(FloatTensor<B>);

impl<B: Host> Vjp<B, 1> for Slope<B> {
    fn backward(self, mut grad: FloatTensor<B>, _: [bool; 1]) -> [Option<FloatTensor<B>>; 1] {
        for (grad, slope) in B::slice_mut(&mut grad).iter_mut().zip(B::slice(&self.0)) {
            *grad *= slope;
        }
        [Some(grad)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceChoice;

    #[test]
    fn values_and_slopes_are_those_of_the_exact_function() {
        let points: Vec<f32> = (0..40_001)
            .map(|step| -10.0 + step as f32 / 2000.0)
            .collect();
        let inner = DeviceChoice::Flex.inner();
        let x = Tensor::<1>::from_floats(points.as_slice(), &inner);
        let plain = gelu(x.clone());
        let leaf = x.autodiff().require_grad();
        let tracked = gelu(leaf.clone());
        let slopes = leaf
            .grad(&tracked.clone().sum().backward())
            .expect("a leaf has a gradient");
        let [plain, tracked, slopes] = [plain, tracked.inner(), slopes]
            .map(|tensor| tensor.into_data().try_to_vec::<f32>().expect("f32"));
        assert_eq!(plain, tracked);
        for (index, &point) in points.iter().enumerate() {
            let x = f64::from(point);
            let below = 0.5 * statrs::function::erf::erfc(-x / std::f64::consts::SQRT_2);
            let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let scale = x.abs().max(1.0);
            let (value, slope) = (x * below, below + x * density);
            assert!(
                (f64::from(plain[index]) - value).abs() < 3e-7 * scale,
                "gelu({x}) = {} against {value}",
                plain[index]
            );
            assert!(
                (f64::from(slopes[index]) - slope).abs() < 3e-7 * scale,
                "gelu'({x}) = {} against {slope}",
                slopes[index]
            );
        }
    }

    #[test]
    fn not_a_number_stays_so() {
        let x = Tensor::<1>::from_floats([f32::NAN, 1.0], &DeviceChoice::Flex.inner());
        let out = gelu(x).into_data().try_to_vec::<f32>().expect("f32");
        assert!(out[0].is_nan() && out[1].is_finite());
    }
}
