//! Group normalisation, and SiLU after it.

use std::mem::MaybeUninit;

use burn::tensor::{Tensor, activation};
use burn_backend::TensorMetadata as _;
use burn_backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::host::{self, Host, Input, Vjp, on_host};
use super::simd::{self, Kernel};

/// What a group normalisation is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grouping {
    /// Groups of channels.
    pub groups: usize,
    /// ε.
    pub epsilon: f64,
    /// Whether SiLU, x·σ(x), follows.
    pub silu: bool,
}

/// γ·(x − μ)/√(σ² + ε) + β with the mean μ and the (biased) variance σ² over the channels of a group and all points of an
/// example (Wu and He, 2018, arXiv 1803.08494), and SiLU of it where asked.
///
/// # Shapes
/// `x` is `[n, c, h, w]`, `gamma` and `beta` `[c]`; the number of groups divides c.
pub fn group_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    grouping: Grouping,
) -> Tensor<4> {
    on_host!(
        &x,
        fused(x, gamma, beta, grouping),
        composed(x, gamma, beta, grouping)
    )
}

fn composed(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, grouping: Grouping) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let groups = grouping.groups;
    let x = x.reshape([n * groups, c / groups * h * w]);
    let centred = x.clone() - x.mean_dim(1);
    let variance = centred.clone().square().mean_dim(1);
    let normal = centred / (variance + grouping.epsilon).sqrt();
    let scaled = normal.reshape([n, c, h, w]) * gamma.reshape([1, c, 1, 1]);
    let out = scaled + beta.reshape([1, c, 1, 1]);
    if grouping.silu {
        activation::silu(out)
    } else {
        out
    }
}

fn fused<B: Host>(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    grouping: Grouping,
) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let (points, channels) = (h * w, c / grouping.groups);
    let inputs = [Input::<B>::new(x), Input::new(gamma), Input::new(beta)];
    let [x, gamma, beta] = inputs.each_ref().map(Input::value);
    let [values, gammas, betas] = [&x, &gamma, &beta].map(B::slice);
    let mut moments = vec![[0.0; 2]; n * grouping.groups];
    let fill = |out: &mut [MaybeUninit<f32>]| {
        let size = channels * points;
        let of = |((index, moments), (out, x)): ((usize, &mut [f32; 2]), _)| {
            let first = index % grouping.groups * channels;
            simd::dispatch(Forward {
                x,
                gamma: &gammas[first..first + channels],
                beta: &betas[first..first + channels],
                grouping,
                out,
                moments,
            });
        };
        moments
            .par_iter_mut()
            .enumerate()
            .zip(
                out.par_chunks_exact_mut(size)
                    .zip(values.par_chunks_exact(size)),
            )
            .for_each(of);
    };
    // SAFETY: every group is written.
    let out = unsafe { B::create(x.shape(), fill) };
    let vjp = GroupNorm::<B> {
        x,
        gamma,
        beta,
        moments,
        grouping,
    };
    host::output(inputs, out, vjp)
}

/// One group of one example.
struct Forward<'a> {
    x: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    grouping: Grouping,
    out: &'a mut [MaybeUninit<f32>],
    /// Mean and 1/√(σ² + ε).
    moments: &'a mut [f32; 2],
}

/// σ(x).
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    let tail = simd::exp_negative(-x.abs());
    let small = tail / (1.0 + tail);
    if x < 0.0 { small } else { 1.0 - small }
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run(self) {
        let points = self.x.len() / self.gamma.len();
        // channel by channel in f32, added up in f64, so that rounding does not grow with the group
        let over = |of: &dyn Fn(&[f32]) -> f32| {
            let sums = self.x.chunks_exact(points).map(of);
            (sums.map(f64::from).sum::<f64>() / self.x.len() as f64) as f32
        };
        let mean = over(&|row| simd::sum(row));
        let variance = over(&|row| simd::spread(row, mean));
        let inverse = 1.0 / (variance + self.grouping.epsilon as f32).sqrt();
        *self.moments = [mean, inverse];
        let rows = self.x.chunks_exact(points);
        let rows = rows.zip(self.out.chunks_exact_mut(points));
        for ((x, out), (gamma, beta)) in rows.zip(self.gamma.iter().zip(self.beta)) {
            let scale = gamma * inverse;
            if self.grouping.silu {
                for (x, out) in x.iter().zip(out) {
                    let y = (x - mean) * scale + beta;
                    out.write(y * sigmoid(y));
                }
            } else {
                for (x, out) in x.iter().zip(out) {
                    out.write((x - mean) * scale + beta);
                }
            }
        }
    }
}

/// What the backward pass needs: the input, and mean and 1/σ of every group.
#[derive(Clone, Debug)]
struct GroupNorm<B: Host> {
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    moments: Vec<[f32; 2]>,
    grouping: Grouping,
}

impl<B: Host> Vjp<B, 3> for GroupNorm<B> {
    fn backward(
        self,
        mut grad: FloatTensor<B>,
        [x, gamma, beta]: [bool; 3],
    ) -> [Option<FloatTensor<B>>; 3] {
        let [values, gammas, betas] = [&self.x, &self.gamma, &self.beta].map(B::slice);
        let groups = self.grouping.groups;
        let channels = gammas.len() / groups;
        let size = values.len() / self.moments.len();
        // of every example, group and channel: the gradients of γ and β
        let mut of_channels = vec![[0.0f32; 2]; self.moments.len() * channels];
        let rows = B::slice_mut(&mut grad)
            .par_chunks_exact_mut(size)
            .enumerate();
        rows.zip(values.par_chunks_exact(size))
            .zip(of_channels.par_chunks_exact_mut(channels))
            .for_each(|(((index, grad), x), sums)| {
                let first = index % groups * channels;
                simd::dispatch(Backward {
                    grad,
                    x,
                    gamma: &gammas[first..first + channels],
                    beta: &betas[first..first + channels],
                    moments: self.moments[index],
                    silu: self.grouping.silu,
                    sums,
                });
            });
        let sums = |part: usize| {
            let mut sums = vec![0.0; gammas.len()];
            for example in of_channels.chunks_exact(gammas.len()) {
                for (sum, channel) in sums.iter_mut().zip(example) {
                    *sum += channel[part];
                }
            }
            host::from_slice::<B>(&sums, self.gamma.shape())
        };
        [
            x.then_some(grad),
            gamma.then(|| sums(0)),
            beta.then(|| sums(1)),
        ]
    }
}

