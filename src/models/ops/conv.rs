//! Convolution in two dimensions as matrix products.
//!
//! Every output is a product of the weight with the window that it looks at, so that an image's windows side by side, a
//! column each, make the convolution one matrix product. The gradient of the input is the product with the transpose,
//! added up where windows overlap. A frozen weight's backward pass keeps shapes alone, and the weight as it is.

use std::mem::MaybeUninit;

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Shape, Tensor, module};
use burn_backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::gemm::{Matrix, gemm, initialised};
use super::host::{self, Host, Input, Vjp, on_host};

/// What an output looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width.
    pub side: usize,
    /// Distance between the windows of neighbours.
    pub stride: usize,
    /// Zeros put before and after every row and column.
    pub padding: (usize, usize),
}

impl Window {
    fn outputs(self, inputs: usize) -> usize {
        (inputs + self.padding.0 + self.padding.1 - self.side) / self.stride + 1
    }
}

/// Σ over channels and windows of weight · x, and bias.
///
/// # Shapes
/// `x` is `[n, in, h, w]`, `weight` `[out, in, side, side]`, `bias` `[out]`; the result `[n, out, h', w']`.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, window: Window) -> Tensor<4> {
    on_host!(
        &x,
        fused(x, weight, bias, window),
        composed(x, weight, bias, window)
    )
}

fn composed(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, window: Window) -> Tensor<4> {
    let options = ConvOptions::new_with_padding([window.stride; 2], [window.padding; 2], [1; 2], 1);
    module::conv2d(x, weight, Some(bias), options)
}

/// Numbers in the windows that are laid out at a time.
const TILE: usize = 1 << 20;
/// Numbers below which one thread lays them out.
const PARALLEL: usize = 1 << 16;

#[derive(Clone, Debug)]
struct Sizes {
    n: usize,
    inputs: usize,
    outputs: usize,
    /// Height and width in.
    from: [usize; 2],
    /// Height and width out.
    to: [usize; 2],
    window: Window,
}

impl Sizes {
    fn image(&self) -> usize {
        self.inputs * self.from[0] * self.from[1]
    }

    fn pixels(&self) -> usize {
        self.to[0] * self.to[1]
    }

    /// Numbers of a window in one channel.
    fn area(&self) -> usize {
        self.window.side * self.window.side
    }

    /// Whether the windows are the image itself.
    fn pointwise(&self) -> bool {
        self.window.side == 1 && self.window.stride == 1 && self.window.padding == (0, 0)
    }

    /// Runs `work(window row, output row, start of the input row, range of output columns, first input column)` over
    /// what the windows of the output rows `rows` see of a channel; the rest are zeros.
    fn seen(
        &self,
        rows: std::ops::Range<usize>,
        mut work: impl FnMut(usize, usize, usize, std::ops::Range<usize>, usize),
    ) {
        let Window {
            side,
            stride,
            padding: (before, _),
        } = self.window;
        let [height, width] = self.from;
        for at in 0..side * side {
            let (dy, dx) = (at / side, at % side);
            // x·stride + dx − before lies in 0..width
            let first = before.saturating_sub(dx).div_ceil(stride);
            let end = (width + before).saturating_sub(dx).div_ceil(stride);
            let (first, end) = (first.min(self.to[1]), end.min(self.to[1]));
            if first >= end {
                continue;
            }
            for row in rows.clone() {
                let Some(y) = (row * stride + dy).checked_sub(before) else {
                    continue;
                };
                if y < height {
                    let column = first * stride + dx - before;
                    work(at, row, y * width, first..end, column);
                }
            }
        }
    }

