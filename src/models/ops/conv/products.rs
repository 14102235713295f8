//! The products of a convolution: windows of images laid out side by side, and their gradients added up again.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use crate::models::ops::gemm::{self, Matrix, gemm, initialised};
use crate::models::ops::simd;

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
    /// Points out of so many in, along a side.
    pub fn outputs(self, inputs: usize) -> usize {
        (inputs + self.padding.0 + self.padding.1 - self.side) / self.stride + 1
    }
}

/// Numbers in the windows that are laid out at a time.
const TILE: usize = 1 << 20;
/// Numbers below which one thread lays them out.
const PARALLEL: usize = 1 << 16;
/// Columns of a product for which images smaller than this are laid out side by side.
const COLUMNS: usize = 128;

/// A zero that is written.
pub const ZERO: MaybeUninit<f32> = MaybeUninit::new(0.0);

/// The shapes of a convolution.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Images.
    pub n: usize,
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Height and width in.
    pub from: [usize; 2],
    /// Height and width out.
    pub to: [usize; 2],
    /// What an output looks at.
    pub window: Window,
}

impl Sizes {
    /// Numbers of an image in.
    pub fn image(&self) -> usize {
        self.inputs * self.from[0] * self.from[1]
    }

    /// Points of an image out.
    pub fn pixels(&self) -> usize {
        self.to[0] * self.to[1]
    }

    /// Numbers of an image out.
    pub fn output(&self) -> usize {
        self.outputs * self.pixels()
    }

    /// Numbers of a window in one channel.
    fn area(&self) -> usize {
        self.window.side * self.window.side
    }

    /// Numbers of a window.
    fn height(&self) -> usize {
        self.inputs * self.area()
    }

    /// Whether the windows are the image itself.
    fn pointwise(&self) -> bool {
        self.window.side == 1 && self.window.stride == 1 && self.window.padding == (0, 0)
    }

    /// Numbers, in and out, of the images that go into one product.
    pub fn together(&self) -> [usize; 2] {
        let images = (COLUMNS / self.pixels().max(1)).max(1);
        [self.image(), self.output()].map(|size| images * size)
    }

