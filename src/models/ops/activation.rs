//! Functions of single numbers: GELU, with the exact normal distribution function (not its tanh approximation), and SiLU.
//!
//! The framework computes the exponential one number at a time, so that either takes longer than everything else that is
//! not a matrix product; here it is one vectorised pass.

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
    on_host!(&x, fused[_, _](Gelu, x), activation::gelu(x))
}

/// SiLU(x) = x·σ(x) with σ(x) = 1/(1 + e⁻ˣ), element by element; gradient σ(x)·(1 + x·(1 − σ(x))). Accurate as [`gelu`] is.
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    on_host!(&x, fused[_, _](Silu, x), activation::silu(x))
}

/// A function of a number, and its derivative.
trait Function: Copy + Send + Sync {
    /// f(x).
    fn value(self, x: f32) -> f32;
    /// f(x) and f′(x).
    fn with_slope(self, x: f32) -> [f32; 2];
}

/// x·Φ(x).
#[derive(Clone, Copy)]
struct Gelu;

impl Function for Gelu {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x * distribution(x).0
    }

    #[inline(always)]
    fn with_slope(self, x: f32) -> [f32; 2] {
        let (below, density) = distribution(x);
        [x * below, below + x * density]
    }
}

/// x·σ(x).
#[derive(Clone, Copy)]
struct Silu;

impl Silu {
    #[inline(always)]
    fn sigmoid(x: f32) -> f32 {
        let small = simd::exp_negative(-x.abs());
        let large = 1.0 / (1.0 + small);
        if x < 0.0 { small * large } else { large }
    }
}

impl Function for Silu {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x * Self::sigmoid(x)
    }

    #[inline(always)]
    fn with_slope(self, x: f32) -> [f32; 2] {
        let share = Self::sigmoid(x);
        [x * share, share * (1.0 + x * (1.0 - share))]
    }
}

fn fused<B: Host, F: Function, const D: usize>(function: F, x: Tensor<D>) -> Tensor<D> {
    let x = Input::<B>::new(x);
    let input = x.value();
    let shape = input.shape();
    let values = B::slice(&input);
    let mut slope = None;
    // SAFETY: every chunk of both is written.
    let out = unsafe {
        B::create(shape.clone(), |out| {
            if x.is_tracked() {
                slope = Some(B::create(shape, |slope| {
                    in_chunks(function, values, out, slope)
                }));
            } else {
                in_chunks(function, values, out, &mut []);
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
fn in_chunks<F: Function>(
    function: F,
    x: &[f32],
    out: &mut [MaybeUninit<f32>],
    slope: &mut [MaybeUninit<f32>],
) {
    let run = |x, out, slope| {
        simd::dispatch(Pass {
            function,
            x,
            out,
            slope,
        });
    };
    if x.len() <= CHUNK || rayon::current_num_threads() == 1 {
        run(x, out, slope);
    } else if slope.is_empty() {
        x.par_chunks(CHUNK)
            .zip(out.par_chunks_mut(CHUNK))
            .for_each(|(x, out)| run(x, out, &mut []));
    } else {
        x.par_chunks(CHUNK)
            .zip(out.par_chunks_mut(CHUNK))
            .zip(slope.par_chunks_mut(CHUNK))
            .for_each(|((x, out), slope)| run(x, out, slope));
    }
}

struct Pass<'a, F> {
    function: F,
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

impl<F: Function> Kernel for Pass<'_, F> {
    #[inline(always)]
    fn run(self) {
        if self.slope.is_empty() {
            for (&x, out) in self.x.iter().zip(self.out) {
                out.write(self.function.value(x));
            }
        } else {
            for ((&x, out), slope) in self.x.iter().zip(self.out).zip(self.slope) {
                let [value, derivative] = self.function.with_slope(x);
                out.write(value);
                slope.write(derivative);
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

    /// Holds values and slopes from −10 to 10 against `exact`.
    fn check(function: fn(Tensor<1>) -> Tensor<1>, exact: fn(f64) -> [f64; 2]) {
        let points: Vec<f32> = (0..40_001)
            .map(|step| -10.0 + step as f32 / 2000.0)
            .collect();
        let inner = DeviceChoice::Flex.inner();
        let x = Tensor::<1>::from_floats(points.as_slice(), &inner);
        let plain = function(x.clone());
        let leaf = x.autodiff().require_grad();
        let tracked = function(leaf.clone());
        let slopes = leaf
            .grad(&tracked.clone().sum().backward())
            .expect("a leaf has a gradient");
        let [plain, tracked, slopes] = [plain, tracked.inner(), slopes]
            .map(|tensor| tensor.into_data().try_to_vec::<f32>().expect("f32"));
        assert_eq!(plain, tracked);
        for (index, &point) in points.iter().enumerate() {
            let x = f64::from(point);
            let found = [plain[index], slopes[index]].map(f64::from);
            for (found, exact) in found.into_iter().zip(exact(x)) {
                let error = (found - exact).abs();
                assert!(error < 3e-7 * x.abs().max(1.0), "{x}: {found}, {exact}");
            }
        }
    }

    #[test]
    fn gelu_and_its_slope_are_exact() {
        check(gelu, |x| {
            let below = 0.5 * statrs::function::erf::erfc(-x / std::f64::consts::SQRT_2);
            let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
            [x * below, below + x * density]
        });
    }

    #[test]
    fn silu_and_its_slope_are_exact() {
        check(silu, |x| {
            let share = 1.0 / (1.0 + (-x).exp());
            [x * share, share + x * share * (1.0 - share)]
        });
    }

    #[test]
    fn not_a_number_stays_so() {
        let x = Tensor::<1>::from_floats([f32::NAN, 1.0], &DeviceChoice::Flex.inner());
        for function in [gelu, silu] {
            let out = function(x.clone()).into_data();
            let out = out.try_to_vec::<f32>().expect("f32");
            assert!(out[0].is_nan() && out[1].is_finite());
        }
    }
}