    /// The windows of the output rows `rows`, `[in · area, rows · width]`.
    fn lay_out(&self, image: &[f32], rows: std::ops::Range<usize>, out: &mut [f32]) {
        let width = self.to[1];
        let count = rows.len() * width;
        let channel = |(out, image): (&mut [f32], &[f32])| {
            out.fill(0.0);
            let first_row = rows.start;
            self.seen(rows.clone(), |at, row, start, columns, from| {
                let place = at * count + (row - first_row) * width;
                let out = &mut out[place + columns.start..place + columns.end];
                let image = &image[start + from..];
                if self.window.stride == 1 {
                    out.copy_from_slice(&image[..out.len()]);
                } else {
                    let image = image.iter().step_by(self.window.stride);
                    out.iter_mut().zip(image).for_each(|(out, x)| *out = *x);
                }
            });
        };
        let size = self.from[0] * self.from[1];
        if out.len() < PARALLEL || rayon::current_num_threads() == 1 {
            let channels = out.chunks_exact_mut(self.area() * count);
            channels.zip(image.chunks_exact(size)).for_each(channel);
        } else {
            let channels = out.par_chunks_exact_mut(self.area() * count);
            channels.zip(image.par_chunks_exact(size)).for_each(channel);
        }
    }

    /// Adds windows of all output rows, `[channels · area, pixels]`, to the channels that they look at.
    fn add_up(&self, windows: &[f32], image: &mut [f32]) {
        let (width, pixels) = (self.to[1], self.pixels());
        let channels = image.chunks_exact_mut(self.from[0] * self.from[1]);
        for (image, windows) in channels.zip(windows.chunks_exact(self.area() * pixels)) {
            self.seen(0..self.to[0], |at, row, start, columns, from| {
                let place = at * pixels + row * width;
                let windows = &windows[place + columns.start..place + columns.end];
                let image = image[start + from..].iter_mut().step_by(self.window.stride);
                image.zip(windows).for_each(|(x, window)| *x += window);
            });
        }
    }

    /// One image.
    fn forward(&self, image: &[f32], weight: &[f32], bias: &[f32], out: &mut [MaybeUninit<f32>]) {
        let pixels = self.pixels();
        for (out, bias) in out.chunks_exact_mut(pixels.max(1)).zip(bias) {
            out.fill(MaybeUninit::new(*bias));
        }
        let height = self.inputs * self.area();
        let weight = Matrix::row_major(weight, height);
        if self.pointwise() {
            let image = Matrix::row_major(image, pixels);
            gemm(
                [self.outputs, pixels, height],
                out,
                pixels,
                weight,
                image,
                true,
            );
            return;
        }
        let width = self.to[1];
        let rows = (TILE / (height * width).max(1)).clamp(1, self.to[0]);
        let mut windows = vec![0.0; height * rows * width];
        for first in (0..self.to[0]).step_by(rows) {
            let rows = first..(first + rows).min(self.to[0]);
            let count = rows.len() * width;
            let windows = &mut windows[..height * count];
            self.lay_out(image, rows, windows);
            gemm(
                [self.outputs, count, height],
                &mut out[first * width..],
                pixels,
                weight,
                Matrix::row_major(windows, count),
                true,
            );
        }
    }

    /// Gradient of one image, which begins as zeros, from that of its output.
    fn backward(&self, delta: &[f32], weight: &[f32], image: &mut [f32]) {
        let (pixels, height) = (self.pixels(), self.inputs * self.area());
        let delta = Matrix::row_major(delta, pixels);
        if self.pointwise() {
            let weight = Matrix::row_major(weight, height).t();
            let out = initialised(image);
            gemm(
                [height, pixels, self.outputs],
                out,
                pixels,
                weight,
                delta,
                false,
            );
            return;
        }
        let channels = (TILE / (self.area() * pixels).max(1)).clamp(1, self.inputs);
        let of = |(chunk, image): (usize, &mut [f32])| {
            let count = image.len() / (self.from[0] * self.from[1]) * self.area();
            let mut windows = vec![0.0; count * pixels];
            let first = chunk * channels * self.area();
            let weight = Matrix {
                data: &weight[first..],
                rows: height,
                cols: 1,
            };
            let out = initialised(&mut windows);
            gemm(
                [count, pixels, self.outputs],
                out,
                pixels,
                weight.t(),
                delta,
                false,
            );
            self.add_up(&windows, image);
        };
        let size = channels * self.from[0] * self.from[1];
        if rayon::current_num_threads() > 1 {
            image.par_chunks_mut(size).enumerate().for_each(of);
        } else {
            image.chunks_mut(size).enumerate().for_each(of);
        }
    }