    /// Runs `work(window row, output row, start of the input row, range of output columns, first input column)` over
    /// what the windows of the output rows `rows` see of a channel; the rest are zeros.
    fn seen(
        &self,
        rows: Range<usize>,
        mut work: impl FnMut(usize, usize, usize, Range<usize>, usize),
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

    /// Whether number k of every window, over all outputs, is the image itself, shifted.
    fn shifts(&self) -> bool {
        self.window.stride == 1 && self.from == self.to
    }

    /// Of an image that [shifts](Self::shifts), as one line: which outputs of `rows` see with number `at` of their windows a
    /// point of the line, the first such point, and the columns that see the end of another row there and should see zeros.
    #[inline(always)]
    fn shifted(&self, at: usize, rows: &Range<usize>) -> (Range<usize>, usize, Range<usize>) {
        let [height, width] = self.from;
        let (side, before) = (self.window.side, self.window.padding.0);
        let (dy, dx) = (at / side, at % side);
        let count = rows.len() * width;
        let (start, back) = ((rows.start + dy) * width + dx, before * (width + 1));
        let first = back.saturating_sub(start).min(count);
        let end = (height * width + back).saturating_sub(start);
        let outputs = first..end.clamp(first, count);
        let outside = match before.checked_sub(dx) {
            Some(left) => 0..left.min(width),
            None => (width + before).saturating_sub(dx)..width,
        };
        (
            outputs,
            (start + first).saturating_sub(back).min(height * width),
            outside,
        )
    }

    /// The windows of the output rows `rows` of a channel: rows of `out`, `columns` apart.
    fn of_channel(
        &self,
        image: &[f32],
        rows: &Range<usize>,
        out: &mut [MaybeUninit<f32>],
        columns: usize,
    ) {
        let width = self.to[1];
        let count = rows.len() * width;
        if self.shifts() {
            for at in 0..self.area() {
                let out = &mut out[at * columns..][..count];
                let (outputs, from, outside) = self.shifted(at, rows);
                out[..outputs.start].fill(ZERO);
                out[outputs.end..].fill(ZERO);
                let image = &image[from..][..outputs.len()];
                out[outputs].write_copy_of_slice(image);
                for column in outside {
                    let column = out[column..].iter_mut().step_by(width);
                    column.for_each(|out| *out = ZERO);
                }
            }
            return;
        }
        for at in 0..self.area() {
            out[at * columns..][..count].fill(ZERO);
        }
        self.seen(rows.clone(), |at, row, start, seen, from| {
            let out = &mut out[at * columns + (row - rows.start) * width..][seen];
            let image = image[start + from..].iter().step_by(self.window.stride);
            out.iter_mut().zip(image).for_each(|(out, x)| {
                out.write(*x);
            });
        });
    }

    /// The windows of the output rows `rows` of images side by side, `[in · area, images · rows · width]`.
    fn lay_out(&self, images: &[f32], rows: Range<usize>) -> Vec<f32> {
        let count = rows.len() * self.to[1];
        let columns = images.len() / self.image() * count;
        let size = self.from[0] * self.from[1];
        let of_channel = |(channel, out): (usize, &mut [MaybeUninit<f32>])| {
            for (index, image) in images.chunks_exact(self.image()).enumerate() {
                let image = &image[channel * size..][..size];
                self.of_channel(image, &rows, &mut out[index * count..], columns);
            }
        };
        let fill = |out: &mut [MaybeUninit<f32>]| {
            let channel = self.area() * columns;
            if out.len() < PARALLEL || rayon::current_num_threads() == 1 {
                out.chunks_exact_mut(channel)
                    .enumerate()
                    .for_each(of_channel);
            } else {
                let channels = out.par_chunks_exact_mut(channel);
                channels.enumerate().for_each(of_channel);
            }
        };
        // SAFETY: every channel of every image writes its part.
        unsafe { gemm::buffer(self.height() * columns, fill) }
    }

    /// Some images that go into one product.
    pub fn forward(
        &self,
        images: &[f32],
        weight: &[f32],
        bias: &[f32],
        out: &mut [MaybeUninit<f32>],
    ) {
        let (pixels, height) = (self.pixels(), self.height());
        let weight = Matrix::row_major(weight, height);
        let count = images.len() / self.image();
        if count > 1 {
            let columns = count * pixels;
            let windows = self.lay_out(images, 0..self.to[0]);
            let windows = Matrix::row_major(&windows, columns);
            let product = product([self.outputs, columns, height], weight, windows);
            for (index, out) in out.chunks_exact_mut(self.output()).enumerate() {
                let rows = out
                    .chunks_exact_mut(pixels)
                    .zip(product.chunks_exact(columns));
                for ((out, row), bias) in rows.zip(bias) {
                    let row = &row[index * pixels..][..pixels];
                    out.iter_mut().zip(row).for_each(|(out, x)| {
                        out.write(x + bias);
                    });
                }
            }
            return;
        }
        for (out, bias) in out.chunks_exact_mut(pixels.max(1)).zip(bias) {
            out.fill(MaybeUninit::new(*bias));
        }
        if self.pointwise() {
            let image = Matrix::row_major(images, pixels);
            let dims = [self.outputs, pixels, height];
            gemm(dims, out, pixels, weight, image, true);
            return;
        }
        let width = self.to[1];
        let rows = (TILE / (height * width).max(1)).clamp(1, self.to[0]);
        for first in (0..self.to[0]).step_by(rows) {
            let rows = first..(first + rows).min(self.to[0]);
            let count = rows.len() * width;
            let windows = self.lay_out(images, rows);
            let windows = Matrix::row_major(&windows, count);
            let dims = [self.outputs, count, height];
            gemm(
                dims,
                &mut out[first * width..],
                pixels,
                weight,
                windows,
                true,
            );
        }
    }

    /// Gradient of the windows of `channels`, `[channels · area, columns]`, from that of the output,
    /// `[out, columns]`.
    fn of_windows(&self, delta: &[f32], weight: &[f32], channels: Range<usize>) -> Vec<f32> {
        let (columns, rows) = (delta.len() / self.outputs, channels.len() * self.area());
        let weight = Matrix {
            data: &weight[channels.start * self.area()..],
            rows: self.height(),
            cols: 1,
        };
        let delta = Matrix::row_major(delta, columns);
        product([rows, columns, self.outputs], weight.t(), delta)
    }

    /// Gradients of images, which begin as zeros, from those of their outputs; images that go into one product.
    pub fn backward(&self, deltas: &[f32], weight: &[f32], images: &mut [f32]) {
        let pixels = self.pixels();
        let count = images.len() / self.image();
        if count > 1 {
            let columns = count * pixels;
            let deltas = self.beside(deltas);
            let mut windows = self.of_windows(&deltas, weight, 0..self.inputs);
            for (index, image) in images.chunks_exact_mut(self.image()).enumerate() {
                let windows = &mut windows[index * pixels..];
                simd::dispatch(AddUp {
                    sizes: self,
                    windows,
                    columns,
                    image,
                });
            }
            return;
        }
        if self.pointwise() {
            let weight = Matrix::row_major(weight, self.inputs).t();
            let delta = Matrix::row_major(deltas, pixels);
            let dims = [self.inputs, pixels, self.outputs];
            gemm(dims, initialised(images), pixels, weight, delta, false);
            return;
        }
        let channels = (TILE / (self.area() * pixels).max(1)).clamp(1, self.inputs);
        let size = self.from[0] * self.from[1];
        let of = |(chunk, image): (usize, &mut [f32])| {
            let first = chunk * channels;
            let windows = &mut self.of_windows(deltas, weight, first..first + image.len() / size);
            simd::dispatch(AddUp {
                sizes: self,
                windows,
                columns: pixels,
                image,
            });
        };
        if rayon::current_num_threads() > 1 {
            images
                .par_chunks_mut(channels * size)
                .enumerate()
                .for_each(of);
        } else {
            images.chunks_mut(channels * size).enumerate().for_each(of);
        }
    }

    /// Outputs of images, `[images, out, pixels]`, side by side, `[out, images · pixels]`.
    fn beside(&self, outputs: &[f32]) -> Vec<f32> {
        let pixels = self.pixels();
        let mut all = Vec::with_capacity(outputs.len());
        for channel in 0..self.outputs {
            for image in outputs.chunks_exact(self.output()) {
                all.extend_from_slice(&image[channel * pixels..][..pixels]);
            }
        }
        all
    }

    /// Adds the weight's gradient of images that go into one product.
    pub fn of_weight(&self, deltas: &[f32], images: &[f32], out: &mut [f32]) {
        let height = self.height();
        let columns = deltas.len() / self.outputs;
        let windows = self.lay_out(images, 0..self.to[0]);
        let windows = Matrix::row_major(&windows, columns).t();
        let beside = (images.len() > self.image()).then(|| self.beside(deltas));
        let deltas = Matrix::row_major(beside.as_deref().unwrap_or(deltas), columns);
        gemm(
            [self.outputs, height, columns],
            initialised(out),
            height,
            deltas,
            windows,
            true,
        );
    }
}

/// `lhs · rhs`.
fn product([m, n, k]: [usize; 3], lhs: Matrix, rhs: Matrix) -> Vec<f32> {
    // SAFETY: a product that does not accumulate writes all of its output.
    unsafe { gemm::buffer(m * n, |out| gemm([m, n, k], out, n, lhs, rhs, false)) }
}

/// Adds windows of all outputs, rows `columns` apart, to the channels that they look at.
struct AddUp<'a> {
    sizes: &'a Sizes,
    windows: &'a mut [f32],
    columns: usize,
    image: &'a mut [f32],
}

