//! GELU, x·Φ(x), with the exact normal distribution function (not its tanh approximation).

use burn::tensor::{Tensor, activation};
use burn_dispatch::backends::flex::FlexTensor;
use rayon::prelude::*;

use super::cpu::{self, Input, Vjp};
use super::simd::{self, Kernel};

/// GELU(x) = x·Φ(x), element by element; gradient Φ(x) + x·φ(x).
///
/// On the CPU device both are computed in one vectorised pass in f32, each within 3e-7·max(1, |x|) of
/// the exact value; on other devices this is the framework's GELU.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if !cpu::here(&x) {
        return activation::gelu(x);
    }
    let x = Input::new(x);
    let input = x.value();
    let shape = input.layout().shape().clone();
    let values = cpu::slice(&input);
    let mut out = vec![0.0; values.len()];
    if x.is_tracked() {
        let mut slope = vec![0.0; values.len()];
        in_chunks(values, &mut out, &mut slope);
        let slope = cpu::buffer(slope, shape.clone());
        cpu::output([x], cpu::buffer(out, shape), Slope(slope))
    } else {
        in_chunks(values, &mut out, &mut []);
        cpu::constant(cpu::buffer(out, shape))
    }
}

/// Elements that one thread takes at a time.
const CHUNK: usize = 1 << 14;

/// Values, and slopes unless `slope` is empty.
fn in_chunks(x: &[f32], out: &mut [f32], slope: &mut [f32]) {
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
    out: &'a mut [f32],
    slope: &'a mut [f32],
}

/// Φ(x) and φ(x).
#[inline(always)]
fn distribution(x: f32) -> (f32, f32) {
    let (tail, density) = simd::normal_tail(x.abs());
    (if x < 0.0 { tail } else { 1.0 - tail }, density)
}

impl Kernel for Gelu<'_> {
    #[inline(always)]
    fn run(self) {
        if self.slope.is_empty() {
            for (&x, out) in self.x.iter().zip(self.out) {
                *out = x * distribution(x).0;
            }
        } else {
            for ((&x, out), slope) in self.x.iter().zip(self.out).zip(self.slope) {
                let (below, density) = distribution(x);
                *out = x * below;
                *slope = below + x * density;
            }
        }
    }
}

/// The derivative at every element.
#[derive(Clone, Debug)]
struct Slope(FlexTensor);

impl Vjp<1> for Slope {
    fn backward(self, mut grad: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        for (grad, slope) in grad
            .storage_mut::<f32>()
            .iter_mut()
            .zip(cpu::slice(&self.0))
        {
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