    /// Adds the weight's gradient of one image.
    fn of_weight(&self, delta: &[f32], image: &[f32], out: &mut [f32]) {
        let (pixels, height) = (self.pixels(), self.inputs * self.area());
        let mut windows = vec![0.0; height * pixels];
        self.lay_out(image, 0..self.to[0], &mut windows);
        gemm(
            [self.outputs, height, pixels],
            initialised(out),
            height,
            Matrix::row_major(delta, pixels),
            Matrix::row_major(&windows, pixels).t(),
            true,
        );
    }
}

fn fused<B: Host>(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, window: Window) -> Tensor<4> {
    let [n, inputs, h, w] = x.dims();
    let to = [window.outputs(h), window.outputs(w)];
    let outputs = weight.dims()[0];
    let sizes = Sizes {
        n,
        inputs,
        outputs,
        from: [h, w],
        to,
        window,
    };
    let all = [Input::<B>::new(x), Input::new(weight), Input::new(bias)];
    let [x, weight, bias] = all.each_ref().map(Input::value);
    let [images, weights, biases] = [&x, &weight, &bias].map(B::slice);
    let fill = |out: &mut [MaybeUninit<f32>]| {
        let of = |(out, image)| sizes.forward(image, weights, biases, out);
        let size = outputs * sizes.pixels();
        if n > 1 && rayon::current_num_threads() > 1 {
            let out = out.par_chunks_exact_mut(size);
            out.zip(images.par_chunks_exact(sizes.image())).for_each(of);
        } else {
            let out = out.chunks_exact_mut(size);
            out.zip(images.chunks_exact(sizes.image())).for_each(of);
        }
    };
    // SAFETY: the biases fill it.
    let out = unsafe { B::create(Shape::from(vec![n, outputs, to[0], to[1]]), fill) };
    let wanted = all[1].is_tracked();
    let vjp = Conv2d::<B> {
        x: wanted.then_some(x),
        weight,
        sizes,
    };
    host::output(all, out, vjp)
}

/// What the backward pass needs; `x` only when the weight is trained.
#[derive(Clone, Debug)]
struct Conv2d<B: Host> {
    x: Option<FloatTensor<B>>,
    weight: FloatTensor<B>,
    sizes: Sizes,
}