impl simd::Kernel for AddUp<'_> {
    #[inline(always)]
    fn run(self) {
        let Self {
            sizes,
            windows,
            columns,
            image,
        } = self;
        let [height, width] = sizes.to;
        let (area, pixels) = (sizes.area(), sizes.pixels());
        let images = image.chunks_exact_mut(sizes.from[0] * sizes.from[1]);
        for (image, windows) in images.zip(windows.chunks_mut(area * columns)) {
            if sizes.shifts() {
                for at in 0..area {
                    let windows = &mut windows[at * columns..][..pixels];
                    let (outputs, from, outside) = sizes.shifted(at, &(0..height));
                    for column in outside {
                        let column = windows[column..].iter_mut().step_by(width);
                        column.for_each(|window| *window = 0.0);
                    }
                    let windows = &windows[outputs];
                    let image = image[from..][..windows.len()].iter_mut();
                    image.zip(windows).for_each(|(x, window)| *x += window);
                }
            } else {
                sizes.seen(0..height, |at, row, start, seen, from| {
                    let windows = &windows[at * columns + row * width..][seen];
                    let image = image[start + from..]
                        .iter_mut()
                        .step_by(sizes.window.stride);
                    image.zip(windows).for_each(|(x, window)| *x += window);
                });
            }
        }
    }
}