/// In place, for one group: with y = γ·x̂ + β, g ← g·silu′(y), and then (γg − mean(γg) − x̂·mean(γg·x̂))/σ.
struct Backward<'a> {
    grad: &'a mut [f32],
    x: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    moments: [f32; 2],
    silu: bool,
    sums: &'a mut [[f32; 2]],
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run(self) {
        let [mean, inverse] = self.moments;
        let points = self.x.len() / self.gamma.len();
        let mut normal = vec![0.0; points];
        let (mut all, mut along) = (0.0f64, 0.0f64);
        for (channel, sums) in self.sums.iter_mut().enumerate() {
            let (gamma, beta) = (self.gamma[channel], self.beta[channel]);
            let x = &self.x[channel * points..][..points];
            let grad = &mut self.grad[channel * points..][..points];
            for (normal, x) in normal.iter_mut().zip(x) {
                *normal = (x - mean) * inverse;
            }
            if self.silu {
                for (grad, normal) in grad.iter_mut().zip(&normal) {
                    let y = gamma * normal + beta;
                    let part = sigmoid(y);
                    *grad *= part * (1.0 + y * (1.0 - part));
                }
            }
            *sums = [simd::dot(grad, &normal), simd::sum(grad)];
            along += f64::from(gamma * sums[0]);
            all += f64::from(gamma * sums[1]);
        }
        let count = self.x.len() as f64;
        let (all, along) = ((all / count) as f32, (along / count) as f32);
        let rows = self.grad.chunks_exact_mut(points);
        let rows = rows.zip(self.x.chunks_exact(points)).zip(self.gamma);
        for ((grad, x), gamma) in rows {
            for (grad, x) in grad.iter_mut().zip(x) {
                let normal = (x - mean) * inverse;
                *grad = (gamma * *grad - all - normal * along) * inverse;
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
    fn sigmoid_is_accurate() {
        for step in -2000..=2000 {
            let x = step as f32 * 0.02;
            let expected = 1.0 / (1.0 + (-f64::from(x)).exp());
            let error = (f64::from(sigmoid(x)) / expected - 1.0).abs();
            assert!(error < 5e-7, "{x}: {error}");
        }
        assert!(sigmoid(f32::NAN).is_nan());
    }

    #[test]
    fn agrees_with_the_composed_operation_and_its_gradients() {
        let inner = DeviceChoice::Flex.inner();
        let mut rng = random::rng(1, "group_norm", "test");
        for ([n, c, h, w], groups) in [
            ([1, 1, 1, 2], 1),
            ([2, 6, 3, 5], 3),
            ([3, 8, 4, 4], 8),
            ([2, 8, 9, 11], 2),
        ] {
            for silu in [false, true] {
                let mut draw = |dims: &[usize]| -> TensorData {
                    let count = dims.iter().product::<usize>();
                    let values: Vec<f32> = (0..count)
                        .map(|_| 4.0 * rng.random::<f32>() - 1.0)
                        .collect();
                    TensorData::new(values, dims.to_vec())
                };
                let data = [
                    draw(&[n, c, h, w]),
                    draw(&[c]),
                    draw(&[c]),
                    draw(&[n, c, h, w]),
                ];
                let grouping = Grouping {
                    groups,
                    epsilon: 1e-5,
                    silu,
                };
                type Operation = fn(Tensor<4>, Tensor<1>, Tensor<1>, Grouping) -> Tensor<4>;
                let run = |operation: Operation| -> Vec<Vec<f32>> {
                    let x = Tensor::<4>::from_data(data[0].clone(), &inner);
                    let x = x.autodiff().require_grad();
                    let [gamma, beta] = [1, 2].map(|index| {
                        let leaf = Tensor::<1>::from_data(data[index].clone(), &inner);
                        leaf.autodiff().require_grad()
                    });
                    let out = operation(x.clone(), gamma.clone(), beta.clone(), grouping);
                    let mix = Tensor::<4>::from_data(data[3].clone(), &inner);
                    let grads = (out.clone() * mix.autodiff()).sum().backward();
                    let values = |data: TensorData| data.try_into_vec().expect("f32");
                    vec![
                        values(out.inner().into_data()),
                        values(x.grad(&grads).expect("a leaf").into_data()),
                        values(gamma.grad(&grads).expect("a leaf").into_data()),
                        values(beta.grad(&grads).expect("a leaf").into_data()),
                    ]
                };
                for (fused, composed) in run(group_norm).iter().zip(&run(composed)) {
                    let largest = composed
                        .iter()
                        .fold(1.0f32, |max, value| max.max(value.abs()));
                    assert_eq!(fused.len(), composed.len());
                    for (fused, composed) in fused.iter().zip(composed) {
                        // 1/σ amplifies the rounding of sums over a group
                        assert!(
                            (fused - composed).abs() <= 2e-5 * largest,
                            "{grouping:?}: {fused} against {composed}"
                        );
                    }
                }
            }
        }
    }
}