impl<B: Host> Vjp<B, 3> for Conv2d<B> {
    fn backward(
        self,
        grad: FloatTensor<B>,
        [x, weight, bias]: [bool; 3],
    ) -> [Option<FloatTensor<B>>; 3] {
        let sizes = &self.sizes;
        let size = sizes.outputs * sizes.pixels();
        let deltas = B::slice(&grad);
        let weights = B::slice(&self.weight);
        let grad_x = x.then(|| {
            let mut images = vec![0.0; sizes.n * sizes.image()];
            let of = |(image, delta): (&mut [f32], &[f32])| sizes.backward(delta, weights, image);
            if sizes.n > 1 && rayon::current_num_threads() > 1 {
                let images = images.par_chunks_exact_mut(sizes.image());
                images.zip(deltas.par_chunks_exact(size)).for_each(of);
            } else {
                let images = images.chunks_exact_mut(sizes.image());
                images.zip(deltas.chunks_exact(size)).for_each(of);
            }
            let [h, w] = sizes.from;
            host::from_slice::<B>(&images, Shape::from(vec![sizes.n, sizes.inputs, h, w]))
        });
        let grad_weight = self.x.as_ref().filter(|_| weight).map(|x| {
            let mut out = vec![0.0; weights.len()];
            let images = B::slice(x).chunks_exact(sizes.image());
            for (image, delta) in images.zip(deltas.chunks_exact(size)) {
                sizes.of_weight(delta, image, &mut out);
            }
            let side = sizes.window.side;
            let shape = vec![sizes.outputs, sizes.inputs, side, side];
            host::from_slice::<B>(&out, Shape::from(shape))
        });
        let grad_bias = bias.then(|| {
            let mut out = vec![0.0; sizes.outputs];
            for delta in deltas.chunks_exact(size) {
                let channels = delta.chunks_exact(sizes.pixels());
                for (out, channel) in out.iter_mut().zip(channels) {
                    *out += channel.iter().sum::<f32>();
                }
            }
            host::from_slice::<B>(&out, Shape::from(vec![sizes.outputs]))
        });
        [grad_x, grad_weight, grad_bias]
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
        let mut rng = random::rng(1, "conv2d", "test");
        let window = |side, stride, padding| Window {
            side,
            stride,
            padding,
        };
        for ([n, inputs, h, w], outputs, window) in [
            ([1, 1, 1, 1], 1, window(3, 1, (1, 1))),
            ([2, 3, 5, 7], 4, window(3, 1, (1, 1))),
            ([3, 4, 6, 5], 2, window(3, 2, (1, 1))),
            ([2, 2, 7, 8], 3, window(3, 2, (0, 1))),
            ([2, 5, 3, 4], 6, window(1, 1, (0, 0))),
            // more than one tile of rows and of channels
            ([1, 24, 80, 72], 3, window(3, 1, (1, 1))),
        ] {
            let mut draw = |dims: &[usize]| -> TensorData {
                let count = dims.iter().product::<usize>();
                let values: Vec<f32> = (0..count).map(|_| rng.random::<f32>() - 0.5).collect();
                TensorData::new(values, dims.to_vec())
            };
            let to = [window.outputs(h), window.outputs(w)];
            let data = [
                draw(&[n, inputs, h, w]),
                draw(&[outputs, inputs, window.side, window.side]),
                draw(&[n, outputs, to[0], to[1]]),
            ];
            let bias = draw(&[outputs]);
            type Operation = fn(Tensor<4>, Tensor<4>, Tensor<1>, Window) -> Tensor<4>;
            let run = |operation: Operation| -> Vec<Vec<f32>> {
                let leaf = |data: &TensorData| {
                    Tensor::<4>::from_data(data.clone(), &inner)
                        .autodiff()
                        .require_grad()
                };
                let (x, weight) = (leaf(&data[0]), leaf(&data[1]));
                let bias = Tensor::<1>::from_data(bias.clone(), &inner)
                    .autodiff()
                    .require_grad();
                let out = operation(x.clone(), weight.clone(), bias.clone(), window);
                let mix = Tensor::<4>::from_data(data[2].clone(), &inner);
                let grads = (out.clone() * mix.autodiff()).sum().backward();
                let values = |data: TensorData| data.try_into_vec().expect("f32");
                vec![
                    values(out.inner().into_data()),
                    values(x.grad(&grads).expect("a leaf").into_data()),
                    values(weight.grad(&grads).expect("a leaf").into_data()),
                    values(bias.grad(&grads).expect("a leaf").into_data()),
                ]
            };
            // rounding of a sum of products below 1/4, which grows as the root of their number
            let terms = [
                inputs * 9,
                outputs * 9,
                n * to[0] * to[1],
                n * to[0] * to[1],
            ];
            for ((fused, composed), terms) in run(conv2d).iter().zip(&run(composed)).zip(terms) {
                assert_eq!(fused.len(), composed.len());
                assert!(composed.iter().any(|&value| value != 0.0));
                for (fused, composed) in fused.iter().zip(composed) {
                    assert!(
                        (fused - composed).abs() <= f32::EPSILON * (terms as f32 + 4.0),
                        "{window:?}: {fused} against {composed}"
                    );
                }
            }
        }
    }
}
